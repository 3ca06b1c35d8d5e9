"""How much of the time the wrong person was said to speak: the diarization error rate.

As the evaluations of NIST define it (RT-09): missed, false and confused speaker time over speaker time, under the best
assignment of speakers to those of the reference. No collar; where two speak at once both count.
"""

from collections.abc import Sequence
from itertools import permutations

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["DiarizationError", "SpeakerTurn", "diarization_error", "read_rttm"]

STEP = 0.01
"""Seconds of a cell in which somebody speaks or not."""


class SpeakerTurn(msgspec.Struct, frozen=True):
    """Somebody speaks from `start` to `end`, in seconds."""

    start: float
    end: float
    speaker: str


class DiarizationError(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the reference's speaker time; `rate` is the sum of the other three."""

    rate: float
    missed: float
    false: float
    confused: float
    speakers: int


def read_rttm(text: str) -> list[SpeakerTurn]:
    """The turns in a file of NIST's Rich Transcription Time Marked format."""
    lines = [line.split() for line in text.splitlines() if line.startswith("SPEAKER")]
    return [SpeakerTurn(float(f[3]), float(f[3]) + float(f[4]), f[7]) for f in lines]


def diarization_error(truth: Sequence[SpeakerTurn], heard: Sequence[SpeakerTurn]) -> DiarizationError:
    """Of `heard`, measured against `truth`, of which there is some."""
    cells = round(max(turn.end for turn in (*truth, *heard)) / STEP) + 1
    real, said = _cells(truth, cells), _cells(heard, cells)
    real_count, said_count = _count(real, cells), _count(said, cells)
    total = int(real_count.sum())
    right = _best(real, said)
    both = int(np.minimum(real_count, said_count).sum())
    missed = int(np.maximum(real_count - said_count, 0).sum())
    false = int(np.maximum(said_count - real_count, 0).sum())
    return DiarizationError(
        rate=(missed + false + both - right) / total,
        missed=missed / total,
        false=false / total,
        confused=(both - right) / total,
        speakers=len(said),
    )


def _cells(turns: Sequence[SpeakerTurn], cells: int) -> list[NDArray[np.bool_]]:
    speaking: dict[str, NDArray[np.bool_]] = {}
    for turn in turns:
        row = speaking.setdefault(turn.speaker, np.zeros(cells, np.bool_))
        row[round(turn.start / STEP) : round(turn.end / STEP)] = True
    return list(speaking.values())


def _count(speaking: Sequence[NDArray[np.bool_]], cells: int) -> NDArray[np.int64]:
    count = np.zeros(cells, np.int64)
    for row in speaking:
        count += row
    return count


def _best(real: Sequence[NDArray[np.bool_]], said: Sequence[NDArray[np.bool_]]) -> int:
    """Cells in which the right one speaks, under the assignment that makes them most."""
    overlap = [[int((one & other).sum()) for other in said] for one in real]
    places = list(range(len(said))) + [-1] * len(real)
    return max(
        sum(overlap[index][place] for index, place in enumerate(chosen) if place >= 0)
        for chosen in set(permutations(places, len(real)))
    )
