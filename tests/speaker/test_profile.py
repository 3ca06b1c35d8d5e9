"""Tests of what recording will do to enrol."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.wav import read_wav
from engine.speaker.profile import (
    LEAST_SPEECH,
    WINDOW,
    BadProfile,
    check_length,
    check_one_voice,
    speech_of,
)
from tests.speaker.test_matching import at

AUDIO = Path(__file__).parent.parent / "audio"


def windows(seconds: float) -> int:
    return round(seconds * 16_000 / WINDOW)


@pytest.mark.parametrize("seconds", [0, 4.9, 120.1])
def test_a_recording_that_is_too_short_or_too_long_is_refused(seconds: float) -> None:
    with pytest.raises(BadProfile, match="5 to 120 s accepted"):
        check_length(round(seconds * 16_000))


def test_a_recording_of_five_seconds_is_long_enough() -> None:
    check_length(5 * 16_000)


def test_only_speech_is_kept_with_the_short_pauses_in_it() -> None:
    pcm, _ = read_wav(AUDIO / "beckett.wav")
    probabilities = [0.0] * windows(2) + [1.0] * windows(2) + [0.0] * windows(0.3) + [1.0] * windows(2)
    speech = speech_of(pcm, probabilities)
    assert len(speech) == len(probabilities) * WINDOW - windows(2) * WINDOW
    assert (speech == pcm[windows(2) * WINDOW :][: len(speech)]).all()


@pytest.mark.parametrize(
    ("pcm", "share", "why"),
    [
        (np.full(160_000, 3_000, np.int16), 0.2, "are speech"),
        (np.full(160_000, 32_767, np.int16), 1.0, "distorted"),
        (np.full(160_000, 20, np.int16), 1.0, "too quiet"),
    ],
)
def test_who_is_refused_is_told_why_and_what_to_do(pcm: np.ndarray, share: float, why: str) -> None:
    count = len(pcm) // WINDOW
    probabilities = [1.0] * round(count * share) + [0.0] * (count - round(count * share))
    with pytest.raises(BadProfile, match=why) as refused:
        speech_of(pcm, probabilities)
    assert ": " in str(refused.value)


def test_two_voices_are_not_one_profile() -> None:
    check_one_voice(np.stack([at(0)] * 9 + [at(80)]), at(0))
    with pytest.raises(BadProfile, match="more than one voice"):
        check_one_voice(np.stack([at(0)] * 6 + [at(80)] * 4), at(0))


@given(st.lists(st.floats(0, 1), max_size=400))
def test_whatever_is_judged_speech_is_kept_whole(probabilities: list[float]) -> None:
    pcm = np.full(len(probabilities) * WINDOW, 3_000, np.int16)
    spoken = sum(one >= 0.5 for one in probabilities) * WINDOW
    try:
        kept = len(speech_of(pcm, probabilities))
    except BadProfile:
        assert spoken / 16_000 < LEAST_SPEECH
    else:
        assert spoken <= kept <= len(pcm)
