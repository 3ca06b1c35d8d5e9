"""A loop that does not turn is measured, and told of with what holds it."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from engine.config import Watch
from engine.metrics import Metrics
from engine.server.stalls import Stalls, measure_stalls, watch_loop
from tests.patience import PATIENCE


class Lines(logging.Handler):
    """What was logged; threads may wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(record.msg)
        self.came.set()


@pytest.fixture(name="lines")
def _lines() -> Iterator[Lines]:
    lines, logger = Lines(), logging.getLogger("engine.server.stalls")
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)


async def test_how_late_the_loop_wakes_is_measured(autojump_clock: MockClock) -> None:
    metrics = Metrics()
    with trio.move_on_after(1.1):
        await measure_stalls(metrics, 0.25)
    assert metrics.registry.get_sample_value("listen_loop_stall_seconds_count") == 4


def hold_the_loop_until_told_of(lines: Lines) -> None:
    assert lines.came.wait(PATIENCE)


async def test_a_held_loop_is_logged_with_the_stack_of_what_holds_it(lines: Lines) -> None:
    settings = Watch(stall_interval=0.01, stall_threshold=0.3, stall_log_interval=3600)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_loop, Metrics(), settings)
        await trio.testing.wait_all_tasks_blocked()
        hold_the_loop_until_told_of(lines)
        nursery.cancel_scope.cancel()
    (event,) = lines.events
    assert event["event"] == "loop.stalled"
    assert event["stack"].count(f"{__file__}:{HELD_AT} in {hold_the_loop_until_told_of.__qualname__}") == 1
    assert event["seconds"] >= 0.3


HELD_AT = hold_the_loop_until_told_of.__code__.co_firstlineno + 1


def looks(stalls: Stalls, since: float, until: float, turned_at: float) -> list[float]:
    """What is told when it looks every 10 ms and the loop turned last at `turned_at`."""
    moments = [since + n / 100 for n in range(round((until - since) * 100))]
    told = [stalls.look(now, turned_at) for now in moments]
    return [round(held, 2) for held in told if held is not None]


def test_a_stall_is_told_once_when_it_is_long_enough() -> None:
    stalls = Stalls(0.25, 30.0, now=0.0)
    assert looks(stalls, 0.0, 0.2, turned_at=0.0) == []
    assert looks(stalls, 0.2, 5.0, turned_at=0.0) == [0.25]
    assert looks(stalls, 5.0, 5.2, turned_at=5.0) == []


def test_those_that_follow_soon_are_counted_and_told_with_the_next_line() -> None:
    stalls = Stalls(0.25, 30.0, now=0.0)
    assert looks(stalls, 0.0, 1.0, turned_at=0.0) == [0.25]
    assert looks(stalls, 1.0, 2.0, turned_at=1.0) == []
    assert looks(stalls, 2.0, 3.0, turned_at=2.0) == []
    assert stalls.untold == 2
    assert looks(stalls, 31.0, 32.0, turned_at=31.0) == [0.25]


def test_a_machine_that_stood_still_is_no_stall() -> None:
    stalls = Stalls(0.25, 30.0, now=0.0)
    assert stalls.look(100.0, 0.0) is None
    assert stalls.look(100.01, 100.0) is None
    assert stalls.untold == 0
