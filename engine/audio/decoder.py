"""What every decoder offers, and what decoding one message gives."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.audio.ring import Ring

__all__ = ["PIECE_SAMPLES", "Decoded", "Decoder", "Payload", "Unpacked", "UnpackingDecoder"]

PIECE_SAMPLES = 16_000
"""No piece of a message decodes to more than this many samples (one second)."""

Payload = bytes | bytearray | memoryview
"""What a message may come as: its bytes, or a contiguous view of bytes."""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one `decode` or `flush` did.

    samples       written to the ring from packets that could be decoded
    concealed     written in place of packets that could not
    rejected      none of the packets could be decoded
    packets       codec packets in the message (0 for `flush`)
    bad_packets   those that could not be decoded

    Where the rate is converted, samples are counted when they come out of the resampler.
    """

    samples: int
    concealed: int = 0
    rejected: bool = False
    packets: int = 1
    bad_packets: int = 0


class Decoder(Protocol):
    """One stream in one codec. See `engine.audio.codecs` for the rules."""

    @property
    def delay(self) -> int:
        """Samples at 16 kHz by which output is late: the resampler's; what the codec adds is not counted."""
        ...

    def pieces(self, payload: Payload) -> Sequence[Payload]:
        """The message cut where a packet ends, so that each piece gives at most `PIECE_SAMPLES`.

        All pieces of all messages must be decoded, in order. Most messages are one piece: themselves.
        """
        ...

    def max_samples(self, payload_bytes: int) -> int:
        """Upper bound of the samples that a piece of that many bytes, or `flush`, writes to the ring."""
        ...

    def decode(self, payload: Payload, ring: Ring) -> Decoded:
        """Decode one piece into `ring`.

        Raises `RingFull`, before anything was done, when headroom is short.
        """
        ...

    def flush(self, ring: Ring) -> Decoded:
        """End of the stream: write what the resampler still holds. A second call writes nothing."""
        ...

    def close(self) -> None:
        """Free the codec's memory. Idempotent; `decode` raises `ValueError` afterwards."""
        ...


class Unpacked(msgspec.Struct, frozen=True, gc=False):
    """The samples (int16, 16 kHz) of one piece that are still to be written to the ring, and what gave them."""

    pcm: NDArray[np.int16]
    done: Decoded


@runtime_checkable
class UnpackingDecoder(Decoder, Protocol):
    """A decoder slow enough to work in a thread, where the ring must not be touched."""

    def unpack(self, payload: Payload) -> Unpacked:
        """Decode one piece. Writing its samples to the ring makes it the same as `decode`."""
        ...
