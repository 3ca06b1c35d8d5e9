"""Decoders whose codec is native: straight into the ring, through a resampler where the rate is not 16 kHz."""

from collections.abc import Sequence
from typing import Any

import msgspec

from engine._native import ffi, lib
from engine.audio.decoder import PIECE_SAMPLES, Decoded, Payload
from engine.audio.libraries import open_library
from engine.audio.resample import STATE_BYTES, Resampler, native_kernel
from engine.audio.ring import Ring

RATE = 16_000
FS1030_BYTES = 30
LONGEST_OPUS = RATE * 120 // 1000  # RFC 6716 section 2: a packet lasts at most 120 ms


class _Shape(msgspec.Struct, frozen=True):
    """How a codec's messages relate to samples, at the rate the codec puts out.

    unit          bytes that can be cut off and decoded by themselves; 0: the message is one packet
    unit_samples  samples that one unit, or the whole message, decodes to at most
    """

    rate: int
    unit: int
    unit_samples: int


def create_native_decoder(codec: str, sample_rate: int, channels: int) -> "NativeDecoder":
    """See `create_decoder`; the format has been checked."""
    native, shape = _open(codec, sample_rate, channels)
    kind = NativeDecoder
    if native != ffi.NULL and shape.rate != RATE:
        kernel = ffi.cast("resample_kernel", native_kernel())
        native = lib.codec_open_resampled(native, kernel, shape.rate, RATE, STATE_BYTES)
        kind = _ResampledDecoder
    if native == ffi.NULL:
        raise MemoryError(f"no memory for a {codec} decoder")
    return kind(ffi.gc(native, lib.codec_close), shape)


def _open(codec: str, sample_rate: int, channels: int) -> tuple[Any, _Shape]:
    match codec:
        case "pcm8" | "pcm16":
            bits = 8 if codec == "pcm8" else 16
            return lib.codec_open_pcm(bits, channels), _Shape(sample_rate, bits // 8 * channels, 1)
        case "opus" | "opus_fs320":
            open_library("opus")  # puts out 16 kHz mono whatever was coded
            first = RATE * (10 if codec == "opus" else 20) // 1000
            return lib.codec_open_opus(first), _Shape(RATE, 0, LONGEST_OPUS)
        case _:
            open_library("lc3")  # puts out any rate from the coded one upwards
            rate = max(sample_rate, RATE)
            frame_bytes = FS1030_BYTES if codec == "lc3_fs1030" else 0
            native = lib.codec_open_lc3(sample_rate, rate, channels, frame_bytes)
            return native, _Shape(rate, frame_bytes * channels, rate // 100)


class NativeDecoder:
    """Writes into the ring itself: nothing is copied."""

    delay = 0

    def __init__(self, native: Any, shape: _Shape) -> None:
        self._codec = native
        self._shape = shape
        self._result = ffi.new("codec_result *")
        self._piece_bytes = self._units_in(PIECE_SAMPLES) * shape.unit

    def pieces(self, payload: Payload) -> Sequence[Payload]:
        """See `Decoder.pieces`."""
        size = self._piece_bytes
        if not size or len(payload) <= size:
            return (payload,)
        view = memoryview(payload)
        return [view[start : start + size] for start in range(0, len(view), size)]

    def max_samples(self, payload_bytes: int) -> int:
        """See `Decoder.max_samples`."""
        return self._native_samples(payload_bytes)

    def decode(self, payload: Payload, ring: Ring) -> Decoded:
        """See `Decoder.decode`."""
        data = payload if isinstance(payload, bytes) else ffi.from_buffer("uint8_t[]", payload)
        status = lib.codec_decode_ring(self._opened(), data, len(data), ring._native(), self._result)
        if status >= 0:
            return Decoded(status)
        if status == lib.CODEC_NO_ROOM:
            raise ring._full(self.max_samples(len(data)))
        result = self._result
        return _decoded(result, result.samples, result.concealed)

    def flush(self, ring: Ring) -> Decoded:
        """See `Decoder.flush`. Bytes of a sample whose end never came are dropped."""
        return Decoded(0, packets=0)

    def native_codec(self) -> tuple[Any, int]:
        """The `codec *`, and the bytes after which a message is cut (0: not at all), for native code."""
        return self._opened(), self._piece_bytes

    def close(self) -> None:
        """See `Decoder.close`."""
        if self._codec is not None:
            ffi.release(self._codec)
            self._codec = None

    def _opened(self) -> Any:
        codec = self._codec
        if codec is None:
            raise ValueError("the decoder is closed")
        return codec

    def _native_samples(self, payload_bytes: int) -> int:
        """Samples from that many bytes at the codec's rate, with what was carried over, at most."""
        shape = self._shape
        if shape.unit == 0:
            return shape.unit_samples
        return (payload_bytes // shape.unit + 1) * shape.unit_samples

    def _units_in(self, samples: int) -> int:
        """Units that give at most `samples` at 16 kHz, bytes carried over and rounding up included."""
        return samples * self._shape.rate // RATE // self._shape.unit_samples - 4


class _ResampledDecoder(NativeDecoder):
    """A codec with a rate conversion behind it; native code does both."""

    def __init__(self, native: Any, shape: _Shape) -> None:
        super().__init__(native, shape)
        memory = ffi.buffer(lib.codec_resampler_state(native), STATE_BYTES)
        self._resampler = Resampler(shape.rate, memory=memory)
        self.delay = self._resampler.delay

    def max_samples(self, payload_bytes: int) -> int:
        """See `Decoder.max_samples`."""
        return max(self._resampler.max_output(self._native_samples(payload_bytes)), self.delay)

    def flush(self, ring: Ring) -> Decoded:
        """See `Decoder.flush`."""
        self._opened()  # with which the resampler's memory goes
        tail = self._resampler.flush()
        ring.write(tail)
        return Decoded(len(tail), packets=0)


def _decoded(result: Any, samples: int, concealed: int) -> Decoded:
    bad = result.bad_packets
    return Decoded(samples, concealed, bad == result.packets, result.packets, bad)
