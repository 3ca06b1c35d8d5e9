"""Tests of what lines do to speech."""

from pathlib import Path

import numpy as np
import pytest

from bench.voices.channels import CHANNELS, noisy
from bench.voices.people import Samples
from engine.audio.wav import read_wav

SPEECH = read_wav(Path(__file__).parents[2] / "audio" / "austen-0880.wav")[0]


@pytest.mark.parametrize("name", CHANNELS)
def test_speech_stays_speech_of_the_same_length(name: str) -> None:
    heard = CHANNELS[name](SPEECH)
    assert len(heard) == len(SPEECH)
    before, after = envelope(SPEECH), envelope(heard)
    assert np.corrcoef(before, after)[0, 1] > 0.9


def test_nothing_above_its_band_comes_through_a_telephone_line() -> None:
    spectrum = np.abs(np.fft.rfft(CHANNELS["telephone, 8 kHz µ-law"](SPEECH))) ** 2
    middle = len(spectrum) // 2
    assert spectrum[int(1.1 * middle) :].sum() < 0.01 * spectrum.sum()


def test_noise_is_so_many_decibels_below() -> None:
    noise = noisy(SPEECH, decibels=15.0).astype(float) - SPEECH
    ratio = np.mean(np.square(SPEECH.astype(float))) / np.mean(np.square(noise))
    assert 10 * np.log10(ratio) == pytest.approx(15, abs=0.1)


def envelope(pcm: Samples) -> list[float]:
    """Level of each tenth of a second."""
    tenths = pcm[: len(pcm) // 1600 * 1600].reshape(-1, 1600).astype(np.float64)
    return [float(np.std(tenth)) for tenth in tenths]
