"""The session's audio: one writer, named readers, positions that never wrap. Memory is C (native/src/ring.h).

Operations: `reserve` and `commit` (or `write`) on the writing side; `cursor` for a reader that keeps its
place; `window` for anyone who knows a position. `RingPool` hands used rings on while their memory is warm.
Invariants: `write_position` is the number of samples ever written. A lossless cursor is never overrun: the
write that would do it raises `RingFull` and changes nothing. A lossy one is moved on and counts what it lost.
Views are read-only, contiguous, and no copies. **A view is valid until its samples are overwritten**: for a
lossless cursor until it advances past them, for a lossy one or a `window` until `capacity` more samples came.
Closing the ring never takes memory from a view: it is unmapped when the last one is dropped, and a pool does
not hand on a ring that somebody still looks at.
Bounded: `capacity` samples, 8 cursors. Cost: see `python -m bench.ring`.
Known doubt: a process made by fork shares the memory with its parent; do not fork while sessions live.
"""

from typing import Any

import msgspec

from engine._native import ffi, lib
from engine.audio import _memory

__all__ = [
    "Cursor",
    "CursorStatistics",
    "PoolStatistics",
    "Ring",
    "RingFull",
    "RingPool",
    "RingStatistics",
]


class RingFull(Exception):
    """A write would overwrite what a lossless cursor has not read. Nothing was written."""


class CursorStatistics(msgspec.Struct, frozen=True):
    """A reader at a moment, in samples. `overrun`: lost unread, only ever more than 0 for a lossy one."""

    name: str
    lossless: bool
    position: int
    available: int
    overrun: int


class RingStatistics(msgspec.Struct, frozen=True):
    """A ring at a moment, in samples."""

    capacity: int
    write_position: int
    headroom: int
    cursors: tuple[CursorStatistics, ...]


class PoolStatistics(msgspec.Struct, frozen=True):
    """Rings: idle, in use, ever mapped, handed out again; given up on release (too many idle, or in view)."""

    idle: int
    idle_limit: int
    in_use: int
    mapped: int
    reused: int
    surplus: int
    in_view: int


class Ring:
    """Signed 16-bit samples at 16 kHz, mono. One thread at a time.

    `capacity_samples` is rounded up to whole pages of memory. Raises `OSError` when memory or maps run out,
    `ValueError` when it is not positive. After `close` every method but `close` and `statistics` raises
    `ValueError`.
    """

    def __init__(self, capacity_samples: int, *, _used: Any = None) -> None:
        self._memory = _memory.map_ring(capacity_samples) if _used is None else _used
        self.capacity: int = self._memory.capacity
        self._view = _memory.view(self._memory)
        self._room = _memory.writable(self._memory)
        self._cursors: list[Cursor] = []
        self._last: RingStatistics | None = None

    @property
    def write_position(self) -> int:
        """Samples ever written = the position of the next one."""
        written: int = self._native().written
        return written

    def reserve(self, samples: int) -> Any:
        """Room for the next `samples` samples, contiguous: an `int16_t *`, valid until the next commit.

        Writing there destroys the oldest samples: check `headroom` before. Raises `ValueError` when
        `samples` is more than the ring holds.
        """
        if not 0 <= samples <= self.capacity:
            raise ValueError(f"samples: {samples} is not between 0 and the ring's capacity, {self.capacity}")
        return lib.ring_reserve(self._native())

    def reserve_view(self, samples: int) -> memoryview:
        """The same room as `reserve`, as a writable view of format 'h'; not to be kept."""
        if not 0 <= samples <= self.capacity:
            raise ValueError(f"samples: {samples} is not between 0 and the ring's capacity, {self.capacity}")
        offset = self._native().written % self.capacity
        return self._room[offset : offset + samples]

    def commit(self, samples: int) -> None:
        """Make `samples` reserved samples readable. Raises `RingFull`, having changed nothing."""
        if samples < 0:
            raise ValueError(f"samples: {samples} is negative")
        if lib.ring_commit(self._native(), samples) < 0:
            raise self._full(samples)

    def write(self, pcm: Any) -> None:
        """Copy in signed 16-bit samples, any contiguous buffer. Raises `RingFull`, having changed nothing."""
        data = ffi.from_buffer("int16_t[]", pcm)
        if lib.ring_write(self._native(), data, len(data)) < 0:
            raise self._full(len(data))

    def headroom(self) -> int:
        """Samples that can be written before a lossless cursor would be overrun; `capacity` without one."""
        return lib.ring_headroom(self._native())

    def want(self, position: int) -> None:
        """Have a native writer tell when samples up to `position` are there, once; the least of several counts."""
        memory = self._native()
        if position < memory.wanted:
            memory.wanted = position

    def cursor(self, name: str, *, lossless: bool = True, at: int | None = None) -> "Cursor":
        """A reader that starts at position `at` (default: the next sample to be written).

        Raises `LookupError` when `at` is not in the ring, `ValueError` when the name is taken or 8 are open.
        """
        memory = self._native()
        if any(cursor.name == name for cursor in self._cursors):
            raise ValueError(f"name: a cursor {name!r} is open already")
        position = memory.written if at is None else at
        use = lib.CURSOR_LOSSLESS if lossless else lib.CURSOR_LOSSY
        slot = lib.ring_cursor_open(memory, use, position) if position >= 0 else -2
        if slot == -2:
            raise self._outside("at", position)
        if slot < 0:
            raise ValueError(f"name: no room for cursor {name!r}, {lib.RING_CURSORS} are open")
        cursor = Cursor(self, name, lossless, ffi.addressof(memory.cursors, slot))
        self._cursors.append(cursor)
        return cursor

    def window(self, start: int, end: int) -> memoryview:
        """Samples `start` to `end`: read-only, format 'h', no copy. Raises `LookupError` if some are gone."""
        written = self._native().written
        if not max(0, written - self.capacity) <= start <= end <= written:
            raise self._outside("start, end", f"{start}, {end}")
        offset = start % self.capacity
        return self._view[offset : offset + end - start]

    def close(self) -> None:
        """Close all cursors and let go of the memory, which views still in use keep. Idempotent."""
        if self._memory is not None:
            self._last = self.statistics()
            for cursor in tuple(self._cursors):
                cursor.close()
            self._view = self._room = _memory.NOTHING
            self._memory = None

    def statistics(self) -> RingStatistics:
        """Positions and readers now; after `close`, as they were then."""
        if self._last is not None:
            return self._last
        return RingStatistics(
            capacity=self.capacity,
            write_position=self.write_position,
            headroom=self.headroom(),
            cursors=tuple(cursor.statistics() for cursor in self._cursors),
        )

    def _native(self) -> Any:
        memory = self._memory
        if memory is None:
            raise ValueError("the ring is closed")
        return memory

    def _full(self, samples: int) -> RingFull:
        return RingFull(
            f"{samples} samples do not fit: {self.headroom()} of {self.capacity} are free to overwrite"
        )

    def _outside(self, parameter: str, value: object) -> LookupError:
        written = self.write_position
        oldest = max(0, written - self.capacity)
        return LookupError(f"{parameter}: {value} is outside the ring, which holds {oldest} to {written}")


class Cursor:
    """A reader's place in a ring; see `Ring.cursor`. Raises `ValueError` once it or its ring is closed."""

    def __init__(self, ring: Ring, name: str, lossless: bool, slot: Any) -> None:
        self.name = name
        self.lossless = lossless
        self._ring = ring
        self._slot = slot

    @property
    def position(self) -> int:
        """The next sample to be read."""
        position: int = self._native().position
        return position

    @property
    def available(self) -> int:
        """Samples written and not read."""
        unread: int = self._ring._native().written - self._native().position
        return unread

    @property
    def overrun(self) -> int:
        """Samples overwritten before they were read; always 0 for a lossless cursor."""
        overrun: int = self._native().overrun
        return overrun

    def peek(self, samples: int) -> memoryview:
        """The next up to `samples` samples, read-only, format 'h', no copy. Does not advance."""
        if samples < 0:
            raise ValueError(f"samples: {samples} is negative")
        ring = self._ring
        position = self._native().position
        available = ring._memory.written - position
        offset = position % ring.capacity
        return ring._view[offset : offset + (samples if samples < available else available)]

    def advance(self, samples: int) -> None:
        """Have read `samples` samples. Raises `ValueError` when fewer are available."""
        slot = self._native()
        if not 0 <= samples <= self._ring._memory.written - slot.position:
            raise ValueError(f"samples: {samples} is not between 0 and the {self.available} available")
        slot.position += samples

    def seek(self, position: int) -> None:
        """Read from `position` next, back or forth. Raises `LookupError` when that is not in the ring."""
        slot = self._native()
        written = self._ring._memory.written
        if not max(0, written - self._ring.capacity) <= position <= written:
            raise self._ring._outside("position", position)
        slot.position = position

    def close(self) -> None:
        """Give the place up: it no longer holds the writer back. Idempotent."""
        if self._slot is not None:
            self._slot.use = lib.CURSOR_FREE
            self._slot = None
            self._ring._cursors.remove(self)

    def statistics(self) -> CursorStatistics:
        """The reader now."""
        return CursorStatistics(self.name, self.lossless, self.position, self.available, self.overrun)

    def _native(self) -> Any:
        slot = self._slot
        if slot is None:
            raise ValueError(f"cursor {self.name!r} is closed")
        return slot


class RingPool:
    """Hands used rings on: the first pass over new memory costs far more than the others (page faults).

    A ring that is acquired is as new. Memory that somebody still has a view of is not handed on. Bounded:
    `idle_limit` idle rings of `capacity_samples`; whoever acquires bounds those in use. One thread at a time.
    """

    def __init__(self, capacity_samples: int, idle_limit: int) -> None:
        self.capacity_samples = capacity_samples
        self._idle_limit = idle_limit
        self._idle: list[Any] = []
        self._in_use = self._mapped = self._reused = self._surplus = self._in_view = 0

    def acquire(self) -> Ring:
        """An empty ring, warm when there is one. Raises `OSError` when memory or maps run out."""
        if self._idle:
            memory = self._idle.pop()
            lib.ring_reset(memory)
            ring = Ring(self.capacity_samples, _used=memory)
            self._reused += 1
        else:
            ring = Ring(self.capacity_samples)
            self._mapped += 1
        self._in_use += 1
        return ring

    def release(self, ring: Ring) -> None:
        """Close `ring`, which was acquired here, and keep its memory if nobody looks at it. Idempotent."""
        memory = ring._memory
        if memory is None:
            return
        watch = _memory.watch(ring._view)
        ring.close()
        self._in_use -= 1
        if watch() is not None:
            self._in_view += 1
        elif len(self._idle) >= self._idle_limit:
            self._surplus += 1
        else:
            self._idle.append(memory)

    def statistics(self) -> PoolStatistics:
        """How many rings there are, and what became of the others."""
        return PoolStatistics(
            idle=len(self._idle),
            idle_limit=self._idle_limit,
            in_use=self._in_use,
            mapped=self._mapped,
            reused=self._reused,
            surplus=self._surplus,
            in_view=self._in_view,
        )
