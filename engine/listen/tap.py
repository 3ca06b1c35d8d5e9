"""A session's audio for those who want it beside its transcription: exact runs of samples, copied out of the ring.

Operations: whoever wants audio has `Taps.open` give a `Tap` and `read`s from it; whoever writes to the ring says
`make_room` before and `grown` after, and `finish` when no audio follows, before the ring goes.
Invariants: nobody who writes ever waits for a tap, and a tap never makes a write fail. Runs are in order and have no
gap inside; each sample is in at most one. `Tap.lost` is every sample that went by unread, always 0 for a lossless tap
that is never more than `keep` samples behind. What was heard can still be read after
`finish`.
Bounded: a lossless tap by `keep` samples and those of the ring, in memory; a lossy one by the ring; 7 taps.
Cost: nothing while there is none. Else a comparison for each call of `grown`, one copy of the samples and one
wake-up of the reader for each run; native code that writes to the ring tells when a run is there, and not before.
"""

import math

import msgspec
import trio

from engine.audio.ring import Ring

__all__ = ["Run", "Tap", "TapStatistics", "Taps"]

BYTES_PER_SAMPLE = 2
SHARE = 4
"""A lossless tap moves what it has not read out of the ring when it is a `1 / SHARE` of it."""


class Run(msgspec.Struct, frozen=True, gc=False):
    """Signed 16-bit little-endian samples at 16 kHz, the first of which is number `position` of the session.

    `lost`: so many before it were not read in time.
    """

    position: int
    pcm: bytes
    lost: int = 0

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.pcm) // BYTES_PER_SAMPLE


class TapStatistics(msgspec.Struct, frozen=True):
    """A tap at a moment, in samples: `behind` were heard and not read, `kept` of them are out of the ring."""

    name: str
    lossless: bool
    position: int
    behind: int
    kept: int
    lost: int


class Tap:
    """One reader's. Made by `Taps.open`; a context manager that closes it. One task reads."""

    def __init__(self, taps: "Taps", ring: Ring, name: str, lossless: bool, keep: int) -> None:
        self.name = name
        self.lossless = lossless
        self.lost = 0
        self.due: float = math.inf
        """The ring's position at which `grown` has something to do here."""
        self._taps = taps
        self._ring = ring
        self._cursor = ring.cursor(name, lossless=lossless)
        self._position = self._cursor.position
        self._share = ring.capacity // SHARE
        self._keep = keep if lossless else min(keep, ring.capacity // 2)
        self._kept = bytearray()
        self._read_lost = 0
        self._wanted: float = math.inf
        self._over = False
        self._closed = False
        self._arrived = trio.Event()
        self.arm()

    @property
    def position(self) -> int:
        """The next sample to be read, if it is not lost meanwhile."""
        return self._position

    @property
    def behind(self) -> int:
        """Samples heard and not read."""
        return self._kept_samples + (0 if self._over else self._cursor.available)

    @property
    def over(self) -> bool:
        """Whether no more follow: what is behind is the rest."""
        return self._over

    async def read(self, samples: int) -> Run:
        """The next `samples` samples; fewer only once no more follow, and then, when all are read, none.

        Raises ValueError when it would have to keep more than it may. Cancellation loses nothing.
        """
        await self.wait(samples)
        return self.take(min(samples, self.behind))

    async def wait(self, samples: int) -> None:
        """Return when so many samples are behind, or no more follow. Raises ValueError as `read` does."""
        if not 0 < samples <= self._keep:
            raise ValueError(f"samples: {samples} is not between 1 and the {self._keep} that may be kept")
        if self.behind >= samples or self._over:
            await trio.lowlevel.checkpoint()
        while self.behind < samples and not self._over:
            self._wanted = self._position + samples
            self._arrived = trio.Event()
            self.arm()
            await self._arrived.wait()

    def take(self, samples: int) -> Run:
        """The next `samples` of those that are behind, at once."""
        if not self._over:
            self._skip()
        kept = min(samples, self._kept_samples)
        with memoryview(self._kept) as view:
            pcm = bytes(view[: kept * BYTES_PER_SAMPLE])
        del self._kept[: kept * BYTES_PER_SAMPLE]
        if kept < samples:
            pcm += self._cursor.peek(samples - kept).cast("B")
            self._cursor.advance(samples - kept)
        run = Run(self._position, pcm, self.lost - self._read_lost)
        self._read_lost = self.lost
        self._position += samples
        self.arm()
        return run

    def close(self) -> None:
        """Read no more. Idempotent."""
        if not self._closed:
            self._closed = self._over = True
            self._cursor.close()
            self._kept.clear()
            self.due = math.inf
            self._taps.forget(self)

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def statistics(self) -> TapStatistics:
        """The tap now."""
        return TapStatistics(
            self.name, self.lossless, self._position, self.behind, self._kept_samples, self.lost
        )

    # For `Taps`

    def arm(self) -> None:
        """Have it known when there is something to do."""
        if self._over:
            self.due = math.inf
        elif self.lossless:
            self.due = min(self._wanted, self._cursor.position + self._share)
        else:
            self.due = self._wanted
        if self.due < math.inf:
            self._ring.want(int(self.due))

    def grown(self, written: int) -> None:
        """The ring has got to `due`."""
        if written >= self._wanted:
            self._wanted = math.inf
            self._arrived.set()
        elif self.lossless:
            self.spare()
        self.arm()

    @property
    def unspared(self) -> int:
        """Samples that only the ring has, and has to keep."""
        return self._cursor.available if self.lossless and not self._over else 0

    def spare(self) -> None:
        """Move what is unread out of the ring; the oldest is dropped, and counted, if that is too much to keep."""
        self._kept += self._cursor.peek(self._cursor.available).cast("B")
        self._cursor.advance(self._cursor.available)
        excess = self._kept_samples - self._keep
        if excess > 0:
            del self._kept[: excess * BYTES_PER_SAMPLE]
            self.lost += excess
            self._position += excess

    def finish(self) -> None:
        """No samples follow: what is unread can be read without the ring. Idempotent."""
        if self._over:
            return
        self._skip()
        self._kept += self._cursor.peek(self._cursor.available).cast("B")
        self._cursor.close()
        self._over = True
        self._arrived.set()
        self.arm()

    # Inside

    @property
    def _kept_samples(self) -> int:
        return len(self._kept) // BYTES_PER_SAMPLE

    def _skip(self) -> None:
        """Go on where the ring still has samples, if the writer of a lossy one has passed the reader."""
        if not self.lossless and self._cursor.position > self._position:
            self.lost += self._cursor.position - self._position
            self._position = self._cursor.position


class Taps:
    """The taps of one ring."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._taps: tuple[Tap, ...] = ()
        self.finished = False
        """Whether no samples follow."""

    def open(self, name: str, *, lossless: bool = True, keep: int) -> Tap:
        """A tap that begins with the next sample. `keep`: the most samples it may be behind, or read at once;
        for a lossy one both are at most half the ring.

        Raises ValueError when there is one of that name, no room for another, or when no samples follow.
        """
        if self.finished:
            raise ValueError(f"name: {name!r} comes too late, the session's audio is over")
        tap = Tap(self, self._ring, name, lossless, keep)
        self._taps = (*self._taps, tap)
        return tap

    def forget(self, tap: Tap) -> None:
        """It has been closed."""
        self._taps = tuple(other for other in self._taps if other is not tap)

    def grown(self) -> None:
        """Samples were written: by native code, which forgets what was wanted of it once it has told somebody."""
        if not self._taps or self.finished:
            return
        written = self._ring.write_position
        for tap in self._taps:
            if written >= tap.due:
                tap.grown(written)
            else:
                tap.arm()

    def make_room(self, samples: int) -> None:
        """See to it that no tap is in the way of so many samples."""
        for tap in self._taps:
            if tap.unspared > self._ring.capacity - samples:
                tap.spare()
                tap.arm()

    def finish(self) -> None:
        """No samples follow. Idempotent."""
        self.finished = True
        for tap in self._taps:
            tap.finish()

    def statistics(self) -> tuple[TapStatistics, ...]:
        """Each tap now."""
        return tuple(tap.statistics() for tap in self._taps)
