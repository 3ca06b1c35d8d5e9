"""The search for what a core carries, its arithmetic, and `listen doctor --capacity` against a real server."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.capacity import read_capacity
from engine.cli import capacity_run
from engine.cli.capacity_run import (
    CLOSE,
    FIRST,
    LIMIT_MS,
    SETTLE,
    TAIL,
    capacity_of,
    made_up_speech,
    most_streams,
)
from engine.cli.load_figures import LoadFigures, Process, latency
from engine.cli.status import Failure
from tests.cli.conftest import Listen

IDLE_KIB = 50_000
GROWN_KIB = 400


def figures(streams: int, *, us: float = 2000.0, p99: float = 0.1, **changed: Any) -> LoadFigures:
    """A second of so many streams, each using `us` µs of CPU a second and 100 KiB."""
    server = Process(
        cpu_seconds=1,
        core_share=streams * us / 1e6,
        us_per_stream_second=us,
        pss_kib=IDLE_KIB + GROWN_KIB * streams,
        kib_per_stream=100,
    )
    made = LoadFigures(
        streams=streams,
        seconds=3.0,
        codec="opus_fs320",
        sent_frames=1,
        stream_seconds=1,
        messages=1,
        segments=1,
        failed={},
        expected=100,
        missing=0,
        late=None,
        segment=latency([p99]),
        to_vendor=None,
        to_client=None,
        generator_core_share=0.1,
        others_core_share=0.0,
        server=server,
        vendor=None,
    )
    return msgspec.structs.replace(made, **changed)


@given(st.integers(1, 3000), st.floats(200, 20_000), st.integers(1, 5000))
def test_the_largest_number_is_found_in_few_steps(most: int, us: float, allowed: int) -> None:
    """`most` streams are carried; what they cost may be misleading."""

    def measure(count: int) -> LoadFigures:
        return figures(count, us=us, p99=0.1 if count <= most else 1.0)

    tried = most_streams(measure, LIMIT_MS, allowed)
    assert max(one.streams for one in tried) <= allowed
    kept = max((one.streams for one in tried if one.keeps(LIMIT_MS)), default=0)
    full = 0.95e6 / us
    carried = min(most, allowed)
    assert kept <= carried
    assert kept >= min(carried, full - 1, carried / (2 * CLOSE - 1) - 1) - 1
    assert len({one.streams for one in tried}) <= 16


def test_one_bad_measurement_does_not_make_a_number_too_many() -> None:
    seen: list[int] = []

    def measure(count: int) -> LoadFigures:
        seen.append(count)
        return figures(count, p99=1.0 if seen.count(count) == 1 else 0.1)

    tried = most_streams(measure, LIMIT_MS, 20_000)
    assert max(one.streams for one in tried if one.keeps(LIMIT_MS)) > 430


def test_where_the_generator_is_the_limit_the_largest_number_below_is_taken() -> None:
    def measure(count: int) -> LoadFigures:
        return figures(count, us=500.0, generator_core_share=count / 500)

    tried = most_streams(measure, LIMIT_MS, 20_000)
    assert 300 < capacity_of(tried, IDLE_KIB, 16).streams <= 400


def test_memory_is_that_of_the_first_number_with_its_rings_full() -> None:
    capacity = capacity_of([figures(FIRST), figures(450, us=1800.0)], IDLE_KIB, ring_seconds=16)
    assert capacity.streams == 450
    assert capacity.us_per_stream_second == 1800.0
    untouched = (16 - SETTLE - 3.0 - TAIL) * 31.25
    assert capacity.mib_per_stream == pytest.approx((GROWN_KIB + untouched) / 1024, abs=0.01)


def test_a_server_that_gave_memory_back_meanwhile_still_needs_its_rings() -> None:
    capacity = capacity_of([figures(FIRST)], IDLE_KIB + 2 * GROWN_KIB * FIRST, ring_seconds=16)
    assert capacity.mib_per_stream == pytest.approx(16 * 31.25 / 1024, abs=0.01)


def test_a_machine_that_carries_nothing_is_told_so() -> None:
    with pytest.raises(Failure, match=r"4 streams are too many for a p99 within 250 ms .*p99 900 ms"):
        capacity_of([figures(32, p99=0.9), figures(4, p99=0.9)], IDLE_KIB, 16)


def test_made_up_speech_has_syllables_and_pauses() -> None:
    pcm = made_up_speech(4.0)
    levels = np.abs(pcm.reshape(-1, 320).astype(int)).mean(axis=1)
    assert pcm.dtype == np.int16
    assert (levels < 50).mean() > 0.1
    assert (levels > 1000).mean() > 0.3


def test_a_real_server_is_measured_and_the_figure_is_kept_for_the_next_start(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, data_dir: Any
) -> None:
    monkeypatch.setattr(capacity_run, "FIRST", 2)
    monkeypatch.setattr(capacity_run, "SECONDS", 1.2)
    # Whatever else this machine has to do, two streams are carried.
    patient = partial(capacity_run.measure_capacity, limit_ms=60_000.0)
    monkeypatch.setattr(capacity_run, "measure_capacity", patient)
    monkeypatch.setattr(capacity_run, "_descriptors", lambda: 2)
    outcome = listen("doctor", "--capacity", "--json")
    assert outcome.status == 0, outcome.err
    kept = read_capacity(data_dir)
    assert kept is not None
    assert kept.streams in (1, 2)
    assert 0 < kept.us_per_stream_second < 1e6
    assert 0 < kept.mib_per_stream < 10
    (check,) = [check for check in json.loads(outcome.out) if check["name"] == "capacity"]
    assert check["detail"].startswith(f"{kept.streams} streams a core")
