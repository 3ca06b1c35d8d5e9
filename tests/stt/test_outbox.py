"""Tests of the queue between a local stream's reader and its decoder."""

import numpy as np
import trio
from trio.testing import wait_all_tasks_blocked

from engine.stt._outbox import Outbox
from engine.stt.endpoint import Silence, Utterance


def utterance(start: int, end: int) -> Utterance:
    return Utterance(start, end, start, end, np.zeros(end - start, np.int16))


async def test_items_come_out_in_order_and_silence_in_a_row_is_one() -> None:
    outbox = Outbox()
    said = utterance(20, 30)
    for item in (Silence(0, 10), Silence(10, 20), said, Silence(30, 40), Silence(40, 50)):
        await outbox.put(item)
    await outbox.close()
    assert [await outbox.take() for _ in range(4)] == [Silence(0, 20), said, Silence(30, 50), None]


async def test_a_second_utterance_waits_until_the_first_is_taken() -> None:
    outbox = Outbox()
    first, second = utterance(0, 10), utterance(10, 20)
    await outbox.put(first)
    async with trio.open_nursery() as nursery:
        done = trio.Event()

        async def put_second() -> None:
            await outbox.put(second)
            done.set()

        nursery.start_soon(put_second)
        await wait_all_tasks_blocked()
        assert not done.is_set()
        assert await outbox.take() is first
        await done.wait()
    assert await outbox.take() is second


async def test_a_cancelled_take_loses_nothing() -> None:
    outbox = Outbox()
    with trio.CancelScope() as scope:
        scope.cancel()
        await outbox.take()
    await outbox.put(Silence(0, 10))
    assert await outbox.take() == Silence(0, 10)
