"""A consumer takes what it can; a lossless one is waited for, of another the oldest is dropped and counted."""

import trio

from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.joining import Audio, Silence
from tests.webhooks.receiver import chunks


def audio(number: int, samples: int = 10) -> Audio:
    return chunks.audio(number, bytes(2 * samples))


async def test_pieces_are_taken_in_order_until_the_feed_is_finished() -> None:
    feed = Feed(1000, lossless=True)
    for number in range(3):
        await feed.put(audio(number))
    assert not feed.over
    feed.finish()
    assert [piece.position async for piece in feed] == [0, 1, 2]
    assert feed.over
    assert feed.dropped == 0


async def test_a_lossless_feed_waits_for_room(autojump_clock: trio.testing.MockClock) -> None:
    feed = Feed(40, lossless=True)
    put: list[int] = []

    async def fill() -> None:
        for number in range(5):
            await feed.put(audio(number))
            put.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fill)
        await trio.testing.wait_all_tasks_blocked()
        assert put == [0, 1]
        assert (await anext(feed)).position == 0
        await trio.testing.wait_all_tasks_blocked()
        assert put == [0, 1, 2]
        feed.abandon()
    assert put == [0, 1, 2, 3, 4]
    assert feed.dropped == 40


async def test_a_lossy_feed_drops_the_oldest_and_counts_it() -> None:
    feed = Feed(40, lossless=False)
    for number in range(5):
        await feed.put(audio(number))
    feed.finish()
    assert [piece.position async for piece in feed] == [3, 4]
    assert feed.dropped == 30


async def test_silence_takes_no_room() -> None:
    feed = Feed(40, lossless=True)
    for number in range(10):
        await feed.put(Silence(position=number, samples=1_000_000))
    feed.finish()
    assert len([piece async for piece in feed]) == 10


async def test_a_piece_larger_than_the_limit_is_taken_by_an_empty_feed() -> None:
    for lossless in (True, False):
        feed = Feed(40, lossless=lossless)
        await feed.put(audio(0, samples=100))
        assert (await anext(feed)).samples == 100
