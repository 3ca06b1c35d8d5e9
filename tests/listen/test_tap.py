"""Whoever taps a session hears all of it, in exact runs, and nobody who writes ever waits for them."""

import numpy as np
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.ring import Ring
from engine.listen.tap import Run, Tap, Taps

PAGE = 2048  # samples: the smallest ring
CAPACITY = 4 * PAGE


def numbered(start: int, count: int) -> bytes:
    """Sample number n has the value n mod 30011, so that a misplaced one is seen."""
    return (np.arange(start, start + count) % 30011).astype("<i2").tobytes()


def write(ring: Ring, taps: Taps, count: int) -> None:
    """As a pipeline does."""
    taps.make_room(count)
    ring.write(memoryview(numbered(ring.write_position, count)).cast("h"))
    taps.grown()


async def read_all(tap: Tap, samples: int, into: list[Run]) -> None:
    while (run := await tap.read(samples)).pcm:
        into.append(run)


@given(
    writes=st.lists(st.integers(1, CAPACITY), max_size=20),
    run=st.integers(1, 3 * CAPACITY),
)
def test_runs_are_exact_and_in_order_and_the_tail_comes_last(writes: list[int], run: int) -> None:
    async def hear() -> None:
        ring = Ring(CAPACITY)
        taps = Taps(ring)
        runs: list[Run] = []
        with taps.open("all", keep=3 * CAPACITY) as tap:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read_all, tap, run, runs)
                for count in writes:
                    write(ring, taps, count)
                    await trio.testing.wait_all_tasks_blocked()
                taps.finish()
                ring.close()
        heard = sum(writes)
        assert b"".join(one.pcm for one in runs) == numbered(0, heard)
        assert [one.position for one in runs] == list(range(0, heard, run))
        assert all(one.samples == run for one in runs[:-1])
        assert tap.lost == 0

    trio.run(hear)


async def test_a_reader_is_woken_when_its_run_is_there_and_not_by_each_packet() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    runs: list[Run] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_all, taps.open("one", keep=CAPACITY), 1000, runs)
        await trio.testing.wait_all_tasks_blocked()
        wakes = 0
        for _ in range(1000):
            ring.write(memoryview(numbered(ring.write_position, 1)).cast("h"))
            due = ring.write_position == 1000
            taps.grown()
            await trio.testing.wait_all_tasks_blocked()
            wakes += bool(runs)
            assert bool(runs) == due
        assert wakes == 1
        taps.finish()


async def test_native_code_that_writes_is_asked_to_tell_of_the_run_and_of_nothing_before() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    told = ring._native().wanted
    async with trio.open_nursery() as nursery:
        runs: list[Run] = []
        ring._native().wanted = 1 << 62
        nursery.start_soon(read_all, taps.open("one", keep=CAPACITY), 1500, runs)
        await trio.testing.wait_all_tasks_blocked()
        assert ring._native().wanted == 1500
        taps.finish()
    assert told == 0


async def test_a_slow_reader_keeps_nobody_waiting_and_loses_nothing_it_may_keep() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    tap = taps.open("slow", keep=5 * CAPACITY)
    for _ in range(20):
        write(ring, taps, CAPACITY // 4)
        assert ring.headroom() >= CAPACITY // 4
    run = await tap.read(5 * CAPACITY)
    assert (run.position, run.pcm, run.lost, tap.lost) == (0, numbered(0, 5 * CAPACITY), 0, 0)


async def test_a_reader_that_is_too_far_behind_loses_the_oldest_and_is_told_how_much() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    tap = taps.open("too slow", keep=CAPACITY)
    for _ in range(16):
        write(ring, taps, CAPACITY // 2)
    taps.finish()
    run = await tap.read(1000)
    assert run.position == run.lost == tap.lost == 7 * CAPACITY
    assert run.pcm == numbered(run.position, 1000)
    assert (await tap.read(1000)).lost == 0


async def test_a_lossy_tap_counts_what_went_by() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    tap = taps.open("now and then", lossless=False, keep=CAPACITY)
    write(ring, taps, CAPACITY)
    write(ring, taps, 100)
    run = await tap.read(50)
    assert (run.position, run.lost, run.pcm) == (100, 100, numbered(100, 50))
    taps.finish()
    rest = await tap.read(CAPACITY // 2)
    assert rest.pcm == numbered(150, CAPACITY // 2)


async def test_a_tap_opened_later_begins_with_what_follows() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    write(ring, taps, 77)
    with taps.open("late", keep=CAPACITY) as tap:
        write(ring, taps, 10)
        taps.finish()
        run = await tap.read(100)
        assert (run.position, run.pcm) == (77, numbered(77, 10))
        assert not (await tap.read(100)).pcm


async def test_what_may_not_be_is_refused() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    tap = taps.open("one", keep=100)
    with pytest.raises(ValueError, match="between 1 and the 100"):
        await tap.read(101)
    with pytest.raises(ValueError, match="open already"):
        taps.open("one", keep=100)
    taps.finish()
    with pytest.raises(ValueError, match="too late"):
        taps.open("two", keep=100)


async def test_a_closed_tap_holds_nothing_back() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    taps.open("gone", keep=10 * CAPACITY).close()
    ring.write(memoryview(numbered(0, CAPACITY)).cast("h"))
    ring.write(memoryview(numbered(0, CAPACITY)).cast("h"))
    assert ring.headroom() == CAPACITY
    assert taps.statistics() == ()


async def test_cancelling_a_read_loses_nothing() -> None:
    ring = Ring(CAPACITY)
    taps = Taps(ring)
    tap = taps.open("one", keep=CAPACITY)
    with trio.move_on_after(0):
        await tap.read(100)
    write(ring, taps, 100)
    assert (await tap.read(100)).pcm == numbered(0, 100)
