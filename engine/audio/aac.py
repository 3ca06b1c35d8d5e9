"""AAC in ADTS frames, decoded by FFmpeg through PyAV.

Operations and invariants are those of every decoder (`engine.audio.codecs`). A frame that cannot be
decoded, or bytes that are no frame, become silence: 1024 samples at the rate the stream had, per raw data
block the header announces. Rate and channels are taken from what was decoded, and may change; the first two
channels are averaged. Rates that cannot be converted (below 8 kHz or above 48 kHz) are rejected like damaged frames.
Bounded: one frame of at most 8,191 bytes at a time. PyAV is imported with the first decoder.
Known doubt: when the header of one of several frames in a message is damaged, the rest of the message is
one loss.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine._native import ffi, lib
from engine.audio.adts import BLOCK_SAMPLES, AdtsFrame, split_adts
from engine.audio.decoder import Decoded, Payload
from engine.audio.resample import HIGHEST_RATE, LOWEST_RATE, Resampler
from engine.audio.ring import Ring

_RATE = 16_000
_MOST_BLOCKS = 4
_SLACK = 1024
"""For what a change of rate flushes and the resampler's rounding; its delay is far less."""
FRAME_SAMPLES = _MOST_BLOCKS * BLOCK_SAMPLES * _RATE // LOWEST_RATE + _SLACK
"""No ADTS frame gives more 16 kHz samples than this."""


class AdtsDecoder:
    """One AAC stream. `sample_rate`: assumed until the first frame says."""

    def __init__(self, sample_rate: int) -> None:
        import av  # 30 MB and tens of milliseconds: only for those who use it

        self._errors = av.error.FFmpegError
        self._packet: Any = av.Packet
        self._codec: Any = av.CodecContext.create("aac", "r")
        self._resampler = Resampler(sample_rate)

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
        if self._codec is None:
            raise ValueError("the decoder is closed")
        message = memoryview(payload)
        frames = list(split_adts(message)) or [AdtsFrame(0, 0, 0, 1)]
        if len(frames) * FRAME_SAMPLES > ring.headroom():
            raise ring._full(len(frames) * FRAME_SAMPLES)
        samples = concealed = bad = 0
        for frame in frames:
            good = self._decode_frame(message, frame, ring) if frame.rate else None
            if good is None:
                bad += 1
                concealed += self._conceal(BLOCK_SAMPLES * frame.blocks, ring)
            else:
                samples += good
        return Decoded(samples, concealed, bad == len(frames), len(frames), bad)

    def flush(self, ring: Ring) -> Decoded:
        """See `Decoder.flush`."""
        tail = self._resampler.flush()
        ring.write(tail)
        return Decoded(len(tail), packets=0)

    def close(self) -> None:
        """See `Decoder.close`."""
        self._codec = None

    def _decode_frame(self, message: memoryview, frame: AdtsFrame, ring: Ring) -> int | None:
        """Decode one frame into the ring: how many samples it advanced, or None when it is damaged."""
        try:
            decoded = self._codec.decode(self._packet(message[frame.start : frame.end]))
        except self._errors:
            return None
        if frame.blocks != 1 or len(decoded) != 1 or decoded[0].format.name != "fltp":
            return None
        audio = decoded[0]
        rate = audio.sample_rate
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            return None
        before = ring.write_position
        if rate != self._resampler.rate_in:
            ring.write(self._resampler.flush())
            self._resampler = Resampler(rate)
        if rate == _RATE:
            _to_mono(audio, ring.reserve_view(audio.samples))
            ring.commit(audio.samples)
        else:
            pcm = np.empty(audio.samples, dtype=np.int16)
            _to_mono(audio, pcm)
            self._resample(pcm, ring)
        return ring.write_position - before

    def _conceal(self, samples: int, ring: Ring) -> int:
        """Silence for `samples` samples at the stream's rate; how many samples the ring advanced."""
        before = ring.write_position
        self._resample(np.zeros(samples, dtype=np.int16), ring)
        return ring.write_position - before

    def _resample(self, pcm: NDArray[np.int16], ring: Ring) -> None:
        room = np.frombuffer(ring.reserve_view(self._resampler.max_output(pcm.size)), dtype=np.int16)
        ring.commit(self._resampler.process_into(pcm, room))


def _to_mono(audio: Any, out: Any) -> None:
    """The mean of the first two channels (one, if there is one) of a planar float frame, as int16."""
    planes = audio.planes
    left = ffi.from_buffer("float[]", planes[0])
    right = ffi.from_buffer("float[]", planes[1]) if len(planes) > 1 else ffi.NULL
    lib.pcm_from_float(left, right, audio.samples, ffi.from_buffer("int16_t[]", out, require_writable=True))
