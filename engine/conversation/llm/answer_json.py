"""Finds the JSON object in what a model answered, though it be fenced, wrapped in prose, cut off or not quite JSON.

Repairs, each named in the result: `fence` and `prose` around the object are left out; of a `truncated` one all that
is complete is kept; NaN and Infinity become null (`not_a_number`). Anything else wrong is not guessed at.
Cost: linear in the text for each of at most `PLACES` places where an object may begin.
"""

import re
from typing import Any

import msgspec

__all__ = ["FoundJson", "NotJson", "find_json"]

LIMIT = 400_000
"""Characters of an answer that are looked at all; models write some thousands."""
DEPTH = 64
PLACES = 8

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\],]|-?\bInfinity\b|\bNaN\b', re.DOTALL)
_CLOSES = {"{": "}", "[": "]"}


class FoundJson(msgspec.Struct, frozen=True):
    """The object, and what had to be done to it."""

    value: dict[str, Any]
    repairs: tuple[str, ...] = ()


class NotJson(ValueError):
    """No object in it. `reason`: `empty`, `too_long`, `wrong_shape` (JSON, but no object) or `not_json`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def find_json(text: str) -> FoundJson:
    """The JSON object in `text`. Raises `NotJson`."""
    if len(text) > LIMIT:
        raise NotJson("too_long")
    text = text.strip().removeprefix("\ufeff")
    if not text:
        raise NotJson("empty")
    whole = _decoded(text)
    if isinstance(whole, dict):
        return FoundJson(whole)
    if whole is not msgspec.UNSET:
        raise NotJson("wrong_shape")
    for fenced in _FENCE.finditer(text):
        found = _within(fenced[1], ("fence",))
        if found:
            return found
    found = _within(text, ())
    if not found:
        raise NotJson("not_json")
    return found


def _within(text: str, repairs: tuple[str, ...]) -> FoundJson | None:
    start = -1
    for _ in range(PLACES):
        start = text.find("{", start + 1)
        if start < 0:
            return None
        candidate = _Object(text, start)
        value = _decoded(candidate.text)
        if isinstance(value, dict) and (value or not candidate.truncated):
            around = "prose" if text[:start].strip() or candidate.rest.strip() else ""
            made = (around, "truncated" * candidate.truncated, "not_a_number" * candidate.not_a_number)
            return FoundJson(value, (*repairs, *filter(None, made)))
    return None


class _Object:
    """The object that begins at `start`, closed where the text ends before it does."""

    def __init__(self, text: str, start: int) -> None:
        self.truncated = True
        self.not_a_number = False
        self.rest = ""
        self._pieces: list[str] = []
        self._open: list[str] = []
        self._complete = (0, "")  # so many pieces, and what closes them
        done = start
        for token in _TOKEN.finditer(text, start):
            self._pieces.append(text[done : token.start()])
            done = token.end()
            if not self._take(token):
                break
        if not self.truncated:
            self.rest = text[done:]
        self.text = self._closed()

    def _take(self, token: re.Match[str]) -> bool:
        """Whether the object goes on after the token."""
        said = token[0]
        if said in _CLOSES:
            self._pieces.append(said)
            self._open.append(_CLOSES[said])
            self._mark()
            return len(self._open) <= DEPTH
        if said in ("}", "]"):
            if self._open[-1] != said:
                return False
            self._open.pop()
            self._pieces.append(said)
            self._mark()
            self.truncated = bool(self._open)
            return self.truncated
        if said == ",":
            self._mark()
        elif not said.startswith('"'):
            self.not_a_number, said = True, "null"
        self._pieces.append(said)
        return True

    def _mark(self) -> None:
        self._complete = (len(self._pieces), "".join(reversed(self._open)))

    def _closed(self) -> str:
        if not self.truncated:
            return "".join(self._pieces)
        pieces, closing = self._complete
        return "".join(self._pieces[:pieces]) + closing


def _decoded(text: str) -> Any:
    """The value, UNSET when it is no JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return msgspec.UNSET
