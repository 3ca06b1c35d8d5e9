"""What native code reads from a ring and sends on by itself: a ring's audio on its way to one connection.

Operations: whoever owns ring and cursor makes a `Pump`; a connection that can, runs it (`native` is a `lane_pump *`,
native/src/lane_vendor.h) and is told by `on_stop`; whoever wrote to the ring in Python calls `push`.
Invariants: `position` is the next sample to be sent, all before it have been; once stopped it never moves again.
Bounded: one small struct. Valid while ring and cursor are open.
"""

import ctypes
from collections.abc import Callable

from engine._native import ffi
from engine.audio.ring import Cursor, Ring
from engine.held import address, held

__all__ = ["Pump"]

_sent_at = held("lane_pump_sent_at", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)


class Pump:
    """One ring's audio, from sample `position` on; the cursor, lossless, says which samples the ring still has."""

    def __init__(self, ring: Ring, cursor: Cursor, position: int) -> None:
        self.native = ffi.new("lane_pump *")
        self._address = address(self.native)
        self.native.ring, self.native.cursor = ring._native(), cursor._native()
        self.native.position = position
        self.stopped = False
        self.on_stop: Callable[[], None] = _nothing
        """Called once, when it is stopped."""
        self.on_told: Callable[[], None] = _nothing
        """Called when the native `tell` was reached: between two awaits, must not block."""
        self.on_push: Callable[[], None] = _nothing
        self._used = (ring, cursor)  # the native struct has bare pointers to theirs

    @property
    def position(self) -> int:
        """The next sample to be sent."""
        position: int = self.native.position
        return position

    def sent_at(self, position: int) -> int | None:
        """When the sample before `position` was sent (CLOCK_MONOTONIC, ns); None when it does not know."""
        return _sent_at(self._address, position) or None

    def push(self) -> None:
        """Samples came into the ring that native code did not write: send them now if they are enough."""
        self.on_push()

    def stop(self) -> None:
        """Send no more. Idempotent."""
        self.native.held = 1
        if not self.stopped:
            self.stopped = True
            self.on_stop()


def _nothing() -> None:
    return None
