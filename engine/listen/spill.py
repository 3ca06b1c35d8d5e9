"""Audio that the ring can no longer hold, in a bounded file.

Operations: `append` the samples that follow those already there, `read` any that are still there, `forget`
those no longer needed.
Invariants: the file holds the samples `start` to `end` of the session, without a gap.
Bounded by `limit` samples; the file is circular, so a session that stays behind for hours uses no more.
Cost: one write and one read of 2 bytes a sample, off the loop; nothing at all until the first `append`.
PCM is kept rather than the client's packets: a decoder's state cannot be taken back to the middle of a stream,
and decoding twice would cost the most just when the machine is too slow already.

The file is unlinked as soon as it is open: it is gone with the process, and no recording is left behind.
"""

import os
import tempfile
from pathlib import Path

import msgspec

from engine.off_loop import OffLoop

BYTES_PER_SAMPLE = 2


class SpillStatistics(msgspec.Struct, frozen=True):
    """Samples held now, the most that may be held, and all that ever went through."""

    held: int
    limit: int
    total: int


class Spill:
    """A session's overflow. Not for use by two tasks at once, except that reads may run beside an append."""

    def __init__(self, folder: Path, limit: int, off_loop: OffLoop) -> None:
        self.start = 0
        self.end = 0
        self._folder = folder
        self._limit = limit
        self._off_loop = off_loop
        self._fd: int | None = None
        self._total = 0

    @property
    def held(self) -> int:
        """Samples in the file."""
        return self.end - self.start

    @property
    def room(self) -> int:
        """Samples that can still be appended."""
        return self._limit - self.held

    async def append(self, position: int, pcm: memoryview) -> None:
        """Add samples, the first of which is number `position`.

        Raises ValueError for more than `room` or a gap, OSError when the disk refuses; nothing was added then.
        """
        if len(pcm) > self.room:
            raise ValueError(f"{len(pcm)} samples do not fit: {self.room} of {self._limit} are free")
        if self.held and position != self.end:
            raise ValueError(f"samples from {position} on would leave a gap after {self.end}")
        await self._off_loop(self._write, position, pcm)
        if not self.held:
            self.start = position
        self.end = position + len(pcm)
        self._total += len(pcm)

    async def read(self, position: int, samples: int) -> memoryview:
        """Up to `samples` samples from number `position` on. LookupError when that one is not here."""
        if not self.start <= position < self.end:
            raise LookupError(f"sample {position} is not in the spill file ({self.start} to {self.end})")
        count = min(samples, self.end - position)
        data = await self._off_loop(self._pieces, position, count)
        return memoryview(data).cast("h").toreadonly()

    def forget(self, position: int) -> None:
        """Samples before `position` are no longer needed."""
        if self.held:
            self.start = min(max(position, self.start), self.end)

    def close(self) -> None:
        """Give the file back. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def statistics(self) -> SpillStatistics:
        """What is held now and what went through."""
        return SpillStatistics(held=self.held, limit=self._limit, total=self._total)

    def _file(self) -> int:
        if self._fd is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(suffix=".pcm", dir=self._folder)
            os.unlink(name)
            self._fd = descriptor
        return self._fd

    def _write(self, position: int, pcm: memoryview) -> None:
        data = pcm.cast("B")
        for offset, piece in self._places(position, len(pcm)):
            view, data = data[:piece], data[piece:]
            while view:
                written = os.pwrite(self._file(), view, offset)
                view, offset = view[written:], offset + written

    def _pieces(self, position: int, samples: int) -> bytes:
        return b"".join(os.pread(self._file(), size, at) for at, size in self._places(position, samples))

    def _places(self, position: int, samples: int) -> list[tuple[int, int]]:
        """Where samples lie in the circular file: (offset, length) in bytes, two when they wrap."""
        first = position % self._limit
        straight = min(samples, self._limit - first)
        places = [(first * BYTES_PER_SAMPLE, straight * BYTES_PER_SAMPLE)]
        if straight < samples:
            places.append((0, (samples - straight) * BYTES_PER_SAMPLE))
        return places
