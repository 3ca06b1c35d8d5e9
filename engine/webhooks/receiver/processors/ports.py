"""What a processor is given, and what it must be."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["SAMPLE_RATE", "Piece", "Processor", "Result"]

SAMPLE_RATE = 16_000
"""Hz: what pieces are resampled to, whatever they came with."""

Result: TypeAlias = Mapping[str, Any]
"""What was measured: anything that JSON can say."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The audio of one request. `samples`: int16, shape (n,), at 16 kHz.

    `start` is where it begins, in seconds since its session began. `voice_allowed`: whether what is made of it may tell
    voices apart, since the user has enrolled theirs or the operator answers for it.
    """

    uid: str
    session_id: str
    start: float
    samples: NDArray[np.int16]
    voice_allowed: bool

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples.size / SAMPLE_RATE


class Processor(Protocol):
    """Measures audio. Made without arguments, one for each session, so that it may remember what came before."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        """What there is to say about a piece; None for nothing.

        Called in a thread, for one piece after the other. `earlier` has what the processors before this one in the
        chain said about the same piece, by their names. What it raises is logged, and stands in the results.
        """
        ...
