"""Text of a transcript: joining pieces, and where sentences end.

Nothing here adds, drops or reorders a character that is not white space.
"""

import re
from collections.abc import Iterable

ENDERS = ".?!。！？؟۔।॥"
"""What ends a sentence, in the scripts vendors write."""

_ENDERS = frozenset(ENDERS)
_WIDE_ENDERS = frozenset("。！？")
_CLOSERS = "\"'”’»)]」』"
_STOP = re.compile(rf"[{re.escape(ENDERS)}]++[{re.escape(_CLOSERS)}]*+")
_LOOSE_PUNCTUATION = re.compile(r" ([,.?!;:。！？、，؟،؛۔।॥]++)(?= |$)")

# Scripts written without spaces between words: Thai, Lao, Myanmar, Khmer; CJK punctuation, kana, Han and
# full-width forms. Hangul is written with spaces.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]"
)


def tidy(text: str) -> str:
    """Single spaces, none around, none before punctuation that stands alone."""
    return _LOOSE_PUNCTUATION.sub(r"\1", " ".join(text.split()))


def join(pieces: Iterable[str]) -> str:
    """The pieces in order, tidy, with a space between two unless both sides are written without."""
    joined: list[str] = []
    before = ""
    for piece in pieces:
        text = piece.strip()
        if not text:
            continue
        if before and not (_UNSPACED.match(before) and _UNSPACED.match(text)):
            joined.append(" ")
        joined.append(text)
        before = text[-1]
    return tidy("".join(joined))


def sentences(text: str) -> list[str]:
    """The sentences of a tidy text; the last one may be incomplete.

    An end counts where white space or nothing follows ("3.5" has none), or if it is a full-width one.
    """
    found = []
    start = 0
    for stop in _STOP.finditer(text):
        end = stop.end()
        if text[end : end + 1] in ("", " ") or not _WIDE_ENDERS.isdisjoint(stop.group()):
            found.append(text[start:end].strip())
            start = end
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def ends_sentence(text: str) -> bool:
    """Whether the text ends a sentence, closing quotes and brackets aside."""
    return text.rstrip(_CLOSERS)[-1:] in _ENDERS


def starts_lowercase(text: str) -> bool:
    """Whether the first character is a small letter; false in scripts that have none."""
    return text[:1].islower()


def is_whole_sentence(text: str) -> bool:
    """Capitalised (or of a script without small letters) and punctuated."""
    return not starts_lowercase(text) and ends_sentence(text)
