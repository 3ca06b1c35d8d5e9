"""Tests of estimating how far a reader is behind, on the virtual clock."""

import pytest
import trio
from trio.testing import MockClock

from engine.stt._live_edge import LiveEdge


async def test_a_reader_that_has_to_wait_is_not_behind(autojump_clock: MockClock) -> None:
    edge = LiveEdge(0)
    await trio.sleep(5)
    edge.note(1_600, waited=0.1)
    assert edge.behind(1_600) == 0.0


async def test_a_reader_that_stops_falls_behind_by_the_clock_and_catches_up(
    autojump_clock: MockClock,
) -> None:
    edge = LiveEdge(0)
    await trio.sleep(4)
    assert edge.behind(0) == pytest.approx(4.0)
    edge.note(32_000, waited=0.0)
    assert edge.behind(32_000) == pytest.approx(2.0)
    edge.note(64_000, waited=0.0)
    assert edge.behind(64_000) == pytest.approx(0.0)


async def test_audio_faster_than_real_time_is_not_saved_up(autojump_clock: MockClock) -> None:
    edge = LiveEdge(0)
    edge.note(160_000, waited=0.0)
    await trio.sleep(1)
    assert edge.behind(160_000) == pytest.approx(1.0)
