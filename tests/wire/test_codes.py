from hypothesis import given
from hypothesis import strategies as st

from engine.wire.codes import CloseCode, truncate_reason


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_reason_is_the_longest_start_of_the_text_that_fits(text: str) -> None:
    reason = truncate_reason(text)
    assert text.startswith(reason)
    assert len(reason.encode()) <= 123
    if reason != text:
        assert len((reason + text[len(reason)]).encode()) > 123


def test_lone_surrogates_do_not_break_a_reason() -> None:
    assert truncate_reason("a\ud800b") == "a?b"


def test_the_codes_are_those_clients_know() -> None:
    assert [int(code) for code in CloseCode] == [1000, 1001, 1003, 1005, 1006, 1008, 1009, 1011, 1013, 4001]
