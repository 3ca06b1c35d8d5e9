"""AAC in ADTS frames, decoded by FFmpeg through PyAV.

Operations and invariants are those of every decoder (`engine.audio.codecs`). A frame that cannot be
decoded, or bytes that are no frame, become silence: 1024 samples at the rate the stream had, per raw data
block the header announces. Rate and channels are taken from what was decoded, and may change; the first two
channels are averaged. Rates that cannot be converted (below 8 kHz or above 48 kHz) are rejected like damaged frames.
Bounded: one frame of at most 8,191 bytes at a time. Samples pass through an array on their way to the ring, so that
`unpack` can work in a thread. PyAV is imported with the first message.
Known doubt: when the header of one of several frames in a message is damaged, the rest of the message is
one loss.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine._native import ffi, lib
from engine.audio.adts import BLOCK_SAMPLES, AdtsFrame, split_adts
from engine.audio.decoder import Decoded, Payload, Unpacked
from engine.audio.resample import HIGHEST_RATE, LOWEST_RATE, Resampler
from engine.audio.ring import Ring

Samples = NDArray[np.int16]

_RATE = 16_000
_MOST_BLOCKS = 4
_SLACK = 1024
"""For what a change of rate flushes and the resampler's rounding; its delay is far less."""
FRAME_SAMPLES = _MOST_BLOCKS * BLOCK_SAMPLES * _RATE // LOWEST_RATE + _SLACK
"""No ADTS frame gives more 16 kHz samples than this."""


class AdtsDecoder:
    """One AAC stream. `sample_rate`: assumed until the first frame says."""

    def __init__(self, sample_rate: int) -> None:
        self._resampler = Resampler(sample_rate)
        self._decode: Callable[[memoryview], Sequence[Any]] | None = None
        self._closed = False

    @property
    def delay(self) -> int:
        """See `Decoder.delay`."""
        return self._resampler.delay

    def pieces(self, payload: Payload) -> Sequence[Payload]:
        """See `Decoder.pieces`: one ADTS frame each."""
        view = memoryview(payload)
        return [view[frame.start : frame.end] for frame in split_adts(view)] or (payload,)

    def max_samples(self, payload_bytes: int) -> int:
        """See `Decoder.max_samples`; a message of several frames needs that for each of its `pieces`."""
        return FRAME_SAMPLES

    def decode(self, payload: Payload, ring: Ring) -> Decoded:
        """See `Decoder.decode`."""
        most = FRAME_SAMPLES * len(_frames(memoryview(payload)))
        if most > ring.headroom():
            raise ring._full(most)
        unpacked = self.unpack(payload)
        ring.write(unpacked.pcm)
        return unpacked.done

    def unpack(self, payload: Payload) -> Unpacked:
        """See `UnpackingDecoder.unpack`. The first call imports PyAV, which takes tens of milliseconds."""
        if self._closed:
            raise ValueError("the decoder is closed")
        if self._decode is None:
            self._decode = _open_codec()
        message = memoryview(payload)
        frames = _frames(message)
        pcm: list[Samples] = []
        samples = concealed = bad = 0
        for frame in frames:
            decoded = self._decode(message[frame.start : frame.end]) if frame.rate else ()
            heard = self._to_pcm(decoded) if frame.blocks == 1 else None
            if heard is None:
                bad += 1
                pcm.append(self._resampler.process(np.zeros(BLOCK_SAMPLES * frame.blocks, dtype=np.int16)))
                concealed += pcm[-1].size
            else:
                pcm += heard
                samples += sum(part.size for part in heard)
        done = Decoded(samples, concealed, bad == len(frames), len(frames), bad)
        return Unpacked(pcm[0] if len(pcm) == 1 else np.concatenate(pcm), done)

    def flush(self, ring: Ring) -> Decoded:
        """See `Decoder.flush`."""
        tail = self._resampler.flush()
        ring.write(tail)
        return Decoded(len(tail), packets=0)

    def close(self) -> None:
        """See `Decoder.close`."""
        self._decode = None
        self._closed = True

    def _to_pcm(self, decoded: Sequence[Any]) -> list[Samples] | None:
        """What a decoded frame adds to the stream at 16 kHz; None when it is not what a good one gives."""
        if len(decoded) != 1 or decoded[0].format.name != "fltp":
            return None
        audio = decoded[0]
        if not LOWEST_RATE <= audio.sample_rate <= HIGHEST_RATE:
            return None
        pcm = np.empty(audio.samples, dtype=np.int16)
        _to_mono(audio, pcm)
        if audio.sample_rate == self._resampler.rate_in:
            return [self._resampler.process(pcm)]
        before = self._resampler.flush()
        self._resampler = Resampler(audio.sample_rate)
        return [before, self._resampler.process(pcm)]


def _frames(message: memoryview) -> list[AdtsFrame]:
    return list(split_adts(message)) or [AdtsFrame(0, 0, 0, 1)]


def _open_codec() -> Callable[[memoryview], Sequence[Any]]:
    """A decoder's state: takes one ADTS frame, gives what FFmpeg made of it; nothing when that is an error."""
    import av  # 30 MB and tens of milliseconds: only for those who use it

    context: Any = av.CodecContext.create("aac", "r")
    packet: Any = av.Packet

    def decode(frame: memoryview) -> Sequence[Any]:
        try:
            decoded: Sequence[Any] = context.decode(packet(frame))
        except av.error.FFmpegError:
            return ()
        return decoded

    return decode


def _to_mono(audio: Any, out: Any) -> None:
    """The mean of the first two channels (one, if there is one) of a planar float frame, as int16."""
    planes = audio.planes
    left = ffi.from_buffer("float[]", planes[0])
    right = ffi.from_buffer("float[]", planes[1]) if len(planes) > 1 else ffi.NULL
    lib.pcm_from_float(left, right, audio.samples, ffi.from_buffer("int16_t[]", out, require_writable=True))
