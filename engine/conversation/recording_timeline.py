"""The pieces of a conversation's recording, laid out on its timeline and made one sound.

Invariants: a piece is where its words are: its place is reckoned from the conversation's beginning as the times of
segments are. Pieces of one session join to the sample; where nothing was recorded there is silence; what was recorded
by two sessions at once is added up. A piece that cannot be read is silence.
Bounded: in memory are the pieces that sound at one moment, and `WINDOW` samples of the result.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.moments import SECOND
from engine.store.user_records import RecordingRow
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["Placed", "lay_out", "length", "mixed", "sound"]

Samples = NDArray[np.int16]

WINDOW = 10 * SAMPLE_RATE
"""Samples that are made at once."""
LONGEST = 37 * 3600 * SAMPLE_RATE
"""Samples of which anything is heard: a WAV file ends at 4 GiB, and a clock that was set may put pieces anywhere."""


class Placed(msgspec.Struct, frozen=True):
    """A piece that begins at sample `position` of its conversation; before 0 nothing is heard of it."""

    row: RecordingRow
    position: int

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.position + self.row.samples


def lay_out(rows: Sequence[RecordingRow], started_at: int) -> list[Placed]:
    """Pieces in the order of time, of a conversation that began at `started_at` (µs since the epoch)."""
    placed = [Placed(row, _samples(row.base_at - started_at) + row.start) for row in rows]
    return sorted(placed, key=lambda piece: piece.position)


def length(pieces: Sequence[Placed]) -> int:
    """Samples from the conversation's beginning to the end of the last piece, at most `LONGEST`."""
    return max(0, min(max((piece.end for piece in pieces), default=0), LONGEST))


def _samples(microseconds: int) -> int:
    """The nearest number of samples."""
    return (microseconds * 2 * SAMPLE_RATE + SECOND) // (2 * SECOND)


async def sound(
    pieces: Sequence[Placed], read: Callable[[RecordingRow], Awaitable[Samples | None]]
) -> AsyncIterator[Samples]:
    """The whole, as long as `length` says, in parts; `read` gives the samples of a piece, None when there are none."""
    waiting = list(reversed(pieces))
    sounding: list[tuple[Placed, Samples]] = []
    total = length(pieces)
    for start in range(0, total, WINDOW):
        end = min(start + WINDOW, total)
        while waiting and waiting[-1].position < end:
            piece = waiting.pop()
            samples = await read(piece.row)
            if samples is not None:
                sounding.append((piece, samples))
        yield mixed(sounding, start, end)
        sounding = [(piece, samples) for piece, samples in sounding if piece.end > end]


def mixed(sounding: Sequence[tuple[Placed, Samples]], start: int, end: int) -> Samples:
    """What these pieces sound like together from sample to sample of their conversation."""
    sum = np.zeros(end - start, np.int32)
    for piece, samples in sounding:
        first = max(piece.position, start)
        part = samples[first - piece.position : end - piece.position]
        sum[first - start : first - start + len(part)] += part
    return np.clip(sum, -32768, 32767).astype(np.int16)
