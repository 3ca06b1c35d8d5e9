"""Which language a text is in, by py3langid (a naive Bayes classifier over byte n-grams, of 142 languages).

Operations: `detect` gives a language or that it is not certain; `statistics`.
Invariants: what was detected is kept under a digest of the text; no text is.
Bounded: `CACHED` digests, the oldest going first.
Cost: loading takes a second and 120 MB once, detecting 75 µs a text: both off the loop.
Known doubts: of a text of a few words (`Yes.`) no classifier is certain.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from engine.off_loop import OffLoop

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

__all__ = ["Languages", "LanguagesStatistics", "base_language"]

CACHED = 4096
CERTAIN = 0.5
"""Probability from which a language is believed."""


class LanguagesStatistics(msgspec.Struct, frozen=True):
    """Texts asked about, and those of them that were known."""

    asked: int
    known: int


class Languages:
    """Detects languages in `off_loop`."""

    def __init__(self, off_loop: OffLoop) -> None:
        self._off_loop = off_loop
        self._cache: OrderedDict[bytes, str | None] = OrderedDict()
        self._asked = 0
        self._known = 0

    async def prepare(self) -> None:
        """Load what detects, which for a second leaves the loop little time, before anybody speaks."""
        await self._off_loop(_identifier)

    async def detect(self, texts: Sequence[str]) -> list[str | None]:
        """The language of each text ("en"), None where that is not certain."""
        keys = [blake2b(text.encode(), digest_size=16).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._cache}
        self._asked += len(texts)
        self._known += len(texts) - len(new)
        found = {key: self._cache[key] for key in keys if key in self._cache}
        if new:
            found |= zip(new, await self._off_loop(_detect, list(new.values())), strict=True)
        for key in keys:
            self._cache[key] = found[key]
            self._cache.move_to_end(key)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return [found[key] for key in keys]

    def statistics(self) -> LanguagesStatistics:
        """Since it was made."""
        return LanguagesStatistics(self._asked, self._known)


def base_language(tag: str) -> str:
    """`pt` of `pt-BR`."""
    return tag.partition("-")[0].casefold()


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # loading takes a second

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _detect(texts: Sequence[str]) -> list[str | None]:
    classified = [_identifier().classify(text) for text in texts]
    return [language if probability >= CERTAIN else None for language, probability in classified]
