"""The clock on every step: what a server's tasks take, against the process's own clock."""

import time

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from bench.costs import NATIVE, Costs, Counted


def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(100))


async def spend(seconds: float) -> None:
    for _ in range(5):
        busy(seconds / 5)
        await trio.lowlevel.checkpoint()


async def test_each_tasks_cpu_is_counted_under_its_name() -> None:
    costs = Costs()
    trio.lowlevel.add_instrument(costs)
    costs.counted()  # looks for lanes, once
    await trio.lowlevel.checkpoint()
    start = costs.counted()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(spend, 0.05, name="small")
        nursery.start_soon(spend, 0.1, name="large")
        nursery.start_soon(spend, 0.1, name="large")
    trio.lowlevel.remove_instrument(costs)
    spent = costs.counted().since(start)
    assert (spent.steps["small"], spent.steps["large"]) == (6, 12)
    assert spent.nanoseconds["small"] > 0.04e9
    assert spent.nanoseconds["large"] > 0.19e9
    assert sum(spent.nanoseconds.values()) <= spent.loop <= spent.process * 1.01


async def test_a_call_with_a_clock_is_not_its_tasks() -> None:
    costs = Costs()
    clocked = costs.clock(NATIVE, busy)
    trio.lowlevel.add_instrument(costs)

    async def call() -> None:
        clocked(0.1)
        busy(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call, name="caller")
    trio.lowlevel.remove_instrument(costs)
    counted = costs.counted()
    assert counted.nanoseconds[NATIVE] > 0.09e9
    assert 0.018e9 < counted.nanoseconds["caller"] < counted.nanoseconds[NATIVE]


async def test_work_in_other_threads_is_the_processs_and_not_the_loops() -> None:
    costs = Costs()
    await wait_all_tasks_blocked()
    start = costs.counted()
    await trio.to_thread.run_sync(busy, 0.1)
    spent = costs.counted().since(start)
    assert spent.process - spent.loop > 0.09e9


def test_what_is_counted_goes_over_a_pipe() -> None:
    counted = Counted({"a": 1}, {"a": 2}, 3, 4, 5, {"waits": 6})
    assert msgspec.json.decode(msgspec.json.encode(counted), type=Counted) == counted
    assert counted.since(counted) == Counted({"a": 0}, {"a": 0}, 0, 0, 0, {"waits": 0})
