"""Recordings brought to the rate and channels that are to be sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio import write_wav
from engine.cli.recording import read


def tone(rate: int) -> NDArray[np.int16]:
    """One second of 997 Hz."""
    times: NDArray[np.float64] = np.arange(rate) / rate
    wave: NDArray[np.int16] = np.rint(10_000 * np.sin(2 * np.pi * 997 * times)).astype(np.int16)
    return wave


@pytest.mark.parametrize("source", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("target", [8000, 16000, 44100, 48000])
def test_any_rate_becomes_any_other_with_length_pitch_and_loudness_kept(
    tmp_path: Path, source: int, target: int
) -> None:
    path = tmp_path / "tone.wav"
    write_wav(path, tone(source), source)
    made = read(path, rate=target, channels=1)
    assert made.rate == target
    assert made.pcm.dtype == np.int16
    assert made.seconds == pytest.approx(1.0, abs=0.002)
    middle = made.pcm[target // 4 : target * 3 // 4, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * target / len(middle) == pytest.approx(997, abs=2.5)
    assert middle.std() * np.sqrt(2) == pytest.approx(10_000, rel=0.01)


def test_stereo_becomes_mono_by_the_mean(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    write_wav(path, np.array([[100, 300], [-200, 200], [7, 8]], np.int16), 16000)
    assert read(path, rate=16000, channels=1).pcm.tolist() == [[200], [0], [8]]
    assert read(path, rate=16000, channels=2).pcm.tolist() == [[100, 300], [-200, 200], [7, 8]]


def test_mono_becomes_stereo_with_both_sides_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    write_wav(path, np.array([1, -2, 3], np.int16), 16000)
    assert read(path, rate=16000, channels=2).pcm.tolist() == [[1, 1], [-2, -2], [3, 3]]
