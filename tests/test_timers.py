"""Timers of many sessions, slept for by one of their tasks."""

import gc
import weakref
from functools import partial

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from engine.timers import TICK, Timers


class Calls:
    """Notes when it is called, and asks to be called again after `interval`."""

    def __init__(self, interval: float | None) -> None:
        self.at: list[float] = []
        self._interval = interval

    def __call__(self) -> float | None:
        self.at.append(round(trio.current_time(), 6))
        return None if self._interval is None else trio.current_time() + self._interval


async def test_each_is_called_at_once_and_when_it_asks(autojump_clock: MockClock) -> None:
    timers, often, seldom, once = Timers(), Calls(1.0), Calls(2.5), Calls(None)
    with trio.move_on_after(5.2):
        await timers.keep(often, seldom, once)
    assert often.at == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert seldom.at == [0.0, 2.5, 5.0]
    assert once.at == [0.0]
    assert timers.statistics().made == 10


async def test_calls_of_one_tick_cost_one_waking(autojump_clock: MockClock) -> None:
    timers, calls = Timers(), [Calls(1.0) for _ in range(50)]
    wakings = 0

    class Wakings(trio.abc.Instrument):
        def task_scheduled(self, task: trio.lowlevel.Task) -> None:
            nonlocal wakings
            wakings += "Timers.keep" in task.name

    async with trio.open_nursery() as nursery:
        for number, call in enumerate(calls):
            nursery.start_soon(timers.keep, call)
            await trio.sleep(TICK / 100 * (number % 2))
        await trio.sleep(0.9)
        trio.lowlevel.add_instrument(instrument := Wakings())
        await trio.sleep(10)
        trio.lowlevel.remove_instrument(instrument)
        nursery.cancel_scope.cancel()
    assert all(len(call.at) == 11 for call in calls)
    assert wakings <= 20


async def test_another_session_sleeps_on_when_the_one_that_slept_has_left(autojump_clock: MockClock) -> None:
    timers, staying, leaving = Timers(), Calls(1.0), Calls(1.0)
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(2.5):
            async with trio.open_nursery() as first:
                first.start_soon(timers.keep, leaving)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(timers.keep, staying)
                await trio.sleep_forever()
        await trio.sleep(2.4)
        nursery.cancel_scope.cancel()
    assert leaving.at == [0.0, 1.0, 2.0]
    assert staying.at == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("sleeper", ["faulty", "sound"])
async def test_a_fault_is_raised_in_its_own_session_and_the_others_go_on(
    autojump_clock: MockClock, sleeper: str
) -> None:
    timers, sound, raised = Timers(), Calls(1.0), []

    def faulty() -> float | None:
        if trio.current_time() < 1:
            return 1.0
        raise RuntimeError("broken timer")

    async def keep_faulty() -> None:
        with pytest.raises(RuntimeError, match="broken timer"):
            await timers.keep(faulty)
        raised.append(trio.current_time())

    first, second = (keep_faulty, partial(timers.keep, sound))[:: 1 if sleeper == "faulty" else -1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(second)
        await trio.sleep(3.5)
        nursery.cancel_scope.cancel()
    assert raised == [1.0]
    assert sound.at == [0.0, 1.0, 2.0, 3.0]


async def test_a_timer_that_is_due_sooner_is_not_missed(autojump_clock: MockClock) -> None:
    timers, late, soon = Timers(), Calls(3600.0), Calls(0.5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.keep, late)
        await trio.sleep(1.0)
        nursery.start_soon(timers.keep, soon)
        await trio.sleep(1.2)
        nursery.cancel_scope.cancel()
    assert soon.at == [1.0, 1.5, 2.0]


async def test_nothing_of_a_session_that_has_left_is_kept(autojump_clock: MockClock) -> None:
    timers = Timers()
    gone: list[weakref.ref[Calls]] = []

    async def session() -> None:
        call = Calls(3600.0)
        gone.append(weakref.ref(call))
        await timers.keep(call)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(session)
        await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    gc.collect()
    assert [call() for call in gone] == [None]
