"""Tests of the log-mel spectrogram against a slow, literal twin."""

import cmath
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.mel import filterbank
from engine.stt._mel import log_mel
from tests.stt.streams import load


def _slow_mel_of(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) / (math.log(6.4) / 27)


def _slow_hertz_of(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)


def _slow_filter(band: int, hertz: float) -> float:
    step = _slow_mel_of(8000) / 81
    low, middle, high = (_slow_hertz_of((band + n) * step) for n in range(3))
    height = 2 / (high - low)
    if low < hertz <= middle:
        return height * (hertz - low) / (middle - low)
    if middle < hertz < high:
        return height * (high - hertz) / (high - middle)
    return 0.0


def _slow_log_mel(pcm: NDArray[np.int16], samples: int) -> NDArray[np.float64]:
    audio = [float(sample) / 32768 for sample in pcm] + [0.0] * (samples - len(pcm))
    padded = audio[200:0:-1] + audio + audio[-2:-202:-1]
    turn = [cmath.exp(-2j * math.pi * n / 400) for n in range(400)]
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]
    result = np.zeros((80, samples // 160))
    for frame in range(samples // 160):
        piece = [padded[frame * 160 + n] * hann[n] for n in range(400)]
        power = [abs(sum(piece[n] * turn[n * k % 400] for n in range(400))) ** 2 for k in range(201)]
        for band in range(80):
            energy = sum(_slow_filter(band, k * 40.0) * power[k] for k in range(201))
            result[band, frame] = math.log10(max(energy, 1e-10))
    scaled: NDArray[np.float64] = (np.maximum(result, result.max() - 8) + 4) / 4
    return scaled


def test_the_spectrogram_equals_the_slow_twin_within_a_thousandth() -> None:
    pcm = load("austen-0880")[16_000:17_400]
    assert np.abs(log_mel(pcm, 1_920) - _slow_log_mel(pcm, 1_920)).max() < 1e-3


def test_every_filter_equals_the_slow_one() -> None:
    slow = [[_slow_filter(band, k * 40.0) for k in range(201)] for band in range(80)]
    assert np.allclose(filterbank(80), slow, atol=1e-7)


def test_audio_is_padded_with_silence_to_the_window() -> None:
    features = log_mel(np.full(160, 1000, np.int16), 16_000)
    assert features.shape == (80, 100)
    assert features.dtype == np.float32
    assert features[:, 50:].max() == features.min()


def test_audio_longer_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="samples: 160"):
        log_mel(np.zeros(161, np.int16), 160)
