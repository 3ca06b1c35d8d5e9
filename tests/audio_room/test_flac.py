"""FLAC gives back what it was given, to the sample."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio import read_wav
from engine.audio.flac import FlacError, decode_flac, encode_flac

SPEECH = Path(__file__).parent.parent / "audio" / "austen-0870.wav"


@given(st.integers(0, 2**32), st.sampled_from([0, 1, 15, 4095, 4096, 4097, 20_000]))
def test_any_samples_come_back(seed: int, count: int) -> None:
    samples = np.random.default_rng(seed).integers(-32768, 32768, count).astype(np.int16)
    found, rate = decode_flac(encode_flac(samples, 16_000))
    assert rate == 16_000
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, samples)


def test_speech_comes_back_from_less_than_seven_tenths_of_the_bytes_and_silence_from_hardly_any() -> None:
    speech, rate = read_wav(SPEECH)
    data = encode_flac(speech, rate)
    found, same = decode_flac(data)
    assert same == rate
    np.testing.assert_array_equal(found, speech)
    assert len(data) < 0.7 * 2 * len(speech)
    assert len(encode_flac(np.zeros(960_000, np.int16), 16_000)) < 20_000


@pytest.mark.parametrize(
    "data", [b"", b"fLaC", b"no flac at all", encode_flac(np.ones(99, np.int16), 8000)[:30]]
)
def test_what_is_no_flac_is_refused(data: bytes) -> None:
    with pytest.raises(FlacError, match="not a FLAC file"):
        decode_flac(data)
