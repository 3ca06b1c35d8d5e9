"""Tests of the voice encoder against the package whose weights it has."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.wav import read_wav
from engine.speaker import _ge2e
from engine.speaker.embedding import (
    SIZE,
    WINDOW,
    VoiceEncoder,
    WrongWeights,
    loudness_gain,
    mean_direction,
    mel_frames,
    similarity,
    window_starts,
)

AUDIO = Path(__file__).parent.parent / "audio"
NAMES = ("austen-0870", "austen-0880", "austen-0890", "beckett", "phone-two-speakers")
REFERENCE = np.load(Path(__file__).parent / "reference.npz")


def recording(name: str) -> NDArray[np.int16]:
    return read_wav(AUDIO / f"{name}.wav")[0]


@cache
def encoder() -> VoiceEncoder:
    return VoiceEncoder.load()


@pytest.mark.parametrize("name", NAMES)
def test_every_window_is_as_the_reference_implementation_says(name: str) -> None:
    windows = encoder().embed(encoder().windows(recording(name)))
    expected = REFERENCE[f"{name}.windows"]
    assert windows.shape == expected.shape
    assert np.abs(windows - expected).max() < 1e-4


def test_numpy_says_the_same_where_the_machine_cannot_do_it_natively() -> None:
    windows = encoder().windows(recording("beckett"))
    vectors = _ge2e.load(native=False).embed(windows)
    assert np.abs(vectors - REFERENCE["beckett.windows"]).max() < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_an_utterance_is_as_the_reference_implementation_says(name: str) -> None:
    assert np.abs(encoder().voice(recording(name)).vector - REFERENCE[f"{name}.whole"]).max() < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_what_the_network_hears_is_as_the_reference_implementation_says(name: str) -> None:
    audio = recording(name).astype(np.float32) / np.float32(32768)
    frames = mel_frames(audio * np.float32(loudness_gain(audio)))
    expected = REFERENCE[f"{name}.mel"]
    assert np.abs(frames[100:110] - expected).max() <= 1e-5 * expected.max()


def test_a_window_does_not_depend_on_those_beside_it() -> None:
    windows = encoder().windows(recording("beckett"))
    together = encoder().embed(windows)
    alone = np.concatenate([encoder().embed(windows[i : i + 1]) for i in range(len(windows))])
    assert np.abs(together - alone).max() < 1e-5


def test_one_voice_is_more_like_itself_than_like_another() -> None:
    first, second, other = (
        encoder().voice(recording(name)) for name in ("austen-0870", "austen-0890", "beckett")
    )
    assert similarity(first.vector, second.vector) > similarity(first.vector, other.vector) + 0.1


def test_how_loud_somebody_is_recorded_does_not_matter_below_the_target() -> None:
    pcm = recording("beckett")
    quiet = (pcm // 8).astype(np.int16)
    quieter = (pcm // 16).astype(np.int16)
    assert similarity(encoder().voice(quiet).vector, encoder().voice(quieter).vector) > 0.99


@pytest.mark.parametrize("samples", [0, 1, 159, WINDOW - 1, WINDOW, WINDOW + 1, 40_000, 160_000])
def test_windows_cover_what_was_said(samples: int) -> None:
    starts = window_starts(samples, 1.3)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] * 160 <= max(samples, 0)
    assert samples - (starts[-1] * 160 + WINDOW) < WINDOW


@pytest.mark.parametrize(
    "pcm", [np.empty(0, np.int16), np.zeros(16_000, np.int16), np.full(9, -32768, np.int16)]
)
def test_silence_and_next_to_nothing_have_a_vector_without_nan(pcm: NDArray[np.int16]) -> None:
    vector = encoder().voice(pcm).vector
    assert vector.shape == (SIZE,)
    assert np.isfinite(vector).all()


def test_no_windows_have_no_vectors() -> None:
    assert encoder().embed(np.empty((0, 160, 40), np.float32)).shape == (0, SIZE)


def test_the_mean_of_nothing_in_particular_is_no_direction() -> None:
    assert not mean_direction(np.zeros((2, SIZE), np.float32)).any()


def test_other_weights_than_ours_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ge2e, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(WrongWeights, match="expected 0000"):
        VoiceEncoder.load()
