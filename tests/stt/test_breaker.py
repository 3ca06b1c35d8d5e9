"""What all sessions know together of a vendor's health."""

import random

import trio
from trio.testing import MockClock

from engine.stt.backoff import Backoff
from engine.stt.breaker import PROBE_PATIENCE, Breaker, Breakers


def make(failures: int = 3, per_second: float = 1000.0) -> Breaker:
    return Breaker(failures=failures, per_second=per_second, backoff=Backoff(rng=random.Random(1)))


async def tried(breaker: Breaker) -> float:
    """Wait until a try is allowed; the time it took."""
    began = trio.current_time()
    while wait := breaker.may_try():  # noqa: ASYNC110 (it says when to ask again)
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
    assert breaker.may_try() > 0


async def test_half_open_lets_one_session_try_and_the_others_wait(autojump_clock: MockClock) -> None:
    breaker = make()
    for _ in range(3):
        breaker.failed()
    await tried(breaker)
    assert breaker.statistics().state == "half-open"
    assert 0 < breaker.may_try() <= PROBE_PATIENCE
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


async def test_each_vendor_has_its_own() -> None:
    breakers = Breakers()
    assert breakers.of("a") is breakers.of("a")
    assert breakers.of("a") is not breakers.of("b")
    assert set(breakers.statistics()) == {"a", "b"}
