"""Events are read in their order, each once, by readers of all processes, and what is gone is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from engine._config_receiver import Receiver
from engine.store import Store
from engine.store.received_events import MOST
from engine.webhooks.receiver.events import EVENT_BYTES, Events
from engine.webhooks.receiver.joining import Began
from tests.listen.harness import inline

SESSION = Began(id="s", uid="ann", sample_rate=8000, began_at=0, interval=1.0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path, inline)
    yield store
    await store.close()


def of(store: Store, *, shared: bool = False) -> Events:
    return Events(store.received_events, Receiver(), lambda: 0, shared=shared)


@asynccontextmanager
async def running(events: Events) -> AsyncIterator[Events]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.run)
        yield events
        nursery.cancel_scope.cancel()


async def numbers(events: Events, after: int = 0, wait: float = 0.0) -> tuple[list[int], int, int]:
    found = await events.read("ann", after, wait)
    return [msgspec.json.decode(bytes(event))["number"] for event in found.events], found.next, found.missed


async def test_events_are_read_after_those_one_has(store: Store) -> None:
    events = of(store)
    assert await numbers(events) == ([], 0, 0)
    for number in range(3):
        events.publish(SESSION, "test", number=number)
    await events.keep()
    assert await numbers(events) == ([0, 1, 2], 3, 0)
    assert await numbers(events, after=2) == ([2], 3, 0)
    assert await numbers(events, after=3) == ([], 3, 0)


async def test_what_is_gone_is_counted(store: Store) -> None:
    events = of(store)
    for number in range(MOST + 10):
        events.publish(SESSION, "test", number=number)
    await events.keep()
    found, after, missed = await numbers(events, after=4)
    assert (found[0], len(found), after, missed) == (10, MOST, MOST + 10, 6)


async def test_who_was_told_more_than_there_is_reads_all_there_is(store: Store) -> None:
    events = of(store)
    events.publish(SESSION, "test", number=0)
    await events.keep()
    assert await numbers(events, after=1000) == ([0], 1, 0)


@pytest.mark.parametrize("shared", [False, True], ids=["here", "by another process"])
async def test_a_reader_waits_for_the_first_and_no_longer_than_it_says(
    autojump_clock: trio.testing.MockClock, store: Store, shared: bool
) -> None:
    reading, found = of(store, shared=shared), []

    async def read() -> None:
        found.append(await numbers(reading, wait=20))

    async with running(of(store) if shared else reading) as publishing, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(10)
        assert found == []
        publishing.publish(SESSION, "test", number=7)
        await trio.sleep(1)
        assert found == [([7], 1, 0)]
    began = trio.current_time()
    assert await numbers(reading, after=1, wait=5) == ([], 1, 0)
    assert trio.current_time() - began == 5


async def test_what_is_too_long_for_an_event_is_left_out_of_it(store: Store) -> None:
    events = of(store)
    events.publish(SESSION, "test", text="x" * EVENT_BYTES)
    await events.keep()
    (event,) = (await events.read("ann")).events
    said = msgspec.json.decode(bytes(event))
    assert said.pop("left_out_bytes") > EVENT_BYTES
    assert said == {"type": "test", "session_id": "s"}
