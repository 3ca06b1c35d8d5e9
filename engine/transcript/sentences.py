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
_LOOSE = ",.?!;:。！？、，؟،؛۔।॥"
_LOOSE_PUNCTUATION = re.compile(rf" ([{re.escape(_LOOSE)}]++)(?= |$)")

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
    texts = [text for piece in pieces if (text := piece.strip())]
    joined = " ".join(texts)
    return tidy(joined if joined.isascii() else _joined_unspaced(texts))


def _joined_unspaced(texts: Iterable[str]) -> str:
    joined: list[str] = []
    before = ""
    for text in texts:
        if before and not _written_together(before, text):
            joined.append(" ")
        joined.append(text)
        before = text[-1]
    return "".join(joined)


def _written_together(before: str, after: str) -> bool:
    return _UNSPACED.match(before) is not None and _UNSPACED.match(after) is not None


def append(first: str, second: str) -> str:
    """`join` of two texts that are tidy: looks at nothing but where they meet."""
    if not first or not second:
        return first or second
    if second[0] in _LOOSE:
        return join((first, second))
    return first + second if _written_together(first[-1], second) else f"{first} {second}"


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
