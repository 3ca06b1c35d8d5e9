"""Pieces of speech put together by voice: pieces of one voice in one cluster.

Operation: `clustered`. The two clusters that are most alike are joined, and again, until no two are as alike as their
pieces are among themselves, but for a part (`Alike.least`). So the measure is the conversation's own: two voices on one
telephone line have more in common than two takes of a lively reader, who is less like himself than others are. Of how
alike one voice is to itself, `USUAL_ALIKE` is known before anything is heard.

Likeness is the mean cosine over all pairs of pieces of two clusters, of directions `apart` from the usual voice, each
raised by what a piece as short lacks: two of `s` seconds, of one voice, are alike by about s / (s + `NOISE`).
Cost: n³ products of 256 numbers for n pieces, a few milliseconds for 160. Bounded by what it is given.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.speaker.embedding import Floats
from engine.speaker.roster import Heard, Piece
from engine.speaker.usual import apart

__all__ = ["Cluster", "clustered"]

NOISE = 1.0
"""Seconds. Measured between pieces of one person on the calibration side of `bench.voices`: 0.57 at 1.5 s, 0.62 at 2,
0.71 at 3, 0.77 at 4, 0.84 at 6."""

USUAL_ALIKE = 20.0
"""Seconds², pairs of pieces weighing the product of their lengths: as many pairs that are alike by 1 are added to those
that were heard."""

LEAST_WITHIN = 0.5
"""A cluster whose pieces have less than this in common is not taken for one voice's measure."""


class Cluster(msgspec.Struct):
    """Pieces of one voice. `number` is set where it is surely a speaker's, who counts as one piece.

    `total`: their directions, each times its length and what it lacks; `own`: the squares of these lengths.
    """

    total: Floats
    seconds: float
    own: float
    squares: float
    pieces: list[Piece]
    number: int | None = None

    @classmethod
    def of_piece(cls, piece: Piece) -> "Cluster":
        """One piece by itself."""
        return cls._of(piece.vector, piece.seconds, [piece])

    @classmethod
    def of_speaker(cls, number: int, sure: Heard) -> "Cluster":
        """Somebody who is known, and surely apart from other such."""
        return cls._of(sure.voice.vector, sure.seconds, [], number)

    @classmethod
    def _of(cls, vector: Floats, seconds: float, pieces: list[Piece], number: int | None = None) -> "Cluster":
        raised = seconds * seconds + NOISE * seconds
        total = apart(vector) * np.float32(np.sqrt(raised))
        return cls(total, seconds, raised, seconds * seconds, pieces, number)

    def join(self, other: "Cluster") -> None:
        """Both are one voice's."""
        self.total = self.total + other.total
        self.seconds += other.seconds
        self.own += other.own
        self.squares += other.squares
        self.pieces += other.pieces
        self.number = other.number if self.number is None else self.number


def clustered(clusters: Sequence[Cluster], least: float) -> list[Cluster]:
    """`clusters`, joined while two are alike by at least `least` of what their pieces are among themselves."""
    found = list(clusters)
    while len(found) > 1:
        first, second, alike = _most_alike(found)
        if alike < least:
            break
        other = found.pop(max(first, second))
        found[min(first, second)].join(other)
    return found


def _most_alike(clusters: Sequence[Cluster]) -> tuple[int, int, float]:
    """The two that are most alike, and by what part of what their pieces are among themselves."""
    totals = np.stack([cluster.total for cluster in clusters])
    seconds = np.array([cluster.seconds for cluster in clusters], np.float32)
    products = totals @ totals.T
    pairs = np.diag(products) - np.array([cluster.own for cluster in clusters], np.float32)
    weights = np.square(seconds) - np.array([cluster.squares for cluster in clusters], np.float32)
    within = (pairs[:, None] + pairs + USUAL_ALIKE) / (weights[:, None] + weights + USUAL_ALIKE)
    alike = products / np.outer(seconds, seconds) / np.maximum(within, LEAST_WITHIN)
    np.fill_diagonal(alike, -np.inf)
    sure = np.array([cluster.number is not None for cluster in clusters])
    alike[np.ix_(sure, sure)] = -np.inf  # who was told apart by somebody who knew stays apart
    first, second = divmod(int(alike.argmax()), len(clusters))
    return first, second, float(alike[first, second])
