"""Whose fault an error answer is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.llm.failures import failure, failure_inside, has_asked_to_wait
from engine.conversation.llm.metrics import OUTCOMES
from engine.conversation.llm.port import LlmContextExceeded, LlmError, LlmRefused, LlmUnavailable


def body(**error: Any) -> bytes:
    return msgspec.json.encode({"error": error})


@pytest.mark.parametrize(
    ("status", "said", "error", "outcome"),
    [
        (429, body(), LlmUnavailable, "rate_limit"),
        (429, body(type="insufficient_quota"), LlmRefused, "quota"),
        (503, b"<html>", LlmUnavailable, "overloaded"),
        (409, body(), LlmUnavailable, "overloaded"),
        (401, body(message="key sk-1234"), LlmRefused, "auth"),
        (404, body(code="model_not_found"), LlmRefused, "refused"),
        (418, b"", LlmRefused, "refused"),
        (301, b"", LlmRefused, "refused"),
        (400, body(code="context_length_exceeded"), LlmContextExceeded, "context_length"),
        (400, body(type="exceed_context_size_error", code=400), LlmContextExceeded, "context_length"),
        (413, body(message="prompt is too long: 9 tokens"), LlmContextExceeded, "context_length"),
        (400, body(message="a context window of love", code=["odd"]), LlmContextExceeded, "context_length"),
        (400, body(message={"odd": 1}, code={"a": 1}, type=[2]), LlmRefused, "refused"),
        (400, msgspec.json.encode({"error": "maximum context"}), LlmContextExceeded, "context_length"),
    ],
)
def test_status_and_code_say_what_it_is(
    status: int, said: bytes, error: type[LlmError], outcome: str
) -> None:
    found = failure(status, said)
    assert type(found) is error
    assert found.outcome == outcome
    assert "sk-1234" not in str(found)


def test_an_error_may_be_inside_an_answer_that_went_well() -> None:
    assert failure_inside(b'{"choices": []}') is None
    assert failure_inside(b"nonsense") is None
    assert failure_inside(b'{"error": null}') is None
    assert isinstance(failure_inside(body(message="busy")), LlmUnavailable)
    assert isinstance(failure_inside(body(code=429)), LlmUnavailable)
    assert type(failure_inside(body(type="invalid_request_error"))) is LlmRefused
    assert isinstance(failure_inside('{"error": {"code": "context_length_exceeded"}}'), LlmContextExceeded)


@given(
    st.integers(300, 999), st.binary(max_size=200) | st.text(max_size=50).map(lambda text: body(message=text))
)
def test_any_error_answer_has_a_known_outcome(status: int, said: bytes) -> None:
    assert failure(status, said).outcome in OUTCOMES


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_is_a_wait_or_none(after: str, after_ms: str) -> None:
    wait = has_asked_to_wait({"retry-after": after, "retry-after-ms": after_ms}, 1e9)
    assert wait is None or wait >= 0
