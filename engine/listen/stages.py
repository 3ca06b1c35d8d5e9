"""Where the time of what was said goes on its way to its segment. Clocks here are CLOCK_MONOTONIC, in ns.

Operations: `Readings.note` whenever the vendor is given audio, `Readings.of` a position when its words are there.
Invariants: positions rise.
Bounded: the last `KEPT` readings; of audio before these nobody knows when it was read.
Cost: half a microsecond a reading.
Known doubts: a vendor's stream that is replaced reads again; then the later reading counts.
"""

from collections import deque
from time import monotonic_ns

import msgspec

from engine.wire.messages import Timing

KEPT = 512
"""Readings: 51 s of audio in chunks of 100 ms."""


class Passage(msgspec.Struct, frozen=True, gc=False):
    """What came before a final result, in ns, and when the result came. README defines the stages."""

    receive: int
    decode: int
    queue: int
    vendor: int
    told_at: int

    @property
    def latency(self) -> int:
        """From the arrival of the last word to the result."""
        return self.queue + self.vendor

    def timing(self, kept_at: int) -> Timing:
        """In µs, for a segment in the journal since `kept_at`; nothing is sent yet."""
        merge = kept_at - self.told_at
        stages = (self.receive, self.decode, self.queue, self.vendor, merge, 0)
        return Timing(*(stage // 1000 for stage in stages))


def no_audio() -> Passage:
    """Of words that came without audio, just now."""
    return Passage(0, 0, 0, 0, monotonic_ns())


class Readings:
    """When which audio was given to the vendor."""

    def __init__(self) -> None:
        self._readings: deque[tuple[int, int]] = deque(maxlen=KEPT)

    def note(self, position: int, at: int | None = None) -> None:
        """The vendor has everything before `position`, as of now or of `at`."""
        readings = self._readings
        while readings and readings[-1][0] >= position:
            readings.pop()  # it reads again what another one had
        readings.append((position, monotonic_ns() if at is None else at))

    def of(self, position: int) -> int | None:
        """When the vendor was given the sample before `position`; None when that is not known (any more).

        Readings before that are forgotten: positions asked for rise.
        """
        readings = self._readings
        while len(readings) > 1 and readings[0][0] < position:
            readings.popleft()
        return readings[0][1] if readings and readings[0][0] >= position else None
