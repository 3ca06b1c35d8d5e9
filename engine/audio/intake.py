"""Where native code that receives a stream decodes it: a codec and a ring, used without Python in between.

Operations: `open_intake`; whoever receives is given `native` (a `lane_intake *`, native/src/lane.h); `take` says
what was decoded since the last time.
Invariants: what `take` has given and the ring's write position agree at any moment at which it is called.
Bounded: counters only. Valid while the decoder and the ring are open.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from engine._native import ffi
from engine.audio._native_decoder import NativeDecoder
from engine.audio.decoder import Decoded, Decoder
from engine.audio.ring import Ring

__all__ = ["Intake", "PacketTimes", "open_intake"]


class PacketTimes(msgspec.Struct, frozen=True, gc=False):
    """Nanoseconds for a packet, on average: from when its socket was turned to, and in decoding it."""

    receive: int
    decode: int


class Intake:
    """One stream's way past Python. Made by `open_intake`."""

    def __init__(self, native: Any, decoder: Decoder, ring: Ring) -> None:
        self.native = native
        self.unread: Callable[[], bool] = _nothing
        """Whether more has come than was looked at yet; whoever receives sets it."""
        self._used = (decoder, ring)  # the native struct has bare pointers to theirs
        self._taken = (0, 0, 0, 0)
        self._timed = (0, 0, 0)

    def take(self) -> Decoded:
        """What was decoded since the last call; `packets` is 0 when nothing was."""
        native = self.native
        samples, concealed, packets, bad = self._taken
        self._taken = now = (native.samples, native.concealed, native.packets, native.bad_packets)
        packets, bad = now[2] - packets, now[3] - bad
        return Decoded(now[0] - samples, now[1] - concealed, bad == packets > 0, packets, bad)

    def take_times(self) -> PacketTimes | None:
        """Of the packets timed since the last call; None when there were none."""
        native = self.native
        timed, receive, decode = self._timed
        self._timed = now = (native.timed, native.receive_ns, native.decode_ns)
        packets = now[0] - timed
        return PacketTimes((now[1] - receive) // packets, (now[2] - decode) // packets) if packets else None

    def take_alarm(self) -> int:
        """Length of a run of undecodable packets that has reached the limit and was not told of yet; else 0."""
        run: int = self.native.alarmed
        self.native.alarmed = 0
        return run

    def quiet_for(self) -> float | None:
        """Seconds since the last packet; None before the first."""
        heard = self.native.heard_ns
        return (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - heard) / 1e9 if heard else None


def _nothing() -> bool:
    return False


def open_intake(decoder: Decoder, ring: Ring, *, margin: int, keepalive: int, alarm: int) -> Intake | None:
    """An intake, or None when the codec's audio has to pass through `decoder.decode`.

    `margin`: samples of headroom to leave before room is asked for. Messages of up to `keepalive` bytes are no
    audio. `alarm`: so many undecodable packets in a row are told of.
    """
    if not isinstance(decoder, NativeDecoder):
        return None
    native = ffi.new("lane_intake *")
    native.codec, native.piece_bytes = decoder.native_codec()
    native.ring = ring._native()
    native.margin, native.keepalive, native.alarm = margin, keepalive, alarm
    return Intake(native, decoder, ring)
