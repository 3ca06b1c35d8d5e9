"""Tests of the vectors that are kept."""

from pathlib import Path

import numpy as np
import pytest

from bench.voices.channels import AS_RECORDED
from bench.voices.hearing import Hearing, cut
from bench.voices.people import RATE, Person
from engine.audio.wav import read_wav
from engine.speaker.embedding import VoiceEncoder

SPEECH = read_wav(Path(__file__).parents[2] / "audio" / "beckett.wav")[0][: 8 * RATE]
PERSON = Person(name="a", kind="talk", side="held out", enrol=SPEECH[: 2 * RATE], heard=SPEECH[2 * RATE :])


def test_windows_lie_end_to_end_and_a_rest_is_left_out() -> None:
    pieces = cut(np.arange(5 * RATE, dtype=np.int32).astype(np.int16), 2.0)
    assert [len(piece) for piece in pieces] == [2 * RATE, 2 * RATE]
    assert pieces[1][0] == np.int32(2 * RATE).astype(np.int16)


def test_what_was_heard_is_kept_and_equal_to_what_the_encoder_says(tmp_path: Path) -> None:
    encoder = VoiceEncoder.load()
    first = Hearing(encoder, tmp_path)
    heard = first.hear(PERSON, 3.0, enrolled=AS_RECORDED, heard=AS_RECORDED)
    first.keep()
    again = Hearing(encoder, tmp_path).hear(PERSON, 3.0, enrolled=AS_RECORDED, heard=AS_RECORDED)
    assert heard.windows.shape == (2, 256)
    assert np.array_equal(again.windows, heard.windows)
    expected = encoder.voice(PERSON.heard[3 * RATE : 6 * RATE]).vector
    assert heard.windows[1] == pytest.approx(expected, abs=1e-6)


def test_somebody_without_a_whole_window_has_none(tmp_path: Path) -> None:
    hearing = Hearing(VoiceEncoder.load(), tmp_path)
    short = Person(name="a", kind="strangers", side="held out", enrol=None, heard=SPEECH[:RATE])
    heard = hearing.hear(short, 3.0, enrolled=AS_RECORDED, heard=AS_RECORDED)
    assert (heard.enrolled, heard.windows.shape) == (None, (0, 256))
