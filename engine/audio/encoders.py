"""PCM in, messages of the wire out: what a client sends, from the same libraries the decoders use.

Operations: `encode` with any number of samples gives the packets they complete; `flush` fills the last one
up with silence. Bounded: less than one frame is held. Errors: `ValueError` for samples of another shape,
and as `create_encoder`.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine._native import ffi, lib
from engine.audio.adts import BLOCK_SAMPLES, RATES, adts_header
from engine.audio.codecs import check_format
from engine.audio.libraries import open_library

__all__ = ["Encoder", "create_encoder"]

Samples = NDArray[np.int16]

OPUS_BITRATE = 32_000
"""bit/s for each channel. Wearables send up to twice that; speech at 16 kHz gains little above it."""
AAC_BITRATE = 48_000
LC3_BYTES_PER_KHZ = 2.5
"""32 kbit/s at 16 kHz, what Bluetooth LE Audio calls 16_2."""
FS1030_BYTES = 30
_LONGEST_PACKET = 4000  # what libopus recommends as room for one packet


class Encoder(Protocol):
    """One stream in one codec. `frame_samples`: of each channel, in one packet, at the stream's rate."""

    frame_samples: int

    def encode(self, pcm: Samples) -> list[bytes]:
        """Take int16 samples, shape (n,) or (n, channels) or interleaved; return the packets now complete."""
        ...

    def flush(self) -> list[bytes]:
        """End the stream: the rest, filled up with silence to a whole packet."""
        ...


def create_encoder(codec: str, sample_rate: int, channels: int = 1) -> Encoder:
    """An encoder for one stream. `ValueError` names the parameter that is not supported; `LibraryMissing`."""
    check_format(codec, sample_rate, channels)
    match codec:
        case "pcm8":
            return _PcmEncoder(sample_rate, channels, bits=8)
        case "pcm16":
            return _PcmEncoder(sample_rate, channels, bits=16)
        case "aac":
            return _AdtsEncoder(sample_rate, channels)
        case "opus" | "opus_fs320":
            open_library("opus")
            frame = sample_rate // 100 if codec == "opus" else sample_rate // 50
            native = lib.encoder_open_opus(sample_rate, channels, OPUS_BITRATE * channels)
            return _NativeEncoder(native, frame, channels)
        case _:
            open_library("lc3")
            size = FS1030_BYTES if codec == "lc3_fs1030" else round(LC3_BYTES_PER_KHZ * sample_rate / 1000)
            native = lib.encoder_open_lc3(sample_rate, channels, size)
            return _NativeEncoder(native, sample_rate // 100, channels)


class _FrameEncoder:
    """Cuts samples into frames; what a frame becomes is the subclass's `_packet`."""

    def __init__(self, frame_samples: int, channels: int) -> None:
        self.frame_samples = frame_samples
        self._channels = channels
        self._held = np.empty((0, channels), dtype=np.int16)

    def encode(self, pcm: Samples) -> list[bytes]:
        if pcm.dtype != np.int16 or pcm.size % self._channels:
            raise ValueError(
                f"pcm: {pcm.size} samples of {pcm.dtype}; accepted: int16, {self._channels} channels"
            )
        self._held = np.concatenate([self._held, pcm.reshape(-1, self._channels)])
        whole = len(self._held) // self.frame_samples * self.frame_samples
        frames = self._held[:whole].reshape(-1, self.frame_samples, self._channels)
        self._held = self._held[whole:]
        return [packet for frame in frames for packet in self._packets(np.ascontiguousarray(frame))]

    def flush(self) -> list[bytes]:
        missing = -len(self._held) % self.frame_samples
        return self.encode(np.zeros((missing, self._channels), dtype=np.int16))

    def _packets(self, frame: Samples) -> list[bytes]:
        raise NotImplementedError


class _PcmEncoder(_FrameEncoder):
    """20 ms a message; the last may be shorter."""

    def __init__(self, sample_rate: int, channels: int, bits: int) -> None:
        super().__init__(sample_rate // 50, channels)
        self._bits = bits

    def flush(self) -> list[bytes]:
        rest, self._held = self._held, self._held[:0]
        return self._packets(rest) if len(rest) else []

    def _packets(self, frame: Samples) -> list[bytes]:
        if self._bits == 16:
            return [frame.astype("<i2").tobytes()]
        rounded = np.minimum((frame.astype(np.int32) + 128) >> 8, 127)
        return [(rounded + 128).astype(np.uint8).tobytes()]


class _NativeEncoder(_FrameEncoder):
    def __init__(self, native: Any, frame_samples: int, channels: int) -> None:
        super().__init__(frame_samples, channels)
        if native == ffi.NULL:
            raise MemoryError("no memory for an encoder")
        self._native = ffi.gc(native, lib.encoder_close)
        self._out = ffi.new("uint8_t[]", _LONGEST_PACKET)

    def _packets(self, frame: Samples) -> list[bytes]:
        pcm = ffi.from_buffer("int16_t[]", frame)
        size = lib.encoder_encode(self._native, pcm, self.frame_samples, self._out, _LONGEST_PACKET)
        if size < 0:
            raise RuntimeError(f"the codec's library refused a frame of {self.frame_samples} samples: {size}")
        return [bytes(ffi.buffer(self._out, size))]


class _AdtsEncoder(_FrameEncoder):
    """FFmpeg's AAC-LC. The first packet is 1024 samples of priming, and `flush` gives what that delayed."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        super().__init__(BLOCK_SAMPLES, channels)
        if sample_rate not in RATES:
            raise ValueError(f"sample_rate: AAC at {sample_rate} Hz; accepted: {', '.join(map(str, RATES))}")
        import av  # only for those who use it: see engine.audio.aac

        self._av = av
        self._rate = sample_rate
        self._codec: Any = av.CodecContext.create("aac", "w")
        self._codec.sample_rate = sample_rate
        self._codec.layout = "mono" if channels == 1 else "stereo"
        self._codec.format = "fltp"
        self._codec.bit_rate = AAC_BITRATE * channels
        self._position = 0

    def flush(self) -> list[bytes]:
        return [*super().flush(), *map(self._framed, self._codec.encode(None))]

    def _packets(self, frame: Samples) -> list[bytes]:
        planes = np.ascontiguousarray(frame.T.astype(np.float32) / 32768)
        layout = self._codec.layout.name
        audio = self._av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        audio.sample_rate = self._rate
        audio.pts = self._position
        self._position += self.frame_samples
        return [self._framed(packet) for packet in self._codec.encode(audio)]

    def _framed(self, packet: Any) -> bytes:
        data = bytes(packet)
        return adts_header(len(data), self._rate, self._channels) + data
