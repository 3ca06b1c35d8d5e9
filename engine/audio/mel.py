"""Mel filters: from a power spectrum to bands as wide as the ear hears them.

Triangles of equal area on the scale of Slaney's Auditory Toolbox (1998), which both Whisper and the voice encoder were
trained on: linear to 1 kHz (3 mel = 200 Hz), then 27 mel to each factor of 6.4. For windows of 25 ms at 16 kHz.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["FFT", "HOP", "filterbank"]

FFT = 400
"""Samples of a window: 25 ms."""

HOP = 160
"""Samples from one frame to the next: 100 frames a second."""

_SAMPLE_RATE = 16_000
_LINEAR_LIMIT_HZ = 1000.0
_LINEAR_LIMIT_MEL = 15.0
_LOG_STEP = np.log(6.4) / 27.0


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _LINEAR_LIMIT_HZ * np.exp(_LOG_STEP * (mel - _LINEAR_LIMIT_MEL))
    return np.where(mel >= _LINEAR_LIMIT_MEL, above, mel * 200.0 / 3.0)


@cache
def filterbank(bands: int) -> NDArray[np.float32]:
    """Triangular filters of equal area, shape (`bands`, 201), from power spectrum to mel bands."""
    top_mel = _LINEAR_LIMIT_MEL + np.log(_SAMPLE_RATE / 2 / _LINEAR_LIMIT_HZ) / _LOG_STEP
    edges = _mel_to_hertz(np.linspace(0.0, top_mel, bands + 2))
    bins = np.fft.rfftfreq(FFT, 1 / _SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    filters: NDArray[np.float32] = weights.astype(np.float32)
    filters.setflags(write=False)
    return filters
