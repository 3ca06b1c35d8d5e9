"""Tests of Whisper on single utterances, with the real model."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.stt._whisper import Heard, Whisper
from engine.stt.models import ModelFiles
from engine.stt.vendor import VendorError
from tests.stt.streams import TEXTS, load, word_errors


def hear(
    whisper: Whisper, pcm: NDArray[np.int16], *, vocabulary: tuple[str, ...] = (), quick: bool = False
) -> Heard:
    return whisper.transcribe(pcm, (0, len(pcm)), language="en", vocabulary=vocabulary, quick=quick)


def text(heard: Heard) -> str:
    return " ".join(word.text for word in heard.words)


def test_whole_recordings_are_heard_almost_without_error(whisper: Whisper) -> None:
    assert sum(word_errors(TEXTS[name], text(hear(whisper, load(name)))) for name in TEXTS) <= 3


def test_words_lie_where_they_are_spoken(whisper: Whisper) -> None:
    words = {word.text.strip(".,"): word for word in hear(whisper, load("austen-0870")).words}
    assert words["Dashwood"].start == pytest.approx(1.1 * 16_000, abs=3_200)
    assert words["prudently"].start == pytest.approx(5.1 * 16_000, abs=3_200)
    assert words["them"].end <= 7.1 * 16_000


@pytest.mark.parametrize("quick", [False, True])
def test_words_are_in_order_within_the_span_given(whisper: Whisper, quick: bool) -> None:
    pcm = load("austen-0890")
    span = (4_000, 80_000)
    heard = whisper.transcribe(pcm, span, language="en", quick=quick)
    edges = [edge for word in heard.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert span[0] <= edges[0]
    assert edges[-1] <= span[1]
    assert all(0 < word.confidence <= 1 for word in heard.words)


@pytest.mark.parametrize("seconds", [1, 4])
@pytest.mark.parametrize("level", [0, 40, 400, 3_000])
def test_noise_gives_no_words(whisper: Whisper, level: int, seconds: int) -> None:
    noise = np.random.default_rng(level).normal(0, 1, 16_000 * seconds) * level
    assert hear(whisper, noise.astype(np.int16)).words == ()


def test_tones_and_hum_give_no_words(whisper: Whisper) -> None:
    time = np.arange(48_000) / 16_000
    for sound in (8_000 * np.sin(2 * np.pi * 440 * time), 3_000 * np.sin(2 * np.pi * 50 * time)):
        assert hear(whisper, sound.astype(np.int16)).words == ()


def test_a_name_the_plain_model_gets_wrong_is_heard_with_vocabulary(whisper: Whisper) -> None:
    dashwood = load("austen-0870")[16_000:27_200]
    assert "Dashwood" not in text(hear(whisper, dashwood))
    assert "Dashwood" in text(hear(whisper, dashwood, vocabulary=("Dashwood", "Norland Park")))


def test_vocabulary_does_not_speak_by_itself(whisper: Whisper) -> None:
    vocabulary = ("Dashwood", "Norland Park", "Willoughby")
    noise = np.random.default_rng(7).normal(0, 400, 48_000).astype(np.int16)
    assert hear(whisper, noise, vocabulary=vocabulary).words == ()
    assert word_errors(TEXTS["beckett"], text(hear(whisper, load("beckett"), vocabulary=vocabulary))) == 0


def test_a_long_vocabulary_is_shortened_not_refused(whisper: Whisper) -> None:
    vocabulary = tuple(f"Name{number}" for number in range(500))
    assert hear(whisper, load("austen-0880"), vocabulary=vocabulary).words


def test_a_model_of_ones_own_is_loaded_from_its_folder(tiny_folder: Path) -> None:
    whisper = Whisper.load(ModelFiles("own", tiny_folder), threads=1, window=10.0)
    assert not whisper.multilingual
    assert "young man" in text(hear(whisper, load("austen-0880")))


def test_a_broken_model_is_refused_with_its_folder(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(VendorError, match="cannot load"):
        Whisper.load(ModelFiles("own", tmp_path), threads=1, window=10.0)
