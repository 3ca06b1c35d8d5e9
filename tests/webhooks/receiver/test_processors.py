"""What each processor says of audio whose answer is known, and how they are named."""

import base64
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.wav import read_wav
from engine.config import ConfigError
from engine.webhooks.receiver.processors import Piece, Processor, Result, load_processors
from engine.webhooks.receiver.processors.level import Level
from engine.webhooks.receiver.processors.ports import SAMPLE_RATE
from engine.webhooks.receiver.processors.spectrogram import BANDS, Spectrogram
from engine.webhooks.receiver.processors.tone import Tone
from engine.webhooks.receiver.processors.vad import VoiceActivity, spans

AUDIO = Path(__file__).parents[2] / "audio"
Samples = NDArray[np.int16]


def piece(samples: Samples, start: float = 0.0) -> Piece:
    return Piece(uid="ann", session_id="s", start=start, samples=samples, voice_allowed=True)


def sine(hertz: float, seconds: float, peak: float = 0.5) -> Samples:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    scaled: Samples = np.rint(peak * 32767 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)
    return scaled


def voice(hertz: float, seconds: float) -> Samples:
    """Pulses, which have all harmonics, as vocal cords do."""
    samples = np.zeros(round(seconds * SAMPLE_RATE))
    samples[:: round(SAMPLE_RATE / hertz)] = 1.0
    shaped = np.convolve(samples, np.exp(-np.arange(80) / 20), "same")
    scaled: Samples = np.rint(20_000 * shaped / np.max(np.abs(shaped))).astype(np.int16)
    return scaled


def said(processor: Processor, one: Piece, earlier: Mapping[str, Result] | None = None) -> Result:
    result = processor.process(one, earlier or {})
    assert result is not None
    return result


def speech() -> Samples:
    samples, _ = read_wav(AUDIO / "austen-0870.wav")
    return samples[: 8 * SAMPLE_RATE]


def test_the_level_of_a_sine_is_known() -> None:
    result = said(Level(), piece(sine(1000, 1.0, peak=1.0)))
    assert result["rms_dbfs"] == pytest.approx(-3.0, abs=0.1)
    assert result["peak_dbfs"] == pytest.approx(0.0, abs=0.1)
    assert said(Level(), piece(np.zeros(100, np.int16))) == {
        "rms_dbfs": -120.0,
        "peak_dbfs": -120.0,
        "clipped": 0,
    }
    assert said(Level(), piece(np.full(5, -32768, np.int16)))["clipped"] == 5
    assert Level().process(piece(np.empty(0, np.int16)), {}) is None


def frames(results: list[Result]) -> NDArray[np.int8]:
    data = b"".join(base64.b64decode(result["data"]) for result in results)
    return np.frombuffer(data, np.int8).reshape(-1, BANDS)


def test_frames_are_the_same_however_audio_is_cut() -> None:
    samples = speech()
    whole = frames([said(Spectrogram(), piece(samples))])
    assert len(whole) == 1 + (samples.size - 400) // 160
    rng = np.random.default_rng(1)
    one, results, at = Spectrogram(), [], 0
    while at < samples.size:
        size = int(rng.integers(1, 5000))
        results.append(said(one, piece(samples[at : at + size], at / SAMPLE_RATE)))
        at += size
    assert np.array_equal(frames(results), whole)
    starts = [result["start"] for result in results if result["frames"]]
    counts = [result["frames"] for result in results if result["frames"]]
    expected = np.concatenate(([0], np.cumsum(counts)[:-1])) * 0.01
    assert starts == pytest.approx(list(expected), abs=1e-3)


def test_a_sine_is_in_its_band_and_nowhere_else() -> None:
    (loudest,) = set(np.argmax(frames([said(Spectrogram(), piece(sine(1000, 0.5)))]), axis=1))
    (higher,) = set(np.argmax(frames([said(Spectrogram(), piece(sine(3000, 0.5)))]), axis=1))
    assert 0 < loudest < higher < BANDS


@pytest.mark.parametrize("hertz", [80.0, 125.0, 200.0, 320.0])
def test_the_pitch_of_a_voice_is_found(hertz: float) -> None:
    result = said(Tone(), piece(voice(hertz, 1.0)))
    assert result["pitch_hz"] == pytest.approx(hertz, rel=0.03)
    assert result["kind"] == "features"


def test_noise_and_silence_have_no_pitch() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(-3000, 3000, SAMPLE_RATE).astype(np.int16)
    assert said(Tone(), piece(noise))["voiced_seconds"] < 0.1
    quiet = said(Tone(), piece(np.zeros(SAMPLE_RATE, np.int16)))
    assert (quiet["pitch_hz"], quiet["syllables"], quiet["syllables_per_second"]) == (None, 0, None)
    assert Tone().process(piece(np.zeros(100, np.int16)), {}) is None


def test_syllables_are_counted_and_divided_by_the_time_that_is_spoken() -> None:
    syllable = np.concatenate((voice(120, 0.15), np.zeros(SAMPLE_RATE // 10, np.int16)))
    samples = np.concatenate((np.zeros(SAMPLE_RATE // 10, np.int16), np.tile(syllable, 8)))
    alone = said(Tone(), piece(samples))
    assert alone["syllables"] == 8
    with_vad = said(Tone(), piece(samples), {"vad": {"speech_seconds": 2.0}})
    assert with_vad["syllables_per_second"] == 4.0


def test_speech_is_found_where_it_is_and_silence_where_that_is() -> None:
    samples = np.concatenate((np.zeros(2 * SAMPLE_RATE, np.int16), speech()))
    one, found = VoiceActivity(), []
    for at in range(0, samples.size, 20_000):
        result = said(one, piece(samples[at : at + 20_000], at / SAMPLE_RATE))
        found += result["spans"]
    assert min(start for start, _ in found) >= 1.9
    assert 4.0 < sum(end - start for start, end in found) <= 8.1
    assert said(VoiceActivity(), piece(np.zeros(SAMPLE_RATE, np.int16)))["speech_seconds"] == 0
    assert VoiceActivity().process(piece(np.zeros(100, np.int16)), {}) is None


def test_sessions_that_share_the_model_do_not_disturb_each_other() -> None:
    samples = speech()
    alone, first, second = VoiceActivity(), VoiceActivity(), VoiceActivity()
    for at in range(0, samples.size, 32_000):
        one = piece(samples[at : at + 32_000], at / SAMPLE_RATE)
        expected = said(alone, one)
        assert said(first, one) == expected
        said(second, piece(sine(440, 1.0)))


def test_speech_begins_above_one_threshold_and_goes_on_above_a_lower_one() -> None:
    assert spans([0.1, 0.6, 0.4, 0.3, 0.4, 0.9], False) == [(1, 3), (5, 6)]
    assert spans([0.4, 0.4], True) == [(0, 2)]
    assert spans([0.4, 0.4], False) == []


def test_a_voice_is_nearest_to_itself() -> None:
    (make,) = load_processors(["embedding"]).values()
    one = make()
    samples, _ = read_wav(AUDIO / "austen-0870.wav")
    other, rate = read_wav(AUDIO / "beckett.wav")
    assert rate == SAMPLE_RATE
    three = 3 * SAMPLE_RATE
    first = said(one, piece(samples[:three]))
    assert first["nearest"] == []
    vector = np.frombuffer(base64.b64decode(first["vector"]), "<f4")
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-3)
    said(one, piece(other[three : 2 * three], 3.0))
    again = said(one, piece(samples[three : 2 * three], 6.0))
    assert [near["start"] for near in again["nearest"]] == [0.0, 3.0]
    assert again["nearest"][0]["similarity"] > again["nearest"][1]["similarity"]
    assert one.process(piece(samples[:100]), {}) is None
    unasked = msgspec.structs.replace(piece(samples[:three]), voice_allowed=False)
    assert list(said(one, unasked)) == ["left_out"]
    assert one.process(piece(samples[:three]), {"vad": {"speech_seconds": 0.1}}) is None


# Names


class Own:
    """An operator's."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        return {"seconds": piece.seconds}


class Useless:
    """No processor."""


HERE = "tests.webhooks.receiver.test_processors"


def test_processors_are_made_in_their_order_by_name() -> None:
    found = load_processors(["tone", "level", f"{HERE}:Own"])
    assert list(found) == ["tone", "level", f"{HERE}:Own"]
    assert said(found[f"{HERE}:Own"](), piece(np.zeros(8000, np.int16))) == {"seconds": 0.5}


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["loudness"], "must be one of vad, level"),
        (["level", "level"], "named twice"),
        (["no.such.module:Class"], "ModuleNotFoundError"),
        ([f"{HERE}:Nothing"], "AttributeError"),
        ([f"{HERE}:Useless"], "must have a method process"),
    ],
)
def test_what_is_no_processor_is_refused_with_the_reason(names: list[str], why: str) -> None:
    with pytest.raises(ConfigError, match=r"receiver\.processors = ") as caught:
        load_processors(names)
    assert why in str(caught.value)
