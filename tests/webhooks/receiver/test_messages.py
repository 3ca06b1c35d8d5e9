"""A feed becomes messages that are its samples, none of them too short to be audio."""

import trio
from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.joining import Audio, Silence
from engine.webhooks.receiver.messages import MessageSource
from engine.wire import KEEPALIVE_BYTES
from tests.webhooks.receiver.chunks import audio, tone

RATE = 8000


async def messages(*pieces: Audio | Silence) -> list[bytes]:
    feed = Feed(10**9, lossless=True)
    for piece in pieces:
        await feed.put(piece)
    feed.finish()
    source, found = MessageSource(feed, RATE), []
    while (message := await source.peek()) is not None:
        assert await source.peek() == message
        found.append(message)
        source.taken()
    assert source.over
    return found


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3 * RATE)), max_size=8))
def test_messages_are_the_samples_of_the_feed(kinds: list[tuple[bool, int]]) -> None:
    pieces: list[Audio | Silence] = []
    expected, at = b"", 0
    for silent, samples in kinds:
        pcm = bytes(2 * samples) if silent else tone(samples, at)
        pieces.append(Silence(position=at, samples=samples) if silent else audio(at, pcm))
        expected, at = expected + pcm, at + samples
    found = trio.run(messages, *pieces)
    whole = b"".join(found)
    assert whole[: len(expected)] == expected
    assert whole[len(expected) :] in (b"", bytes(KEEPALIVE_BYTES))
    assert all(KEEPALIVE_BYTES < len(message) <= 2 * RATE + KEEPALIVE_BYTES for message in found)


async def test_a_single_sample_is_heard_with_the_next_piece() -> None:
    found = await messages(audio(0, tone(1)), audio(1, tone(5, 1)))
    assert found == [tone(6)]


async def test_a_single_sample_that_nothing_follows_has_silence_after_it() -> None:
    assert await messages(audio(0, tone(1))) == [tone(1) + bytes(KEEPALIVE_BYTES)]
