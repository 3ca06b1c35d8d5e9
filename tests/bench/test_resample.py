"""The resampling benchmark: what it says of figures that fall short, and that its one call does what it is said to."""

import numpy as np
import pytest

from bench.bare import SessionsInOneCall
from bench.resample import Quality, Speed, shortfalls
from engine.audio.codecs import create_decoder
from engine.audio.resample import warm
from engine.audio.ring import Ring
from tests.audio_room.streams import heard

GOOD = (Quality(8000, "ours", 95.0, 0.001, -103.0), Quality(8000, "soxr HQ", 91.0, 0.0, -120.0))


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def test_nothing_is_said_when_all_is_reached() -> None:
    assert list(shortfalls([Speed(8000, 10, 1.0, 1.0, 1.0, 1.0)], [GOOD])) == []


def test_what_falls_short_is_named_with_its_figure() -> None:
    speeds = [Speed(44_100, 100, 4.0, 3.0, 4.0, 3.0), Speed(48_000, 10, 1.0, 1.2, 1.0, 1.2)]
    bad = (Quality(8000, "ours", 90.0, 0.02, -99.0), GOOD[1])
    assert list(shortfalls(speeds, [bad])) == [
        "geometric mean 0.95, not 1",
        "44100 Hz, 100 ms: 0.75 of soxr's speed alone, not 0.8",
        "44100 Hz, 100 ms: 0.75 of soxr's speed together, not 1",
        "8000 Hz: ripple 0.0200 dB, not 0.01",
        "8000 Hz: alias or image -99.0 dB, not -100",
        "8000 Hz: signal to noise 1.0 dB under soxr's",
    ]


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_several_streams_in_one_call_are_what_each_is_by_itself(rate: int) -> None:
    random = np.random.default_rng(2)
    messages = [random.bytes(rate // 50) for _ in range(5)]
    together = [(create_decoder("pcm16", rate), Ring(16_000)) for _ in messages]
    call = SessionsInOneCall(together, messages)
    for _ in range(3):
        call()
    for (_decoder, ring), message in zip(together, messages, strict=True):
        alone, expected = create_decoder("pcm16", rate), Ring(16_000)
        for _ in range(3):
            alone.decode(message, expected)
        assert heard(ring).tobytes() == heard(expected).tobytes()
