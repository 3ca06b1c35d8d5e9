"""Tests of the shared voice activity model, which is the real one."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from engine.stt._silero import REPLAY, SileroPool, VoiceStream
from engine.stt.endpoint import WINDOW
from tests.stt.streams import load

T = TypeVar("T")


def windows_of(name: str) -> NDArray[np.int16]:
    pcm = load(name)
    return pcm[: len(pcm) // WINDOW * WINDOW].reshape(-1, WINDOW)


async def all_of(
    pool: SileroPool, windows: NDArray[np.int16], stream: VoiceStream | None = None
) -> list[float]:
    stream = stream or VoiceStream()
    found: list[float] = []
    for first in range(0, len(windows), 3):
        found += await pool.probabilities(stream, windows[first : first + 3])
    return found


@pytest.fixture
def pool() -> SileroPool:
    return SileroPool(2, trio.to_thread.run_sync)


async def test_speech_is_likely_and_noise_is_not(pool: SileroPool) -> None:
    speech = await all_of(pool, windows_of("austen-0880"))
    noise = np.random.default_rng(1).normal(0, 500, (60, WINDOW)).astype(np.int16)
    assert np.mean([p > 0.5 for p in speech]) > 0.7
    assert max(await all_of(pool, noise)) < 0.5


async def test_a_stream_is_not_disturbed_by_one_beside_it(pool: SileroPool) -> None:
    first, second = windows_of("austen-0880")[:60], windows_of("beckett")[:60]
    alone = await all_of(pool, first)
    shared = SileroPool(2, trio.to_thread.run_sync)
    streams = VoiceStream(), VoiceStream()
    found: list[float] = []
    for at in range(0, 60, 3):
        found += await shared.probabilities(streams[0], first[at : at + 3])
        await shared.probabilities(streams[1], second[at : at + 3])
    assert found == alone
    assert shared.statistics().taken == 0


async def test_more_streams_than_instances_hear_nearly_the_same() -> None:
    first, second = windows_of("austen-0880")[:60], windows_of("beckett")[:60]
    single = SileroPool(1, trio.to_thread.run_sync)
    alone = await all_of(single, first)
    streams = VoiceStream(), VoiceStream()
    found: list[float] = []
    for at in range(0, 60, 3):
        found += await single.probabilities(streams[0], first[at : at + 3])
        await single.probabilities(streams[1], second[at : at + 3])
    agreement = np.mean([(a > 0.5) == (b > 0.5) for a, b in zip(alone, found, strict=True)])
    assert agreement >= 0.9
    statistics = single.statistics()
    assert statistics.instances == 1
    assert statistics.taken > 30
    assert statistics.replayed <= REPLAY * statistics.taken


async def test_after_skipped_silence_a_stream_is_brought_up_to_date(pool: SileroPool) -> None:
    windows = windows_of("beckett")
    stream = VoiceStream()
    stream.skip(windows[:8])
    found = await all_of(pool, windows[8:40], stream)
    whole = (await all_of(pool, windows[:40]))[8:]
    assert found == pytest.approx(whole)


async def test_instances_never_exceed_the_limit_and_callers_wait(pool: SileroPool) -> None:
    windows = windows_of("austen-0880")[:30]
    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(all_of, pool, windows)
    statistics = pool.statistics()
    assert statistics.instances == 2
    assert statistics.busy == 0
    assert statistics.windows == 180


async def test_a_stream_that_failed_gives_its_instance_back() -> None:
    fail = True

    async def off_loop(function: Callable[..., T], /, *args: object) -> T:
        if fail:
            raise OSError("no threads")
        return function(*args)

    pool = SileroPool(1, off_loop)
    windows = windows_of("austen-0880")[:9]
    with pytest.raises(OSError, match="no threads"):
        await all_of(pool, windows)
    fail = False
    assert len(await all_of(pool, windows)) == 9
    assert pool.statistics().taken == 0
