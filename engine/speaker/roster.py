"""The speakers of one session: numbers that stay, and what each sounds like.

Operations: `new` takes the next number, `heard` adds speech that is surely one speaker's, `pieces` are such whose
speaker may yet turn out to be another; `voices`, `ranked`; `trim`; `forget_number` when two were one.
Invariants: a number once given stays with its voice and is not given twice. A voice is the mean direction of what was
heard of it, by length.
Bounded: `MOST` speakers, `PIECES` pieces, of which the oldest become part of what is surely their speaker's.
"""

import msgspec
import numpy as np

from engine.speaker.embedding import SIZE, Floats, Voice

__all__ = ["MOST", "PIECES", "Heard", "Piece", "Roster"]

MOST = 64
PIECES = 160
"""About ten minutes of speech."""


class Heard(msgspec.Struct):
    """Speech taken together: the sum of its unit vectors, each times its seconds, and the seconds."""

    total: Floats
    seconds: float

    def add(self, vector: Floats, seconds: float) -> None:
        """More of it."""
        self.total = self.total + vector * np.float32(seconds)
        self.seconds += seconds

    def join(self, other: "Heard") -> None:
        """Both are one speaker's."""
        self.total = self.total + other.total
        self.seconds += other.seconds

    @property
    def voice(self) -> Voice:
        """What it sounds like."""
        length = float(np.linalg.norm(self.total))
        return Voice(self.total / np.float32(length or 1.0), self.seconds)


def nothing() -> Heard:
    """Nothing has been heard."""
    return Heard(np.zeros(SIZE, np.float32), 0.0)


class Piece(msgspec.Struct):
    """A piece of speech, and whose it is taken for."""

    vector: Floats
    seconds: float
    number: int


class Roster:
    """Who has been heard."""

    def __init__(self) -> None:
        self.sure: dict[int, Heard] = {}
        self.pieces: list[Piece] = []
        self._next = 0

    @property
    def numbers(self) -> list[int]:
        """The numbers that have been given."""
        return list(self.sure)

    @property
    def full(self) -> bool:
        """Whether there is no further number to be had."""
        return self._next >= MOST

    def new(self) -> int:
        """The next number; nothing was heard of it yet."""
        number = self._next
        self.sure[number] = nothing()
        self._next += 1
        return number

    def heard(self, number: int, vector: Floats, seconds: float) -> None:
        """`seconds` of speech, surely of this speaker, sound like the unit vector `vector`."""
        self.sure[number].add(vector, seconds)

    def trim(self) -> None:
        """Have the oldest pieces, if there are too many, be part of what is surely their speaker's."""
        while len(self.pieces) > PIECES:
            oldest = self.pieces.pop(0)
            self.heard(oldest.number, oldest.vector, oldest.seconds)

    def all_of(self, number: int) -> Heard:
        """What was heard of a speaker."""
        found = nothing()
        found.join(self.sure[number])
        for piece in self.pieces:
            if piece.number == number:
                found.add(piece.vector, piece.seconds)
        return found

    def voices(self) -> dict[int, Voice]:
        """What each sounds like, of whom something was heard."""
        heard = {number: self.all_of(number) for number in self.sure}
        return {number: one.voice for number, one in heard.items() if one.seconds > 0}

    def ranked(self, vector: Floats) -> list[tuple[float, int]]:
        """Similarity and number of those who were heard, the most similar first."""
        found = [(float(vector @ voice.vector), number) for number, voice in self.voices().items()]
        return sorted(found, key=lambda pair: (-pair[0], pair[1]))

    def forget_number(self, kept: int, gone: int) -> None:
        """Two numbers are one speaker's."""
        self.sure[kept].join(self.sure.pop(gone))
        for piece in self.pieces:
            if piece.number == gone:
                piece.number = kept
