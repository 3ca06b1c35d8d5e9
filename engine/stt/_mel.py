"""Whisper's input: log-mel spectrograms, computed with NumPy.

80 bands, windows of 25 ms (400 samples, periodic Hann) every 10 ms (160 samples), the filterbank of Slaney's
Auditory Toolbox, log10 clamped to 8 below the loudest band, scaled to about -1 … 1. The definition is
`log_mel_spectrogram` of the openai/whisper repository; `tests/stt/test_mel.py` holds a slow twin of it.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

HOP = 160
"""Samples from one frame to the next: 100 frames a second."""

_FFT = 400
_BANDS = 80
_SAMPLE_RATE = 16_000
# Slaney's scale: linear to 1 kHz (3 mel = 200 Hz), then 27 mel to each factor of 6.4.
_LINEAR_LIMIT_HZ = 1000.0
_LINEAR_LIMIT_MEL = 15.0
_LOG_STEP = np.log(6.4) / 27.0


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _LINEAR_LIMIT_HZ * np.exp(_LOG_STEP * (mel - _LINEAR_LIMIT_MEL))
    return np.where(mel >= _LINEAR_LIMIT_MEL, above, mel * 200.0 / 3.0)


@cache
def filterbank(bands: int = _BANDS) -> NDArray[np.float32]:
    """Triangular filters of equal area, shape (`bands`, 201), from power spectrum to mel bands."""
    top_mel = _LINEAR_LIMIT_MEL + np.log(_SAMPLE_RATE / 2 / _LINEAR_LIMIT_HZ) / _LOG_STEP
    edges = _mel_to_hertz(np.linspace(0.0, top_mel, bands + 2))
    bins = np.fft.rfftfreq(_FFT, 1 / _SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    filters: NDArray[np.float32] = weights.astype(np.float32)
    filters.setflags(write=False)
    return filters


@cache
def _hann() -> NDArray[np.float32]:
    window: NDArray[np.float32] = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    return window


def log_mel(pcm: NDArray[np.int16], samples: int, bands: int = _BANDS) -> NDArray[np.float32]:
    """The spectrogram of `pcm` padded with silence to `samples`; float32, shape (`bands`, `samples` // 160).

    ValueError when `pcm` is longer than `samples`.
    """
    if len(pcm) > samples:
        raise ValueError(f"samples: {samples} is shorter than the {len(pcm)} samples of pcm")
    audio = np.zeros(samples, np.float32)
    np.multiply(pcm, np.float32(1 / 32768), out=audio[: len(pcm)])
    padded = np.pad(audio, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP][: samples // HOP]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    log = np.log10(np.maximum(filterbank(bands) @ power.T, np.float32(1e-10)))
    log = np.maximum(log, log.max() - np.float32(8.0))
    scaled: NDArray[np.float32] = np.ascontiguousarray((log + np.float32(4.0)) / np.float32(4.0))
    return scaled
