"""Events are read in their order, each once, and what is gone is told."""

import msgspec
import trio

from engine.webhooks.receiver.events import EVENTS, Events
from engine.webhooks.receiver.joining import Began

SESSION = Began(id="s", uid="ann", sample_rate=8000, began_at=0, interval=1.0)


async def numbers(events: Events, after: int = 0, wait: float = 0.0) -> tuple[list[int], int, int]:
    found = await events.read("ann", after, wait)
    return [msgspec.json.decode(bytes(event))["number"] for event in found.events], found.next, found.missed


async def test_events_are_read_after_those_one_has(autojump_clock: trio.testing.MockClock) -> None:
    events = Events()
    assert await numbers(events) == ([], 0, 0)
    for number in range(3):
        events.publish(SESSION, "test", number=number)
    assert await numbers(events) == ([0, 1, 2], 3, 0)
    assert await numbers(events, after=2) == ([2], 3, 0)
    assert await numbers(events, after=3) == ([], 3, 0)


async def test_what_is_gone_is_counted() -> None:
    events = Events()
    for number in range(EVENTS + 10):
        events.publish(SESSION, "test", number=number)
    found, after, missed = await numbers(events, after=4)
    assert (found[0], len(found), after, missed) == (10, EVENTS, EVENTS + 10, 6)


async def test_who_was_told_by_a_process_that_is_gone_reads_all_there_is() -> None:
    events = Events()
    events.publish(SESSION, "test", number=0)
    assert await numbers(events, after=1000) == ([0], 1, 0)


async def test_a_reader_waits_for_the_first_and_no_longer_than_it_says(
    autojump_clock: trio.testing.MockClock,
) -> None:
    events, found = Events(), []

    async def read() -> None:
        found.append(await numbers(events, wait=20))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(10)
        assert found == []
        events.publish(SESSION, "test", number=7)
    assert found == [([7], 1, 0)]
    began = trio.current_time()
    assert await numbers(events, after=1, wait=5) == ([], 1, 0)
    assert trio.current_time() - began == 5
