"""Whisper's input: log-mel spectrograms, computed with NumPy.

80 bands, windows of 25 ms (400 samples, periodic Hann) every 10 ms (160 samples), the filterbank of Slaney's
Auditory Toolbox, log10 clamped to 8 below the loudest band, scaled to about -1 … 1. The definition is
`log_mel_spectrogram` of the openai/whisper repository; `tests/stt/test_mel.py` holds a slow twin of it.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.audio.mel import FFT, HOP, filterbank

_BANDS = 80


@cache
def _hann() -> NDArray[np.float32]:
    window: NDArray[np.float32] = np.hanning(FFT + 1)[:-1].astype(np.float32)
    return window


def log_mel(pcm: NDArray[np.int16], samples: int, bands: int = _BANDS) -> NDArray[np.float32]:
    """The spectrogram of `pcm` padded with silence to `samples`; float32, shape (`bands`, `samples` // 160).

    ValueError when `pcm` is longer than `samples`.
    """
    if len(pcm) > samples:
        raise ValueError(f"samples: {samples} is shorter than the {len(pcm)} samples of pcm")
    audio = np.zeros(samples, np.float32)
    np.multiply(pcm, np.float32(1 / 32768), out=audio[: len(pcm)])
    padded = np.pad(audio, FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP][: samples // HOP]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    log = np.log10(np.maximum(filterbank(bands) @ power.T, np.float32(1e-10)))
    log = np.maximum(log, log.max() - np.float32(8.0))
    scaled: NDArray[np.float32] = np.ascontiguousarray((log + np.float32(4.0)) / np.float32(4.0))
    return scaled
