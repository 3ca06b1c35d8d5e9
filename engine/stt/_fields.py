"""Reading what a vendor sent: any value may be missing, of another type, or nonsense."""

import math
import re
from collections.abc import Sequence

import msgspec

from engine.stt.vendor import SAMPLE_RATE

_TEXT_LIMIT = 200


def fields(message: bytes | str) -> dict[str, object] | None:
    """The JSON object in `message`; None where there is none."""
    try:
        decoded = msgspec.json.decode(message)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def mapping(value: object) -> dict[str, object]:
    """`value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[dict[str, object]]:
    """The objects in `value` where it is a list, else nothing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """`value` without surrounding space where it is a string, else an empty one."""
    return value.strip() if isinstance(value, str) else ""


def told(value: object, *secrets: str | None) -> str:
    """What a vendor says of an error, fit for a log: one line, not long, without `secrets`."""
    words = value.decode("utf-8", "replace") if isinstance(value, bytes) else text(value)
    for secret in secrets:
        if secret:
            words = words.replace(secret, "…")
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", words).strip()[:_TEXT_LIMIT]


def whole(value: object) -> int | None:
    """`value` where it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def share(value: object) -> float | None:
    """`value` where it is a number from 0 to 1."""
    found = number(value)
    return found if found is not None and 0 <= found <= 1 else None


def samples(seconds: object, low: int, high: int) -> int | None:
    """The sample at `seconds`, brought between `low` and `high`; None where `seconds` is no number."""
    found = number(seconds)
    if found is None:
        return None
    return round(min(max(found * SAMPLE_RATE, low), high))


def pause(value: object, default: float) -> float:
    """Seconds of a Retry-After header, `default` where it is missing or a date; at most a minute."""
    try:
        seconds = float(value) if isinstance(value, str) else default
    except ValueError:
        seconds = default
    return min(seconds, 60.0) if seconds >= 0 else default


def number(value: object) -> float | None:
    """`value` where it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
