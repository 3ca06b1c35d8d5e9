"""One run of one vendor in a session whose vendors may change.

Operations: `begun` lets it read, `release` takes the source from it; events say what became of it.
Invariants: it reads nothing before it has begun and nothing once it was released, so that of two only one ever reads.
"""

from typing import Protocol

import trio

from engine.audio.pump import Pump
from engine.stt._candidates import Candidate
from engine.stt.vendor import AudioSource, Chunk, PumpedSource, Ready, VendorError


class Rewindable(AudioSource, Protocol):
    """A source that can go back to the last sample covered."""

    def rewind(self) -> None: ...


class Leg:
    """One run of one vendor: the `AudioSource` it reads, and what became of it."""

    def __init__(self, candidate: Candidate, source: Rewindable) -> None:
        self.candidate = candidate
        self.begun = trio.Event()
        self.ready = trio.Event()
        self.relieved = trio.Event()
        self.over = trio.Event()
        self.error: VendorError | None = None
        self.worked = False
        self.took_over = False
        self.scope = trio.CancelScope()
        self.tells = Ready()
        self._inside = self._released = False
        self._outside: trio.Event | None = None
        self._source = source
        self._pumped = source if isinstance(source, PumpedSource) else None

    @property
    def position(self) -> int:
        """See `AudioSource.position`."""
        return self._source.position

    async def read(self, samples: int) -> Chunk:
        """See `AudioSource.read`; waits until the leg has begun."""
        await self.begun.wait()
        if self._released:
            await trio.sleep_forever()
        self._inside = True
        try:
            return await self._source.read(samples)
        finally:
            self._leave()

    def open_pump(self) -> Pump | None:
        """See `PumpedSource.open_pump`."""
        if self._pumped is None or self._released or not self.begun.is_set():
            return None
        pump = self._pumped.open_pump()
        self._inside = pump is not None
        return pump

    def close_pump(self) -> None:
        """See `PumpedSource.close_pump`."""
        if self._pumped is not None and self._inside:
            self._pumped.close_pump()
            self._leave()

    def _leave(self) -> None:
        self._inside = False
        if self._outside is not None:
            self._outside.set()

    async def release(self) -> None:
        """Cancel it, and return when it reads no more: the vendor may take its time to say goodbye."""
        self._released = True
        self.scope.cancel()
        if self._inside:
            self._outside = trio.Event()
            await first_of(self._outside, self.over)


async def first_of(*events: trio.Event) -> None:
    """Return when one of them has happened."""
    async with trio.open_nursery() as nursery:
        for event in events:
            nursery.start_soon(_then_cancel, event, nursery.cancel_scope)


async def _then_cancel(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
