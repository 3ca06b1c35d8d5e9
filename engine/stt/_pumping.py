"""The audio of one stream that native code sends by itself, and the stream's books about it.

Operations: `opened` sets a pump up for this stream and takes its last news; `take` books what it has sent since the
last time; while `held` it sends nothing, so that other messages keep their place among those of audio.
Invariants: protocol, coverage and pace know of all audio sent whenever they are asked for anything, because `take`
came before; a pump that was stopped sends no more.
Bounded by the vendor's own limits, which native code keeps: its pace, and its window of unacknowledged messages.
Cost: nothing for each message. A pump whose vendor says nothing tells every `TELL` samples.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from engine.audio.pump import Pump
from engine.stt._coverage import Coverage
from engine.stt._pace import BURST, Pace
from engine.stt.protocol import RawAudio, VendorProtocol
from engine.stt.vendor import SAMPLE_RATE, PumpedSource

TELL = 2 * SAMPLE_RATE
"""Samples after which a pump tells how far it is: silence that is not covered fills the ring."""

NO_LIMIT = 1 << 62
NANOSECONDS = 1_000_000_000


class Pumping:
    """One stream's; does nothing where source, protocol or connection cannot."""

    def __init__(self, protocol: VendorProtocol, books: Coverage, shortest: float, longest: float) -> None:
        """Messages have between `shortest` and `longest` seconds, never more than the vendor's `chunk`."""
        chunk = protocol.traits.chunk
        self._protocol = protocol if isinstance(protocol, RawAudio) else None
        self._window = protocol.traits.window
        self._most = min(chunk, int(longest * SAMPLE_RATE)) if self._window is None else chunk
        # Where each message is acknowledged, small ones cost more than they bring.
        self._least = min(self._most, int(shortest * SAMPLE_RATE)) if self._window is None else chunk
        self._books = books
        self._pump: Pump | None = None
        self._messages = 0
        self._holds = 0
        self._sent_at = -math.inf

    @property
    def sent_at(self) -> float:
        """When the last audio went out by itself, on Trio's clock."""
        if self._pump is not None and self._pump.native.messages:
            self._sent_at = _trio_time(self._pump.native.sent_ns)
        return self._sent_at

    @contextmanager
    def opened(self, source: PumpedSource | None, pace: Pace) -> Iterator[Pump | None]:
        """A pump from `source`; None when audio must be read and sent by hand."""
        pump = None
        if source is not None and self._protocol is not None:
            pump = source.open_pump()
        if pump is None or source is None:
            yield None
            return
        self._set_up(pump, pace)
        try:
            yield pump
        finally:
            pump.stop()
            self.take()
            self._sent_at = self.sent_at
            pace.free_at = _trio_time(pump.native.free_ns)
            self._pump = None
            source.close_pump()

    def _set_up(self, pump: Pump, pace: Pace) -> None:
        native = pump.native
        native.gate = self._books.gate.native
        native.least, native.most = self._least, self._most
        native.credit = NO_LIMIT
        native.sample_ns = round(NANOSECONDS / SAMPLE_RATE / pace.pace)
        native.burst_ns = round(BURST * NANOSECONDS)
        native.free_ns = _monotonic(pace.free_at)
        native.held = int(self._holds > 0)
        self._pump, self._messages = pump, 0
        self.take()

    def take(self) -> None:
        """Bring the books up to date, and let as many messages go as the vendor's window now allows."""
        if self._pump is None or self._protocol is None:
            return
        native = self._pump.native
        position, messages = native.position, native.messages
        if messages != self._messages:
            self._protocol.pumped(messages - self._messages, position - self._books.sent)
            self._messages = messages
            self._books.pumped(
                position,
                speaking=bool(native.speaking),
                speech_until=native.speech_until,
                since=_trio_time(native.speech_ns),
            )
            native.speech_ns = 0
        native.tell = position + TELL
        if self._window is not None:
            native.credit = max(0, self._window - self._protocol.unacknowledged)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No audio goes out by itself inside, and the books are up to date."""
        self._holds += 1
        if self._pump is not None:
            self._pump.native.held = 1
            self.take()
        try:
            yield
        finally:
            self._holds -= 1
            if self._pump is not None and not self._holds and not self._pump.stopped:
                self._pump.native.held = 0
                self._pump.push()


def _monotonic(trio_time: float) -> int:
    """A time of Trio's clock as nanoseconds of CLOCK_MONOTONIC."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return max(0, now + round((trio_time - trio.current_time()) * NANOSECONDS))


def _trio_time(monotonic: int) -> float:
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return trio.current_time() + (monotonic - now) / NANOSECONDS
