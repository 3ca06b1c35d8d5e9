"""All audio that speech-to-text has not covered yet, as one stream: the ring, and a spill file before it.

Operations: the receiving side calls `make_room` before it decodes and `grown` after; the vendor `read`s; the
session `cover`s what a final result has covered. `flush` and `finish` make the vendor transcribe what it has.
Invariants: covered <= position <= ring.write_position. Samples from `covered` on are in the spill file up to
`spill.end` and in the ring from there; the ring's cursor stands at the oldest sample that only the ring has.
Bounded by the ring's capacity plus the spill's limit. When both are full `make_room` waits, and with it the
client's socket: nothing is dropped.
Cost: a read inside the ring is a view, no copy. The reader is woken when what it asked for is there, not by
each packet; not at all while a pump reads in its place. Who begins again does so with what is over beside whole reads:
from then on reads end where packets end, else each would wait for a packet more.
"""

import trio

from engine.audio.pump import Pump
from engine.audio.ring import Ring
from engine.listen.spill import Spill
from engine.listen.stages import Readings
from engine.log import get_logger
from engine.stt.vendor import Chunk

log = get_logger(__name__)


class Backlog:
    """The `AudioSource` of a session's vendor. One writer task, one reader task."""

    def __init__(self, ring: Ring, spill: Spill, margin: int) -> None:
        """`margin`: begin to spill when fewer than this many samples are free in the ring."""
        self.covered = 0
        self.margin = margin
        self._ring = ring
        self._spill = spill
        self._cursor = ring.cursor("speech to text", lossless=True)
        self._position = 0
        self._pump: Pump | None = None
        self._flush_at: int | None = None
        self._flush_asked = 0
        self._end: int | None = None
        self._wanted = 0
        self._begun_again = False
        self._arrived = trio.Event()
        self._progress = trio.lowlevel.ParkingLot()
        self._readings = Readings()

    @property
    def position(self) -> int:
        """See `AudioSource.position`."""
        return self._position if self._pump is None else self._pump.position

    @property
    def waiting(self) -> int:
        """Samples received that no final result covers."""
        return self._ring.write_position - self.covered

    @property
    def unread(self) -> int:
        """Samples received that the vendor has not read."""
        return self._ring.write_position - self.position

    # The receiving side

    async def make_room(self, samples: int) -> None:
        """Return when `samples` samples can be written to the ring.

        Old audio is moved to the spill file first; only when that is full too (or the disk refuses) does this
        wait for the vendor. Cancellation loses nothing.
        """
        wanted = min(samples + self.margin, self._ring.capacity)
        while self._ring.headroom() < wanted:
            moved = await self._spill_oldest()
            if moved:
                continue
            if self._ring.headroom() >= samples:
                return
            await self._progress.park()

    def grown(self) -> None:
        """Samples were written to the ring: wake the reader if that is what it waits for."""
        if self._pump is not None:
            self._pump.push()
        elif self._ring.write_position >= self._wanted:
            self._arrived.set()
        else:
            self._ring.want(self._wanted)

    def flush(self) -> int:
        """Ask the vendor to transcribe everything received so far; the position that will be covered."""
        self._flush_at = self._flush_asked = self._ring.write_position
        self._interrupt()
        return self._flush_asked

    def finish(self) -> None:
        """No more audio follows. Idempotent."""
        if self._end is None:
            self._end = self._ring.write_position
            self._interrupt()

    async def wait_covered(self, position: int) -> None:
        """Return when everything before `position` is covered."""
        while self.covered < position:
            await self._progress.park()

    # The vendor's side

    async def read(self, samples: int) -> Chunk:
        """See `AudioSource.read`."""
        while True:
            limit = self._limit()
            if limit is not None and limit <= self.position + samples:
                return await self._last_before(limit)
            if self.unread >= samples:
                over = self.unread % samples if self._begun_again else 0
                self._begun_again = False
                return await self._take(over or samples)
            self._wanted = self.position + samples
            self._ring.want(self._wanted)
            self._arrived = trio.Event()
            await self._arrived.wait()

    def open_pump(self) -> Pump | None:
        """See `PumpedSource.open_pump`. Audio that is in the file has to be `read`."""
        if self._limit() is not None or self._position < self._cursor.position:
            return None
        self._pump = Pump(self._ring, self._cursor, self._position)
        return self._pump

    def close_pump(self) -> None:
        """See `PumpedSource.close_pump`."""
        if self._pump is not None:
            self._pump.stop()
            self._position = self._pump.position
            self._readings.note(self._position, self.read_at(self._position))
            self._pump = None

    def read_at(self, position: int) -> int | None:
        """When the sample before `position` was given to the vendor (CLOCK_MONOTONIC, ns); None: not known any more.

        Positions asked for rise.
        """
        by_itself = self._pump.sent_at(position) if self._pump is not None else None
        return self._readings.of(position) if by_itself is None else by_itself

    def cover(self, position: int) -> None:
        """Everything before `position` is done with: its memory may be used again."""
        self.covered = covered = min(max(self.covered, position), self._ring.write_position)
        self._position = max(self._position, covered)
        self._spill.forget(covered)
        oldest = max(covered, self._spill.end)
        if oldest > self._cursor.position:
            self._cursor.seek(oldest)
        if self._progress:
            self._progress.unpark_all()

    def rewind(self) -> None:
        """Read again from the last sample covered: the vendor that had read further is gone, asked or not."""
        self._position = self.covered
        self._begun_again = True
        if self._flush_asked > self.covered:
            self._flush_at = self._flush_asked

    def close(self) -> None:
        """Release the ring's cursor and the file. Idempotent."""
        self._cursor.close()
        self._spill.close()

    # Inside

    def _interrupt(self) -> None:
        """There is more to tell the reader than samples."""
        self._arrived.set()
        if self._pump is not None:
            self._pump.stop()

    def _limit(self) -> int | None:
        """Where the next flush or the end is, if there is one."""
        if self._flush_at is not None and (self._end is None or self._flush_at < self._end):
            return self._flush_at
        return self._end

    async def _last_before(self, limit: int) -> Chunk:
        """The chunk that reaches a flush or the end; the read of it may be cancelled and repeated."""
        samples = limit - self.position
        chunk = await self._take(samples) if samples > 0 else Chunk(_EMPTY, self.position)
        if self.position < limit:  # the spill file and the ring do not meet inside one chunk
            return chunk
        end = limit == self._end
        if self._flush_at is not None and self._flush_at <= limit:
            self._flush_at = None
        return Chunk(chunk.pcm, chunk.position, flush=not end, end=end)

    async def _take(self, samples: int) -> Chunk:
        position = self.position
        if position < self._spill.end:
            pcm = await self._spill.read(position, samples)
        else:
            await trio.lowlevel.checkpoint()
            pcm = self._ring.window(position, position + samples)
        self._position = position + len(pcm)
        self._readings.note(self._position)
        return Chunk(pcm, position)

    async def _spill_oldest(self) -> bool:
        """Move the oldest audio that only the ring has to the file; False when there is nothing or no room."""
        samples = min(self._cursor.available, self._spill.room, max(self.margin, 1))
        if samples <= 0:
            return False
        position = self._cursor.position
        try:
            await self._spill.append(position, self._cursor.peek(samples))
        except OSError as error:
            log.error("cannot spill audio to disk; the client is slowed down", error=str(error))
            return False
        self._cursor.seek(max(self._cursor.position, position + samples))
        self._spill.forget(self.covered)
        return True


_EMPTY = memoryview(b"").cast("h").toreadonly()
