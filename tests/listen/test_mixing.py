"""A call's channels are heard as one, whatever the pace of each, and nothing of either is left out."""

import numpy as np
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.ring import Ring
from engine.listen.mixing import Mixed, mix
from engine.listen.tap import Run, Taps

CAPACITY = 8192


def constant(value: int, count: int) -> bytes:
    return np.full(count, value, "<i2").tobytes()


def total(pcm: bytes) -> int:
    return int(np.frombuffer(pcm, "<i2").astype(np.int64).sum())


def heard(run: int) -> st.SearchStrategy[tuple[int, list[tuple[int, int]]]]:
    """Runs of `run` samples, and what each channel hears in turn: at most a hundred runs at once."""
    write = st.tuples(st.integers(0, 1), st.integers(1, min(CAPACITY, 100 * run)))
    return st.tuples(st.just(run), st.lists(write, max_size=12))


@given(case=st.integers(1, CAPACITY).flatmap(heard))
def test_every_sample_of_every_channel_is_in_one_run_and_runs_are_exact(
    case: tuple[int, list[tuple[int, int]]],
) -> None:
    run, writes = case

    async def hear() -> None:
        rings = [Ring(CAPACITY), Ring(CAPACITY)]
        taps = [Taps(ring) for ring in rings]
        runs: list[Run] = []
        values = (3, 500)
        with Mixed([each.open("call", keep=20 * CAPACITY) for each in taps]) as mixed:

            async def read() -> None:
                while (one := await mixed.read(run)).pcm:
                    runs.append(one)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                for channel, count in writes:
                    taps[channel].make_room(count)
                    rings[channel].write(memoryview(constant(values[channel], count)).cast("h"))
                    taps[channel].grown()
                    await trio.testing.wait_all_tasks_blocked()
                for each in taps:
                    each.finish()
        said = sum(values[channel] * count for channel, count in writes)
        assert sum(total(one.pcm) for one in runs) == said
        assert all(one.samples == run for one in runs[:-1])
        assert [one.position for one in runs] == [run * n for n in range(len(runs))]

    trio.run(hear)


def test_what_is_too_loud_is_cut() -> None:
    assert mix([constant(30_000, 3), constant(30_000, 2)]) == constant(32_767, 2) + constant(30_000, 1)
    assert mix([constant(-30_000, 2), constant(-30_000, 2)]) == constant(-32_768, 2)
    assert mix([b"", b""]) == b""
