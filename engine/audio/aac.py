"""AAC in ADTS frames, decoded by FFmpeg through PyAV.

Operations and invariants are those of every decoder (`engine.audio.codecs`). A frame that cannot be
decoded, or bytes that are no frame, become silence: 1024 samples at the rate the stream had, per raw data
block the header announces. Rate and channels are taken from what was decoded, and may change; channels are
averaged. Rates that cannot be converted (below 8 kHz or above 48 kHz) are rejected like damaged frames.
Bounded: one frame of at most 8,191 bytes at a time. PyAV is imported with the first decoder.
Known doubt: when the header of one of several frames in a message is damaged, the rest of the message is
one loss.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

Pcm = NDArray[np.int16]


class AdtsDecoder:
    """One AAC stream. `sample_rate`: assumed until the first frame says."""

    def __init__(self, sample_rate: int) -> None:
        import av  # 30 MB and tens of milliseconds: only for those who use it

        self._errors = av.error.FFmpegError
        self._packet = av.Packet
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
            decoded = self._decode_frame(bytes(message[frame.start : frame.end])) if frame.rate else None
            if decoded is not None and frame.blocks == 1:
                samples += self._emit(*decoded, ring)
            else:
                bad += 1
                lost = np.zeros(BLOCK_SAMPLES * frame.blocks, dtype=np.int16)
                concealed += self._emit(lost, self._resampler.rate_in, ring)
        return Decoded(samples, concealed, bad == len(frames), len(frames), bad)

    def flush(self, ring: Ring) -> Decoded:
        """See `Decoder.flush`."""
        tail = self._resampler.flush()
        ring.write(tail)
        return Decoded(len(tail), packets=0)

    def close(self) -> None:
        """See `Decoder.close`."""
        self._codec = None

    def _decode_frame(self, data: bytes) -> tuple[Pcm, int] | None:
        """Mono PCM and its rate, or None when FFmpeg cannot make sense of it."""
        try:
            frames = self._codec.decode(self._packet(data))
        except self._errors:
            return None
        if len(frames) != 1 or not LOWEST_RATE <= frames[0].sample_rate <= HIGHEST_RATE:
            return None
        planes = frames[0].to_ndarray()
        mono = planes[0] if len(planes) == 1 else planes.mean(axis=0)
        return np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16), frames[0].sample_rate

    def _emit(self, pcm: Pcm, rate: int, ring: Ring) -> int:
        """Write `pcm` at 16 kHz; how many samples the ring advanced."""
        before = ring.write_position
        if rate != self._resampler.rate_in:
            ring.write(self._resampler.flush())
            self._resampler = Resampler(rate)
        room = np.frombuffer(ring.reserve_view(self._resampler.max_output(pcm.size)), dtype=np.int16)
        ring.commit(self._resampler.process_into(pcm, room))
        return ring.write_position - before
