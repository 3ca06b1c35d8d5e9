"""What all sessions know together of a vendor's health."""

import random

import pytest
import trio
from trio.testing import MockClock

from engine.stt.backoff import Backoff
from engine.stt.breaker import PROBE_PATIENCE, TURN_KEPT, Breaker, Breakers, Turn


def make(failures: int = 3, per_second: float = 1000.0) -> Breaker:
    return Breaker(failures=failures, per_second=per_second, backoff=Backoff(rng=random.Random(1)))


async def tried(breaker: Breaker) -> float:
    """Wait until a try is allowed; the time it took."""
    began, turn = trio.current_time(), Turn()
    while wait := breaker.may_try(turn):  # noqa: ASYNC110 (it says when to ask again)
        await trio.sleep(wait)
    return trio.current_time() - began


async def test_it_opens_after_failures_in_a_row(autojump_clock: MockClock) -> None:
    breaker = make()
    for _ in range(2):
        breaker.failed()
    breaker.worked()
    for _ in range(2):
        breaker.failed()
        assert breaker.closed
    breaker.failed()
    assert not breaker.closed
    assert breaker.statistics().state == "open"
    assert breaker.may_try(Turn()) > 0


async def test_half_open_lets_one_session_try_and_the_others_wait(autojump_clock: MockClock) -> None:
    breaker = make()
    for _ in range(3):
        breaker.failed()
    await tried(breaker)
    assert breaker.statistics().state == "half-open"
    assert 0 < breaker.may_try(Turn()) <= PROBE_PATIENCE
    breaker.worked()
    assert breaker.closed
    await tried(breaker)


async def test_a_probe_that_reports_nothing_is_given_up(autojump_clock: MockClock) -> None:
    breaker = make()
    for _ in range(3):
        breaker.failed()
    await tried(breaker)
    assert PROBE_PATIENCE - 0.01 <= await tried(breaker) <= PROBE_PATIENCE + 0.01


async def test_while_the_vendor_stays_down_tries_become_rare(autojump_clock: MockClock) -> None:
    breaker = make()
    tries = 0
    while trio.current_time() < 600:
        await tried(breaker)
        breaker.failed()
        tries += 1
    assert tries < 120
    assert breaker.statistics().failures == tries


async def test_tries_are_spread(autojump_clock: MockClock) -> None:
    breaker = make(per_second=20.0)
    for _ in range(101):
        await tried(breaker)
    assert trio.current_time() >= 5.0 - 0.01
    assert breaker.statistics().attempts == 101


async def test_who_must_wait_wakes_for_their_own_turn_only(autojump_clock: MockClock) -> None:
    breaker = make(per_second=20.0)
    tried_at: list[float] = []
    asked = 0

    async def session() -> None:
        nonlocal asked
        turn = Turn()
        while wait := breaker.may_try(turn):
            asked += 1
            await trio.sleep(wait)
        tried_at.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(session)
    assert tried_at == pytest.approx([n / 20 for n in range(100)])
    assert asked <= 150


async def test_a_turn_that_nobody_takes_is_lost(autojump_clock: MockClock) -> None:
    breaker = make(per_second=20.0)
    turns = [Turn() for _ in range(100)]
    await trio.sleep(max(breaker.may_try(turn) for turn in turns) + TURN_KEPT + 1)
    again = [breaker.may_try(turn) for turn in turns]
    assert again.count(0) == 1


async def test_each_vendor_has_its_own() -> None:
    breakers = Breakers()
    assert breakers.of("a") is breakers.of("a")
    assert breakers.of("a") is not breakers.of("b")
    assert set(breakers.statistics()) == {"a", "b"}
