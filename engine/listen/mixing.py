"""The channels of a call as one: what is tapped of each, added up sample by sample.

Operations: `read` exact runs, as from a `Tap`.
Invariants: every sample of every channel is in exactly one run. Nobody waits for a channel that is behind another: what
it has is mixed, what comes late is mixed with what comes then, so that channels stay as far apart as the most that one
was ever late.
Bounded by the taps. Cost: two additions a sample.
Cancellation of a read loses nothing.
"""

from collections.abc import Sequence

import numpy as np
import trio
from numpy.typing import NDArray

from engine.listen.tap import Run, Tap

__all__ = ["Mixed", "mix"]


class Mixed:
    """The taps of one call's channels; a context manager that closes them. One task reads."""

    def __init__(self, taps: Sequence[Tap]) -> None:
        self.position = 0
        """The next sample to be read."""
        self._taps = tuple(taps)

    @property
    def behind(self) -> int:
        """Samples of the longest channel that were heard and not read."""
        return max(tap.behind for tap in self._taps)

    async def read(self, samples: int) -> Run:
        """The next `samples` samples; fewer only once no more follow. See `Tap.read`."""
        async with trio.open_nursery() as nursery:
            for tap in self._taps:
                nursery.start_soon(_wait, tap, samples, nursery.cancel_scope)
        longest = min(samples, self.behind)
        runs = [tap.take(min(longest, tap.behind)) for tap in self._taps]
        lost = max(run.lost for run in runs)
        self.position += lost
        mixed = Run(self.position, mix([run.pcm for run in runs]), lost)
        self.position += longest
        return mixed

    def close(self) -> None:
        """Read no more. Idempotent."""
        for tap in self._taps:
            tap.close()

    def __enter__(self) -> "Mixed":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _wait(tap: Tap, samples: int, others: trio.CancelScope) -> None:
    """Until one has so many samples, or none has more to come."""
    await tap.wait(samples)
    if tap.behind >= samples:
        others.cancel()


def mix(channels: Sequence[bytes]) -> bytes:
    """Signed 16-bit samples added up, as long as the longest; what is too loud is cut."""
    total: NDArray[np.int32] = np.zeros(max(map(len, channels)) // 2, np.int32)
    for pcm in channels:
        total[: len(pcm) // 2] += np.frombuffer(pcm, np.int16)
    return np.clip(total, -32768, 32767).astype("<i2").tobytes()
