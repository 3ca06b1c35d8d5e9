import json

from hypothesis import given
from hypothesis import strategies as st

from engine.wire.codes import CloseCode
from engine.wire.messages import encode
from engine.wire.refusal import Refusal, printable


def test_it_names_parameter_value_and_what_is_accepted() -> None:
    refusal = Refusal(CloseCode.UNSUPPORTED_DATA, "channels", "3", "1 or 2")
    assert json.loads(encode(refusal.event())) == {
        "type": "error",
        "code": 1003,
        "message": "channels=3 is not accepted: use 1 or 2",
        "parameter": "channels",
        "value": "3",
        "accepted": "1 or 2",
    }
    assert refusal.reason == str(refusal) == "channels=3 is not accepted: use 1 or 2"


def test_it_can_carry_a_message_of_its_own_and_a_retry_time() -> None:
    refusal = Refusal(CloseCode.TRY_AGAIN_LATER, message="1000 sessions are open", retry_after=5.0)
    assert refusal.event().retry_after == 5.0
    assert refusal.event().parameter is None
    assert refusal.reason == "1000 sessions are open"


@given(st.text())
def test_whatever_the_value_was_what_is_echoed_is_short_printable_and_encodes(value: str) -> None:
    refusal = Refusal(CloseCode.POLICY_VIOLATION, "language", value, "a tag")
    assert len(refusal.reason.encode()) <= 123
    assert refusal.value is not None
    assert len(refusal.value) <= 100
    assert refusal.value.isprintable()
    assert json.loads(encode(refusal.event()))["value"] == printable(value)
