"""Tests of voices computed for all sessions: order, batches, budget, bounds. Threads are not needed for that."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import trio
import trio.testing
from numpy.typing import NDArray

from engine.speaker import encoding as module
from engine.speaker.embedding import BATCH, SIZE, Floats, VoiceEncoder, window_starts
from engine.speaker.encoding import Encoding, Urgency

T = TypeVar("T")

SECOND = np.ones(16_000, np.int16)


class Slow:
    """Off the loop: each batch waits to be let go, and says what was in it."""

    def __init__(self) -> None:
        self.began = trio.Event()
        self.go = trio.Event()
        self.batches = 0

    async def __call__(self, function: Callable[..., T], /, *args: object) -> T:
        self.batches += 1
        self.began.set()
        await self.go.wait()
        return function(*args)


class Echo(VoiceEncoder):
    """Windows are as many as the real ones; a vector is the first sample of what it was made from."""

    def __init__(self) -> None:
        self.order: list[int] = []

    def windows(self, pcm: NDArray[np.int16], rate: float = 1.3) -> Floats:
        self.order.append(int(pcm[0]))
        return np.full((len(window_starts(len(pcm), rate)), 160, 40), pcm[0], np.float32)

    def embed(self, windows: Floats) -> Floats:
        return np.repeat(windows[:, 0, :1], SIZE, axis=1)


async def at_once(function: Callable[..., T], /, *args: object) -> T:
    await trio.lowlevel.checkpoint()
    return function(*args)


async def test_each_gets_the_vectors_of_their_own_utterance() -> None:
    encoding = Encoding(encoder=Echo(), off_loop=at_once)
    got: dict[int, Floats | None] = {}

    async def ask(number: int) -> None:
        got[number] = await encoding.vectors(SECOND * np.int16(number), Urgency.NEW)

    async with trio.open_nursery() as nursery:
        for number in range(1, 40):
            nursery.start_soon(ask, number)
    for number, vectors in got.items():
        assert vectors is not None
        assert vectors.shape == (1, SIZE)
        assert (vectors == number).all()
    assert encoding.statistics().utterances == 39


async def test_those_who_come_while_a_batch_runs_are_in_the_next_together() -> None:
    slow = Slow()
    encoding = Encoding(encoder=Echo(), off_loop=slow)
    async with trio.open_nursery() as nursery:
        for number in range(1, BATCH + 2):
            nursery.start_soon(encoding.vectors, SECOND * np.int16(number), Urgency.NEW)
            await trio.testing.wait_all_tasks_blocked()
        slow.go.set()
    assert encoding.statistics().batches == 2


async def test_the_more_urgent_go_first_and_among_equals_the_earlier() -> None:
    slow, echo = Slow(), Echo()
    encoding = Encoding(encoder=echo, off_loop=slow)
    asked = [Urgency.NEW, Urgency.LATER, Urgency.KNOWN, Urgency.NEW, Urgency.LIVE, Urgency.LATER]
    long = np.ones(16_000 * 20, np.int16)  # more windows than a batch has room for beside others
    async with trio.open_nursery() as nursery:
        for number, urgency in enumerate(asked):
            nursery.start_soon(encoding.vectors, long * np.int16(number), urgency)
            await trio.testing.wait_all_tasks_blocked()
        slow.go.set()
    assert echo.order == [0, 4, 3, 2, 1, 5]


async def test_when_too_many_wait_the_least_urgent_are_given_up_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "QUEUE", 3)
    slow = Slow()
    encoding = Encoding(encoder=Echo(), off_loop=slow)
    got: dict[int, Floats | None] = {}

    async def ask(number: int, urgency: Urgency) -> None:
        got[number] = await encoding.vectors(SECOND * np.int16(number), urgency)

    async with trio.open_nursery() as nursery:
        order = [Urgency.NEW, Urgency.LATER, Urgency.LATER, Urgency.NEW, Urgency.LIVE]
        for number, urgency in enumerate(order):
            nursery.start_soon(ask, number, urgency)
            await trio.testing.wait_all_tasks_blocked()
        slow.go.set()
    assert [number for number, vectors in got.items() if vectors is None] == [1]
    assert encoding.statistics().given_up == 1


async def test_who_is_cancelled_while_running_a_batch_takes_nobody_along() -> None:
    slow = Slow()
    encoding = Encoding(encoder=Echo(), off_loop=slow)
    got: list[Floats | None] = []

    async def ask() -> None:
        got.append(await encoding.vectors(SECOND, Urgency.NEW))

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def cancelled() -> None:
            with scope:
                await encoding.vectors(SECOND, Urgency.NEW)

        nursery.start_soon(cancelled)
        await slow.began.wait()
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        slow.go.set()
    assert len(got) == 1
    assert got[0] is not None
    assert encoding.statistics().waiting == 0


async def test_what_was_spent_is_paid_for_before_more_is(autojump_clock: trio.testing.MockClock) -> None:
    encoding = Encoding(encoder=Echo(), off_loop=at_once, core_share=0.25)
    await encoding.vectors(SECOND, Urgency.NEW)
    encoding.spend(1.0)
    began = trio.current_time()
    await encoding.vectors(SECOND, Urgency.NEW)
    assert trio.current_time() - began == pytest.approx(4.0, abs=0.5)


async def test_a_fault_reaches_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(windows: Floats) -> Floats:
        raise OSError("no memory")

    echo = Echo()
    monkeypatch.setattr(echo, "embed", broken)
    encoding = Encoding(encoder=echo, off_loop=at_once)
    for _ in range(2):
        with pytest.raises(OSError, match="no memory"):
            await encoding.vectors(SECOND, Urgency.NEW)
    assert encoding.statistics().waiting == 0
