"""Audio goes through ring and spill file in order, without a gap, whatever the pace of either side."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.ring import Ring
from engine.listen.backlog import Backlog
from engine.listen.spill import Spill
from tests.patience import PATIENCE

T = TypeVar("T")

PAGE = 2048  # samples: the smallest ring


async def inline(function: Callable[..., T], /, *args: object) -> T:
    await trio.lowlevel.checkpoint()
    return function(*args)


def samples(start: int, count: int) -> memoryview:
    """Sample number n has the value n mod 30011 (less 15000), so that a misplaced one is seen."""
    return memoryview(((np.arange(start, start + count) % 30011) - 15000).astype(np.int16).tobytes()).cast(
        "h"
    )


def make(tmp_path: Path, *, spill: int = 100 * PAGE, margin: int = PAGE // 2) -> tuple[Ring, Spill, Backlog]:
    ring = Ring(2 * PAGE)
    overflow = Spill(tmp_path, spill, inline)
    return ring, overflow, Backlog(ring, overflow, margin)


async def put(ring: Ring, backlog: Backlog, count: int) -> None:
    await backlog.make_room(count)
    ring.write(samples(ring.write_position, count))
    backlog.grown()


async def test_a_reader_waits_for_all_it_asked_for(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    got = []

    async def read() -> None:
        got.append(await backlog.read(100))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await put(ring, backlog, 99)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        await put(ring, backlog, 1)
    assert got[0].position == 0
    assert list(got[0].pcm) == list(samples(0, 100))


async def test_who_begins_again_reads_on_where_packets_end(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    await put(ring, backlog, 1000)
    assert len((await backlog.read(500)).pcm) == 500
    backlog.cover(130)
    backlog.rewind()
    first = await backlog.read(200)
    assert (first.position, len(first.pcm)) == (130, 70)
    rest = [await backlog.read(200) for _ in range(4)]
    assert [(one.position, len(one.pcm)) for one in rest] == [(at, 200) for at in range(200, 1000, 200)]
    assert backlog.unread == 0


async def test_a_flush_hands_over_what_is_there_and_marks_it(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    await put(ring, backlog, 70)
    assert backlog.flush() == 70
    chunk = await backlog.read(1000)
    assert (len(chunk.pcm), chunk.flush, chunk.end) == (70, True, False)
    await put(ring, backlog, 10)
    later = await backlog.read(10)
    assert (later.position, later.flush) == (70, False)


async def test_a_flush_of_nothing_unread_still_reaches_the_vendor(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    await put(ring, backlog, 70)
    await backlog.read(70)
    backlog.flush()
    chunk = await backlog.read(1000)
    assert (len(chunk.pcm), chunk.position, chunk.flush) == (0, 70, True)


async def test_the_end_comes_with_the_last_samples_and_stays(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    await put(ring, backlog, 70)
    backlog.finish()
    first, second = await backlog.read(50), await backlog.read(50)
    assert (len(first.pcm), first.end) == (50, False)
    assert (len(second.pcm), second.end) == (20, True)
    assert (await backlog.read(50)).end


async def test_audio_that_is_not_covered_goes_to_disk_instead_of_being_overwritten(tmp_path: Path) -> None:
    ring, spill, backlog = make(tmp_path)
    for _ in range(20):
        await put(ring, backlog, PAGE // 2)
    assert spill.held > 0
    assert backlog.waiting == 10 * PAGE
    heard: list[int] = []
    while backlog.unread:
        chunk = await backlog.read(min(300, backlog.unread))
        heard.extend(chunk.pcm)
        backlog.cover(backlog.position)
    assert heard == list(samples(0, 10 * PAGE))
    assert spill.held == 0


async def test_a_full_disk_quota_slows_the_writer_down_and_loses_nothing(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path, spill=PAGE)
    written = 0

    async def write() -> None:
        nonlocal written
        for _ in range(30):
            await put(ring, backlog, PAGE // 4)
            written += PAGE // 4

    heard: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        assert written < 4 * PAGE
        while len(heard) < 30 * PAGE // 4:
            chunk = await backlog.read(PAGE // 4)
            heard.extend(chunk.pcm)
            backlog.cover(backlog.position)
    assert heard == list(samples(0, 30 * PAGE // 4))


async def test_after_a_rewind_the_same_samples_are_read_again(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    for _ in range(8):
        await put(ring, backlog, PAGE)
    await backlog.read(PAGE)
    backlog.cover(PAGE)
    await backlog.read(3 * PAGE)
    backlog.rewind()
    for position, count in (PAGE, 7 * PAGE % 10), (PAGE + 7 * PAGE % 10, 10):
        chunk = await backlog.read(10)
        assert chunk.position == position
        assert list(chunk.pcm) == list(samples(position, count))


async def test_waiting_for_coverage_ends_when_it_is_reached(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    await put(ring, backlog, 100)
    done = trio.Event()

    async def wait() -> None:
        await backlog.wait_covered(80)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        backlog.cover(79)
        await trio.testing.wait_all_tasks_blocked()
        assert not done.is_set()
        backlog.cover(80)
        with trio.fail_after(PATIENCE):
            await done.wait()


def test_a_spill_file_refuses_a_gap_and_more_than_it_may_hold(tmp_path: Path) -> None:
    async def main() -> None:
        spill = Spill(tmp_path, 100, inline)
        await spill.append(5, samples(5, 60))
        with pytest.raises(ValueError, match="gap"):
            await spill.append(66, samples(66, 1))
        with pytest.raises(ValueError, match="do not fit"):
            await spill.append(65, samples(65, 41))
        with pytest.raises(LookupError):
            await spill.read(65, 1)
        spill.close()

    trio.run(main)
    assert list(tmp_path.iterdir()) == []


Steps = st.lists(
    st.tuples(st.sampled_from(["write", "read", "cover", "rewind", "flush"]), st.integers(1, PAGE)),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(steps=Steps)
def test_any_order_of_steps_reads_every_sample_in_order(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def main() -> None:
        ring, _, backlog = make(tmp_path_factory.mktemp("spill"))
        read_to = 0
        for step, amount in steps:
            if step == "write":
                await put(ring, backlog, amount)
            elif step == "flush":
                backlog.flush()
            elif step == "cover":
                backlog.cover(min(backlog.position, backlog.covered + amount))
            elif step == "rewind":
                backlog.rewind()
            elif backlog.unread:
                chunk = await backlog.read(min(amount, backlog.unread))
                assert list(chunk.pcm) == list(samples(chunk.position, len(chunk.pcm)))
                read_to = max(read_to, backlog.position)
            assert backlog.covered <= backlog.position <= ring.write_position
        backlog.finish()
        backlog.rewind()
        position, ended = backlog.covered, False
        while not ended:
            chunk = await backlog.read(PAGE // 3)
            assert chunk.position == position
            assert list(chunk.pcm) == list(samples(position, len(chunk.pcm)))
            position, ended = position + len(chunk.pcm), chunk.end
        assert position == ring.write_position
        backlog.close()
        ring.close()

    trio.run(main)


async def test_who_reads_again_is_asked_again_to_flush(tmp_path: Path) -> None:
    ring, _, backlog = make(tmp_path)
    await put(ring, backlog, 150)
    backlog.flush()
    first = [await backlog.read(100), await backlog.read(100)]
    assert [chunk.flush for chunk in first] == [False, True]
    backlog.cover(120)
    backlog.rewind()
    again = await backlog.read(100)
    assert (again.position, len(again.pcm), again.flush) == (120, 30, True)
    backlog.cover(150)
    backlog.rewind()
    await put(ring, backlog, 100)
    assert not (await backlog.read(100)).flush
