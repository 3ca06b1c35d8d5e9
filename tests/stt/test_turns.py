"""Tests of fair turns, on the virtual clock."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.stt.turns import Share, Turns

LONG = 0.25
SHORT = 0.15
"""Seconds of work of a ten-second and a two-second utterance with a window of ten seconds."""


async def work(turns: Turns, share: Share, cost: float, seconds: float) -> float:
    async with turns.turn(share, cost) as waited:
        await trio.sleep(seconds)
    return waited


async def _speak_without_pause(turns: Turns) -> None:
    share = turns.join()
    while True:
        await work(turns, share, 10.0, LONG)


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_short_utterance_waits_longer_than_twice_its_decoding_beside_unbroken_speech(
    workers: int, autojump_clock: MockClock
) -> None:
    turns = Turns(workers)
    waits: list[float] = []

    async def speak_briefly(begin: float) -> None:
        share = turns.join()
        await trio.sleep(begin)
        for _ in range(20):
            waits.append(await work(turns, share, 2.0, SHORT))
            await trio.sleep(4.0)

    async with trio.open_nursery() as everyone:
        everyone.start_soon(_speak_without_pause, turns)
        async with trio.open_nursery() as short:
            for number in range(7):
                short.start_soon(speak_briefly, number * 0.57)
        everyone.cancel_scope.cancel()
    assert len(waits) == 140
    assert max(waits) <= 2 * SHORT


async def test_those_who_come_at_once_are_served_before_the_one_who_never_stops(
    autojump_clock: MockClock,
) -> None:
    turns = Turns(1)
    order: list[str] = []

    async def speak(name: str, share: Share, times: int, cost: float) -> None:
        for _ in range(times):
            async with turns.turn(share, cost):
                order.append(name)
                await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak, "long", turns.join(), 5, 10.0)
        await wait_all_tasks_blocked()
        for number in range(7):
            nursery.start_soon(speak, f"short {number}", turns.join(), 1, 2.0)
    assert order[0] == "long"
    assert sorted(order[1:8]) == [f"short {number}" for number in range(7)]
    assert order[8:] == ["long"] * 4


async def test_those_who_always_want_more_take_turns_whatever_their_length(autojump_clock: MockClock) -> None:
    turns = Turns(1)
    served = {1.0: 0, 5.0: 0, 10.0: 0}

    async def speak(cost: float) -> None:
        share = turns.join()
        while True:
            async with turns.turn(share, cost):
                served[cost] += 1
                await trio.sleep(cost / 10)

    with trio.move_on_after(100):
        async with trio.open_nursery() as nursery:
            for cost in served:
                nursery.start_soon(speak, cost)
    assert max(served.values()) - min(served.values()) <= max(served.values()) // 2
    assert min(served.values()) > 10


async def test_a_wait_that_is_cancelled_leaves_the_queue(autojump_clock: MockClock) -> None:
    turns = Turns(1)
    async with turns.turn(turns.join(), 1.0):
        with trio.move_on_after(1):
            await work(turns, turns.join(), 1.0, 0.1)
        assert turns.statistics().waiting == 0
    assert turns.statistics().running == 0
    assert await work(turns, turns.join(), 1.0, 0.1) == 0.0


async def test_work_that_is_cancelled_or_fails_frees_its_worker(autojump_clock: MockClock) -> None:
    turns = Turns(1)
    share = turns.join()
    with trio.move_on_after(1):
        await work(turns, share, 1.0, 100.0)
    with pytest.raises(ZeroDivisionError):
        async with turns.turn(share, 1.0):
            raise ZeroDivisionError
    assert turns.statistics().running == 0
    assert await work(turns, share, 1.0, 0.1) == 0.0


async def test_a_session_takes_one_turn_at_a_time() -> None:
    turns = Turns(2)
    share = turns.join()
    async with turns.turn(share, 1.0):
        with pytest.raises(RuntimeError, match="one turn at a time"):
            await work(turns, share, 1.0, 0.1)


async def test_spare_turns_leave_a_worker_free_and_go_to_nobody_while_others_wait() -> None:
    turns = Turns(2)
    with turns.spare_turn() as first:
        assert first
        with turns.spare_turn() as second:
            assert not second
    async with turns.turn(turns.join(), 1.0):
        with turns.spare_turn() as granted:
            assert not granted
    assert turns.statistics().spare == 1
    single = Turns(1)
    with single.spare_turn() as granted:
        assert granted


async def test_statistics_show_the_oldest_wait(autojump_clock: MockClock) -> None:
    turns = Turns(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, turns, turns.join(), 1.0, 5.0)
        await wait_all_tasks_blocked()
        nursery.start_soon(work, turns, turns.join(), 1.0, 1.0)
        await trio.sleep(2)
        statistics = turns.statistics()
        assert (statistics.running, statistics.waiting, statistics.oldest_wait) == (1, 1, 2.0)
    assert turns.statistics().longest_wait == 5.0
    assert turns.statistics().served == 2


def test_at_least_one_worker_is_needed() -> None:
    with pytest.raises(ValueError, match="workers: 0"):
        Turns(0)
