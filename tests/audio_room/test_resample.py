"""Sample rate conversion: alignment, chunking, exactness against a slow twin, and quality on the 16-bit output."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench import resample_quality as quality
from bench.resample import convert_ours, convert_soxr
from engine.audio import _filters, resample
from engine.audio.resample import Resampler

Samples = NDArray[np.int16]
RATE = 16000
EVERY_KIND = (8000, 11025, 12000, 22050, 24000, 32000, 44100, 44101, 48000)


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    resample.warm()


def noise(count: int, seed: int = 1, level: float = 6000.0) -> Samples:
    values = np.random.default_rng(seed).standard_normal(count) * level
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def whole(pcm: Samples, rate_in: int, rate_out: int = RATE) -> Samples:
    resampler = Resampler(rate_in, rate_out)
    return np.concatenate([resampler.process(pcm), resampler.flush()])


def sample(signal: NDArray[np.float64], position: int) -> float:
    return float(signal[position]) if 0 <= position < signal.size else 0.0


def twin(pcm: Samples, rate_in: int, rate_out: int = RATE) -> Samples:
    """The same stages and taps, output by output, from their definition, in float64."""
    plan = _filters.plan(rate_in, rate_out)
    signal = pcm.astype(np.float64)
    start = 0  # index of time 0
    if plan.half_table is not None:
        start = 2 * plan.lookahead  # more than the filter rings
        signal = np.array(
            [_twin_half(plan.half_table, signal, m) for m in range(-start, pcm.size // 2 + start)]
        )
    count = (2 * pcm.size * rate_out + rate_in) // (2 * rate_in)
    values = [_twin_output(plan, signal, start, p) for p in range(count)]
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def _twin_half(table: NDArray[np.float32], signal: NDArray[np.float64], m: int) -> float:
    total = sample(signal, 2 * m) / 2
    for k, tap in enumerate(table[::-1]):
        total += float(tap) * (sample(signal, 2 * m - 2 * k - 1) + sample(signal, 2 * m + 2 * k + 1))
    return total


def _twin_output(plan: _filters.Plan, signal: NDArray[np.float64], start: int, p: int) -> float:
    if plan.table is None:
        return sample(signal, start + p)
    table = plan.table.astype(np.float64)
    if plan.doubled:
        here = start + p // 2
        if p % 2 == 0:
            return sample(signal, here)
        pairs = [sample(signal, here - k) + sample(signal, here + 1 + k) for k in range(table.size)]
        return float(table[::-1] @ pairs)
    first = start + p * plan.down // plan.up - (table.shape[1] // 2 - 1)
    window = [sample(signal, first + k) for k in range(table.shape[1])]
    if not plan.blended:
        return float(table[p % plan.up] @ window)
    row, part = divmod(p * plan.down % plan.up / plan.up * plan.blended, 1)
    return float(((1 - part) * table[int(row)] + part * table[int(row) + 1]) @ window)


@pytest.mark.parametrize("rate", EVERY_KIND)
def test_every_output_is_what_the_definition_says_to_one_step(rate: int) -> None:
    pcm = noise(1501)
    ours = whole(pcm, rate)
    theirs = twin(pcm, rate)
    assert ours.size == theirs.size
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(48000, 8000), (16000, 48000), (8000, 48000), (40000, 16000)]
)
def test_other_pairs_of_rates_follow_the_same_definition(rate_in: int, rate_out: int) -> None:
    pcm = noise(700)
    assert np.abs(whole(pcm, rate_in, rate_out).astype(int) - twin(pcm, rate_in, rate_out)).max() <= 1


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 32000, 44100, 44101, 48000])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_cutting_of_the_input_gives_the_same_bits(rate: int, data: st.DataObject) -> None:
    length = st.one_of(st.integers(0, 9), st.sampled_from([441, 480, 1023, 1024, 1025]), st.integers(0, 3000))
    chunks = data.draw(st.lists(length, min_size=1, max_size=40))
    pcm = noise(sum(chunks), seed=len(chunks), level=14000.0)
    resampler = Resampler(rate)
    made = [resampler.process(part) for part in np.split(pcm, np.cumsum(chunks)[:-1])]
    pieces = np.concatenate([*made, resampler.flush()])
    assert pieces.tobytes() == whole(pcm, rate).tobytes()
    assert all(part.size <= resampler.max_output(n) for part, n in zip(made, chunks, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    rate=st.integers(8000, 48000),
    rate_out=st.sampled_from([16000, 8000, 48000, 24000]),
    n=st.integers(0, 3000),
)
def test_the_output_is_as_long_as_the_input_and_never_later_than_delay(
    rate: int, rate_out: int, n: int
) -> None:
    resampler = Resampler(rate, rate_out)
    made = 0
    for start in range(0, n, 97):
        made += resampler.process(noise(min(97, n - start))).size
        assert min(start + 97, n) * rate_out / rate - made <= resampler.delay
    tail = resampler.flush()
    assert tail.size <= resampler.delay
    assert made + tail.size == (2 * n * rate_out + rate) // (2 * rate)
    assert resampler.flush().size == 0
    statistics = resampler.statistics()
    assert (statistics.samples_in, statistics.samples_out) == (n, made + tail.size)


@pytest.mark.parametrize("rate", EVERY_KIND)
def test_one_sample_at_a_time_is_the_same_stream(rate: int) -> None:
    pcm = noise(601)
    resampler = Resampler(rate)
    pieces = [resampler.process(pcm[k : k + 1]) for k in range(pcm.size)]
    assert np.array_equal(np.concatenate([*pieces, resampler.flush()]), whole(pcm, rate))


@pytest.mark.parametrize("rate", [*EVERY_KIND, 16000])
def test_a_tone_keeps_its_place_in_time(rate: int) -> None:
    def swell(at: int) -> NDArray[np.float64]:
        times = np.arange(at) / at  # s
        wave: NDArray[np.float64] = 10000 * np.sin(2 * np.pi * 440 * times) * np.sin(np.pi * times) ** 2
        return wave

    out = whole(np.rint(swell(rate)).astype(np.int16), rate)
    assert np.abs(out - swell(RATE)).max() < 3


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 44101, 48000, 24000, 32000])
def test_quality_on_the_16_bit_output(rate: int) -> None:
    ours = functools.partial(convert_ours, rate)
    theirs = functools.partial(convert_soxr, rate)
    assert quality.ripple(ours, rate, RATE, 0.91) <= 0.01
    assert quality.alias(ours, rate, RATE, 0.91) <= -100
    assert quality.strongest_spur(ours, rate, RATE, 0.91, (997.0, 2900.7)) <= -100
    assert quality.signal_to_noise(ours, rate, RATE) >= quality.signal_to_noise(theirs, rate, RATE)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_speech_band_noise_has_the_spectrum_that_soxr_gives_it(rate: int) -> None:
    pcm = noise(4 * rate, level=3000.0)
    ours, theirs = (convert(rate, pcm)[:60000].reshape(-1, 500) for convert in (convert_ours, convert_soxr))
    edge = int(0.9 * min(rate, RATE) / 2 / RATE * 500)
    bands = [
        np.mean(np.abs(np.fft.rfft(part * np.hanning(500)))[:, 1:edge] ** 2, axis=0)
        for part in (ours, theirs)
    ]
    assert np.abs(10 * np.log10(bands[0] / bands[1])).max() < 0.05


@pytest.mark.parametrize("rate", EVERY_KIND)
def test_overshoot_is_clipped_and_counted(rate: int) -> None:
    square = np.where(np.arange(4000) // 40 % 2 == 0, 32767, -32768).astype(np.int16)
    resampler = Resampler(rate)
    out = np.concatenate([resampler.process(square), resampler.flush()])
    extremes = np.count_nonzero((out == 32767) | (out == -32768))
    assert 0 < resampler.statistics().clipped <= extremes
    top = np.flatnonzero(square[:4000] == 32767) * RATE // rate
    assert out[top[20]] > 20000  # saturated, not wrapped around


def test_the_usual_rates_are_ready_however_many_others_come() -> None:
    for rate in range(9001, 9001 + 20):
        Resampler(rate)
    computed = _filters.plan.cache_info().misses
    for rate in resample.WARM_RATES:
        Resampler(rate)
    assert _filters.plan.cache_info().misses == computed
    assert all(resample.ready(rate) for rate in (16_000, *resample.WARM_RATES))
    assert not resample.ready(9001)


def test_a_quiet_stream_clips_nothing() -> None:
    resampler = Resampler(48000)
    resampler.process(noise(4800, level=100.0))
    assert resampler.statistics().clipped == 0


def test_equal_rates_give_the_input_back() -> None:
    pcm = noise(333)
    resampler = Resampler(16000)
    out = resampler.process(pcm)
    assert np.array_equal(out, pcm)
    assert not np.shares_memory(out, pcm)
    assert (resampler.delay, resampler.flush().size) == (0, 0)


@pytest.mark.parametrize("rate", [*EVERY_KIND, 16000])
def test_reset_begins_a_stream_that_knows_nothing_of_the_one_before(rate: int) -> None:
    resampler = Resampler(rate)
    resampler.process(noise(777, seed=2))
    resampler.flush()
    resampler.reset()
    pcm = noise(1001)
    assert np.array_equal(np.concatenate([resampler.process(pcm), resampler.flush()]), whole(pcm, rate))


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_flushed_stream_takes_nothing_more(rate: int) -> None:
    resampler = Resampler(rate)
    resampler.flush()
    with pytest.raises(RuntimeError, match="reset"):
        resampler.process(noise(10))


def test_streams_share_nothing_that_lasts() -> None:
    pcm = noise(2000)
    streams = [Resampler(rate) for rate in (48000, 44100, 48000)]
    pieces: list[list[Samples]] = [[], [], []]
    for part in np.array_split(pcm, 9):
        for stream, made in zip(streams, pieces, strict=True):
            made.append(stream.process(part))
    for stream, made in zip(streams, pieces, strict=True):
        assert np.array_equal(np.concatenate([*made, stream.flush()]), whole(pcm, stream.rate_in))


@pytest.mark.parametrize(("rate_in", "rate_out"), [(7999, 16000), (48001, 16000), (16000, 96000)])
def test_a_rate_out_of_range_is_refused_by_name_and_range(rate_in: int, rate_out: int) -> None:
    with pytest.raises(ValueError, match=r"rate_(in|out) is \d+ Hz; accepted: 8000 to 48000 Hz"):
        Resampler(rate_in, rate_out)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_too_little_room_is_refused_and_changes_nothing(rate: int) -> None:
    pcm = noise(500)
    resampler = Resampler(rate)
    with pytest.raises(ValueError, match=r"room for 5 samples"):
        resampler.process_into(pcm, np.empty(5, dtype=np.int16))
    assert np.array_equal(np.concatenate([resampler.process(pcm), resampler.flush()]), whole(pcm, rate))


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("wrong", [np.zeros(9, np.float32), np.zeros((3, 3), np.int16), b"\0\0"])
def test_other_kinds_of_samples_are_refused(rate: int, wrong: Any) -> None:
    resampler = Resampler(rate)
    with pytest.raises(TypeError, match="accepted: "):
        resampler.process_into(wrong, np.empty(99, dtype=np.int16))


def test_a_place_to_write_that_is_read_only_is_refused() -> None:
    out = np.empty(99, dtype=np.int16)
    out.setflags(write=False)
    with pytest.raises(TypeError, match="out is read-only"):
        Resampler(48000).process_into(noise(90), out)


def test_payloads_are_taken_as_they_come_and_nothing_is_written_past_the_result() -> None:
    pcm = noise(480)
    expected = Resampler(48000).process(pcm)
    payload = b"\0" + pcm.tobytes()
    forms = [
        np.frombuffer(pcm.tobytes(), dtype=np.int16),  # read-only
        np.frombuffer(memoryview(payload)[1:], dtype=np.int16),  # odd address
        np.repeat(pcm, 2)[::2],  # not contiguous
    ]
    for form in forms:
        out = np.full(600, 77, dtype=np.int16)
        assert Resampler(48000).process_into(form, out) == expected.size
        assert np.array_equal(out[: expected.size], expected)
        assert (out[expected.size :] == 77).all()
