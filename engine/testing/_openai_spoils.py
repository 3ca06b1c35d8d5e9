"""Spoils an answer's JSON in the ways that `Wrong` lists."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.testing.openai_faults import Wrong

MANY = 500
LONG = "and then one more thing that nobody had said"
DATES = ("0001-01-01T00:00:00", "9999-12-31T23:59:59", "the day after never", "2026-13-45")


def spoiled(text: str, wrong: Wrong) -> str:
    """`text` as `wrong` leaves it; unchanged for what is not about an answer's text."""
    plain = {
        Wrong.EMPTY: "",
        Wrong.NOT_JSON: "I am sorry, but here is what I think: it was a nice talk.",
        Wrong.WRONG_SHAPE: f"[{text}]",
        Wrong.TRUNCATED: text[: len(text) * 2 // 3],
        Wrong.LENGTH: text[: len(text) * 2 // 3],
        Wrong.FENCE: f"```json\n{text}\n```",
        Wrong.PROSE: f"Sure, here you are (as asked): {text}\nAnything else?",
    }
    if wrong in plain:
        return plain[wrong]
    spoil = _SPOILS.get(wrong)
    if spoil is None:
        return text
    value = _walked(msgspec.json.decode(text), spoil, "")
    encoded = msgspec.json.encode(value).decode()
    return encoded.replace('"\\u0000NaN"', "NaN").replace('"\x00NaN"', "NaN")


Spoil = Callable[[str, Any], Any]
"""The new value of what stands under a name; what it leaves as it was is walked into."""


def _walked(value: Any, spoil: Spoil, name: str) -> Any:
    new = spoil(name, value)
    if new is not value:
        return new
    if isinstance(value, dict):
        return {key: _walked(one, spoil, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_walked(one, spoil, name) for one in value]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nan(name: str, value: Any) -> Any:
    return "\x00NaN" if _is_number(value) else value


def _wrong_enum(name: str, value: Any) -> Any:
    return "Banana" if name == "category" and isinstance(value, str) else value


def _missing(name: str, value: Any) -> Any:
    if name and isinstance(value, dict):
        return {key: one for number, (key, one) in enumerate(value.items()) if number % 2 == 0}
    return value


def _extra(name: str, value: Any) -> Any:
    if isinstance(value, dict) and "confidence" not in value:
        return {key: _walked(one, _extra, key) for key, one in value.items()} | {
            "confidence": 0.99,
            "__proto__": {"admin": True},
        }
    return value


def _wrong_types(name: str, value: Any) -> Any:
    if isinstance(value, str) and name not in ("title", "overview"):
        return 42
    if _is_number(value):
        return "forty-two"
    if isinstance(value, list) and name in ("topics", "dates", "lines"):
        return {"first": value}
    return value


def _invented(name: str, value: Any) -> Any:
    if _is_number(value) and name in ("lines", "superseded"):
        return value + 1000
    if name == "speaker":
        return "SPEAKER_77"
    if name in ("people", "entities") and isinstance(value, list):
        return [*value, "Zaphod Beeblebrox"]
    return value


def _absurd_dates(name: str, value: Any) -> Any:
    if name in ("due", "start"):
        return DATES[len(str(value)) % len(DATES)]
    return list(DATES) if name == "dates" and isinstance(value, list) else value


def _too_many(name: str, value: Any) -> Any:
    return (value * MANY)[:MANY] if isinstance(value, list) else value


def _too_long(name: str, value: Any) -> Any:
    if isinstance(value, str) and name not in ("due", "start", "dates", "speaker", "category"):
        return " ".join([value, *(f"{LONG} {number}" for number in range(300))])
    return value


def _repeated(name: str, value: Any) -> Any:
    if isinstance(value, str) and name not in ("due", "start", "dates", "speaker", "category"):
        return " ".join([value] * 50)
    return value


_SPOILS: dict[Wrong, Spoil] = {
    Wrong.NAN: _nan,
    Wrong.WRONG_ENUM: _wrong_enum,
    Wrong.MISSING: _missing,
    Wrong.EXTRA: _extra,
    Wrong.WRONG_TYPES: _wrong_types,
    Wrong.INVENTED: _invented,
    Wrong.ABSURD_DATES: _absurd_dates,
    Wrong.TOO_MANY: _too_many,
    Wrong.TOO_LONG: _too_long,
    Wrong.REPEATED: _repeated,
}
