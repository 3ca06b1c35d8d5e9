"""Whose fault an error answer of a model's server is: by its status, and by the error object in its body.

OpenAI's servers, and most others, answer `{"error": {"message", "type", "code", "param"}}`. The message is only
searched, never repeated: it may quote the prompt or the key.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from engine.conversation.llm.port import LlmContextExceeded, LlmError, LlmRefused, LlmUnavailable

__all__ = ["failure", "failure_inside", "has_asked_to_wait"]

_TOO_LONG = re.compile(
    r"context[ _]length|context window|context size|maximum context|too many tokens|prompt is too long"
    r"|reduce the length of the messages",
    re.IGNORECASE,
)
_CODES_TOO_LONG = frozenset(
    ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
)
_CODES_QUOTA = frozenset(("insufficient_quota", "billing_hard_limit_reached"))
_MAY_PASS = frozenset((408, 409, 425, 429))
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class _Error(msgspec.Struct):
    message: Any = ""
    type: Any = None
    code: Any = None


class _Body(msgspec.Struct):
    error: _Error | str | None = None


def failure(status: int, body: bytes, retry_after: float | None = None) -> LlmError:
    """The error that an answer with `status` (not 2xx) means; `retry_after` is what its headers asked for (s)."""
    return _failure(status, _error_in(body) or _Error(), retry_after)


def failure_inside(body: bytes | str) -> LlmError | None:
    """The error in an answer that said 200, or in an event of a stream; None when there is none."""
    error = _error_in(body)
    if error is None:
        return None
    status = error.code if isinstance(error.code, int) and 400 <= error.code < 600 else 500
    return _failure(400 if "invalid_request_error" in _marks(error) else status, error, None)


def has_asked_to_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (seconds or a date), None without a readable one.

    `now`: seconds since the epoch.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
            return float(text) * scale
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _error_in(body: bytes | str) -> _Error | None:
    try:
        found = msgspec.json.decode(body, type=_Body).error
    except (msgspec.DecodeError, RecursionError):
        return None
    return _Error(message=found) if isinstance(found, str) else found


def _failure(status: int, error: _Error, retry_after: float | None) -> LlmError:
    said = f"{status}{_named(error)}"
    if _too_long(error) and status in (400, 413, 422, 500):
        return LlmContextExceeded(
            f"the request is longer than the model's context ({said})", "context_length"
        )
    if _marks(error) & _CODES_QUOTA:
        return LlmRefused(f"the account's quota is used up ({said})", "quota")
    if status in (401, 403):
        return LlmRefused(f"the key is not accepted ({said}); check OPENAI_API_KEY", "auth")
    if status == 404:
        text = f"no such model or path ({said}); check llm.model and OPENAI_BASE_URL"
        return LlmRefused(text, "refused")
    if status in _MAY_PASS or status >= 500:
        outcome = "rate_limit" if status == 429 else "overloaded"
        return LlmUnavailable(f"the server answers {said}", outcome, retry_after)
    if 300 <= status < 400:
        return LlmRefused(f"the server sends elsewhere ({said}); check OPENAI_BASE_URL", "refused")
    return LlmRefused(f"the server refuses the request ({said})", "refused")


def _too_long(error: _Error) -> bool:
    return bool(_marks(error) & _CODES_TOO_LONG) or (
        isinstance(error.message, str) and _TOO_LONG.search(error.message) is not None
    )


def _marks(error: _Error) -> set[str]:
    return {str(error.code), str(error.type)}


def _named(error: _Error) -> str:
    """The vendor's own short name for the error, when it is one."""
    for name in (error.code, error.type):
        if isinstance(name, str) and _NAME.fullmatch(name):
            return f" {name}"
    return ""
