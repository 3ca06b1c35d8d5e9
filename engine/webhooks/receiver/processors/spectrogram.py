"""Log-mel frames: what most models of speech are given.

Windows of 25 ms (periodic Hann) every 10 ms, 40 bands on Slaney's scale, in dB relative to full scale. A window
belongs to the piece in which it is complete, so the frames are the same however the audio was cut.
"""

import base64
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.audio.mel import FFT, HOP, filterbank
from engine.webhooks.receiver.processors.ports import SAMPLE_RATE, Piece, Result

__all__ = ["BANDS", "LOWEST_DB", "Spectrogram", "log_mel_frames"]

BANDS = 40
LOWEST_DB = -127
"""A byte holds no less."""

_HANN = np.hanning(FFT + 1)[:-1].astype(np.float32)


def log_mel_frames(samples: NDArray[np.int16]) -> NDArray[np.int8]:
    """Every complete window, shape (frames, `BANDS`), in whole dB."""
    if samples.size < FFT:
        return np.empty((0, BANDS), np.int8)
    audio = samples.astype(np.float32) / np.float32(32768)
    windows = np.lib.stride_tricks.sliding_window_view(audio, FFT)[::HOP]
    spectrum = np.fft.rfft(windows * _HANN, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) / np.float32(np.sum(_HANN) ** 2)
    mel = power @ filterbank(BANDS).T
    frames: NDArray[np.float32] = 10 * np.log10(np.maximum(mel, np.float32(1e-13)))
    return np.clip(np.rint(frames), LOWEST_DB, 127).astype(np.int8)


class Spectrogram:
    """`data`: base64 of `frames` times `bands` signed bytes, frame after frame, each a level in dB.

    `start`: when the first window begins, in seconds since the session began.
    """

    def __init__(self) -> None:
        self._rest: NDArray[np.int16] = np.empty(0, np.int16)

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        """See `Processor`."""
        start = piece.start - self._rest.size / SAMPLE_RATE
        samples = np.concatenate((self._rest, piece.samples))
        frames = log_mel_frames(samples)
        self._rest = samples[len(frames) * HOP :].copy()
        return {
            "start": round(start, 4),
            "frames": len(frames),
            "bands": BANDS,
            "hop_seconds": HOP / SAMPLE_RATE,
            "window_seconds": FFT / SAMPLE_RATE,
            "data": base64.b64encode(frames.tobytes()).decode(),
        }
