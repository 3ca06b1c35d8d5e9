"""A transcript as numbered lines for a model, in windows that fit its context.

Tokens are estimated without a vendor's tokenizer: one for each ASCII word and one more for every five letters of it,
one for every digit, mark and character of other scripts. A test compares it with a real vocabulary, which it
overestimates by a half at most in talk. Old vocabularies take more for some scripts; there the server's own count
decides, and smaller windows are asked about.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from engine.conversation.structured import Transcript
from engine.wire.messages import Segment

__all__ = ["Line", "estimate_tokens", "lines_of", "windows_of"]

_WORD = re.compile("[A-Za-z]+")

LETTERS_PER_TOKEN = 5
LONGEST_LINE = 2000
"""Characters of one line; a longer segment goes on in a line of the same number."""


class Line(msgspec.Struct, frozen=True):
    """What one segment says, as the model reads it. Numbers begin with 1 and are those of the segments."""

    number: int
    text: str

    @property
    def tokens(self) -> int:
        """An estimate of what it costs in a prompt."""
        return estimate_tokens(self.text) + 1


def estimate_tokens(text: str) -> int:
    """Tokens of `text`, more likely too many than too few."""
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    others = len("".join(text.split())) - letters
    return 1 + others + sum(1 + len(word) // LETTERS_PER_TOKEN for word in words)


def lines_of(transcript: Transcript) -> list[Line]:
    """`[12] 03:41 SPEAKER_01 (Bob): We should …`; segments without words are left out, their numbers with them."""
    lines = []
    for number, segment in enumerate(transcript.segments, start=1):
        minutes, seconds = divmod(int(max(segment.start, 0.0)), 60)
        start = f"[{number}] {minutes:02d}:{seconds:02d} {_speaker(segment, transcript)}: "
        lines += [Line(number, start + part) for part in _parts(" ".join(segment.text.split()))]
    return lines


def windows_of(lines: Sequence[Line], budget: int) -> list[list[Line]]:
    """Lines in their order, in as few windows of at most `budget` tokens; a longer line stands alone."""
    windows: list[list[Line]] = []
    left = 0
    for line in lines:
        if not windows or line.tokens > left:
            windows.append([])
            left = budget
        windows[-1].append(line)
        left -= line.tokens
    return windows


def _speaker(segment: Segment, transcript: Transcript) -> str:
    name = transcript.owner_name if segment.is_user else transcript.people.get(segment.person_id or "", "")
    return f"{segment.speaker} ({name})" if name else segment.speaker


def _parts(text: str) -> Iterator[str]:
    while len(text) > LONGEST_LINE:
        cut = text.rfind(" ", 1, LONGEST_LINE)
        cut = cut if cut > 0 else LONGEST_LINE
        yield text[:cut]
        text = text[cut:].lstrip()
    if text:
        yield text
