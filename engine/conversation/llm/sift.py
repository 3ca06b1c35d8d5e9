"""Takes what a model said apart value by value: keeps what can be used, repairs or drops the rest, counts both.

A `Sift` reads one answer; its `doubts` counts every repair and drop by a reason of
`engine.conversation.llm.metrics.DISTRUSTED`. Nothing here raises for what the answer holds.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["Sift", "shortened", "similar", "words_of"]

EARLIEST = timedelta(days=-1)
LATEST = timedelta(days=5 * 366)
"""A day before to five years after a conversation: what a date said in it may be."""

LONGEST_LOOP = 30
"""Words of a phrase that is looked for as repeated over and over."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def words_of(text: str) -> list[str]:
    """The words of `text` in small letters."""
    return _WORD.findall(text.casefold())


def similar(a: str, b: str) -> bool:
    """Whether two texts share four fifths of their words (Jaccard), or are the same without any."""
    first, second = set(words_of(a)), set(words_of(b))
    if not first or not second:
        return a.strip() == b.strip()
    return len(first & second) >= 0.8 * len(first | second)


class Sift:
    """Reads the values of one answer. `started_at` (aware) and `zone` decide what a date means."""

    def __init__(self, started_at: datetime, zone: ZoneInfo) -> None:
        self.doubts: Counter[str] = Counter()
        self._started_at = started_at
        self._zone = zone

    def record(self, value: object, known: Collection[str]) -> dict[str, Any]:
        """An object's fields, counting those that nobody asked for and those that are missing."""
        if not isinstance(value, dict):
            self.doubts["wrong_type"] += 1
            return {}
        self.doubts["extra"] += len(value.keys() - set(known))
        self.doubts["missing"] += len(set(known) - value.keys())
        return {name: value[name] for name in known if name in value}

    def items(self, value: object, limit: int) -> list[Any]:
        """At most `limit` items of a list; nothing of what is no list."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.doubts["wrong_type"] += 1
            return []
        self.doubts["too_many"] += max(0, len(value) - limit)
        return value[:limit]

    def records(self, value: object, known: Collection[str], limit: int) -> Iterator[dict[str, Any]]:
        """The objects among at most `limit` items of a list."""
        for item in self.items(value, limit):
            if isinstance(item, dict):
                yield self.record(item, known)
            else:
                self.doubts["wrong_type"] += 1

    def text(self, value: object, *, characters: int, words: int | None = None) -> str:
        """One line of text: no control characters, no phrase said over and over, within both limits."""
        if value is None:
            return ""
        if not isinstance(value, str):
            self.doubts["wrong_type"] += 1
            return ""
        plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value[: 4 * characters])
        said = plain.split()
        once = _without_loops(said)
        looped = len(once) < len(said)
        self.doubts["repeated"] += looped
        kept = " ".join(once[:words])
        if (
            len(once[:words]) == len(once)
            and len(kept) <= characters
            and (looped or len(value) == len(plain))
        ):
            return kept
        self.doubts["too_long"] += 1
        return _cut(kept, characters)

    def texts(self, value: object, limit: int, characters: int) -> list[str]:
        """Different texts of a list, none empty."""
        kept: dict[str, str] = {}
        for item in self.items(value, limit):
            text = self.text(item, characters=characters)
            if text and text.casefold() in kept:
                self.doubts["duplicate"] += 1
            elif text:
                kept[text.casefold()] = text
        return list(kept.values())

    def choice(self, value: object, accepted: Collection[str], otherwise: str) -> str:
        """One of `accepted` in whatever case, else `otherwise`."""
        plain = value.strip().casefold() if isinstance(value, str) else ""
        if plain in accepted:
            return plain
        self.doubts["wrong_enum"] += 1
        return otherwise

    def emoji(self, value: object, otherwise: str) -> str:
        """One emoji, else `otherwise`."""
        plain = value.strip() if isinstance(value, str) else ""
        # An emoji can be several code points, joined; none of them is among the letters of common scripts.
        if 1 <= len(plain) <= 8 and all(character > "\u203b" or character == "\u200d" for character in plain):
            return plain
        self.doubts["wrong_enum"] += 1
        return otherwise

    def flag(self, value: object) -> bool:
        """Only true is true."""
        self.doubts["wrong_type"] += not isinstance(value, bool)
        return value is True

    def number(self, value: object, low: int, high: int, otherwise: int) -> int:
        """A whole number from `low` to `high`, else `otherwise`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.doubts["wrong_type"] += 1
            return otherwise
        if not low <= value <= high:  # nor is NaN
            self.doubts["absurd_number"] += 1
            return otherwise
        return round(value)

    def moment(self, value: object) -> datetime | None:
        """A date, or a date and time, in UTC; local time where there is no offset, a day's last minute alone.

        None for what is no date and for a date that no conversation at that time speaks of.
        """
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            self.doubts["wrong_type"] += 1
            return None
        said = self._in_utc(value.strip())
        if said is None or not EARLIEST <= said - self._started_at <= LATEST:
            self.doubts["absurd_date"] += 1
            return None
        return said

    def _in_utc(self, text: str) -> datetime | None:
        try:
            said = datetime.fromisoformat(text)
            if _DAY.fullmatch(text):
                said = said.replace(hour=23, minute=59)
            return (said if said.tzinfo else said.replace(tzinfo=self._zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def grounded(self, value: object, lines: range) -> bool:
        """Whether an item may be kept by the line numbers it cites: not if all of them are invented."""
        cited = self.items(value, 100)
        numbers = [number for number in cited if isinstance(number, int) and not isinstance(number, bool)]
        real = [number for number in numbers if number in lines]
        self.doubts["wrong_type"] += len(cited) - len(numbers)
        self.doubts["invented"] += len(numbers) - len(real)
        return bool(real) or not numbers

    def spoken_of(self, names: Sequence[str], words: frozenset[str]) -> tuple[str, ...]:
        """Those names of which a word is among `words`, those that were really said."""
        real = tuple(name for name in names if not words.isdisjoint(words_of(name)))
        self.doubts["invented"] += len(names) - len(real)
        return real


def shortened(text: str, characters: int) -> str:
    """`text`, of which no more than so many characters are kept, cut at a word."""
    return text if len(text) <= characters else _cut(text, characters)


def _cut(text: str, characters: int) -> str:
    """`text` shortened at a word, with an ellipsis in the end."""
    if len(text) >= characters:
        text = text[: characters - 1].rsplit(" ", 1)[0]
    return text.rstrip(",;:. ") + "…"


def _without_loops(words: list[str]) -> list[str]:
    """`words` with a phrase said three times or more in a row (a single word: four times) said once."""
    while True:
        kept: list[str] = []
        position = 0
        while position < len(words):
            size, length = _loop_at(words, position)
            kept += words[position : position + size]
            position += length
        if len(kept) == len(words):
            return kept
        words = kept  # what is left may itself be said over and over


def _loop_at(words: list[str], start: int) -> tuple[int, int]:
    """Words of the phrase that begins at `start`, and of all its repetitions."""
    for size in range(1, min(LONGEST_LOOP, (len(words) - start) // 3) + 1):
        phrase = words[start : start + size]
        end = start + size
        while words[end : end + size] == phrase:
            end += size
        if end - start >= (4 if size == 1 else 3 * size):
            rest = words[end:]
            begun = len(rest) < size and rest[:-1] == phrase[: len(rest[:-1])]
            if rest and begun and phrase[len(rest) - 1].startswith(rest[-1]):
                end = len(words)  # where the text was cut, in the middle of one more
            return size, end - start
    return 1, 1
