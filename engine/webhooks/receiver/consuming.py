"""What is done with a session's audio: by several consumers at once, each at its own pace."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from engine.log import get_logger
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.feed import Feed, Piece
from engine.webhooks.receiver.joining import Audio, Began, Silence, Step

__all__ = ["FEED_BYTES", "Consumer", "play"]

log = get_logger(__name__)

FEED_BYTES = 2 * 2**20
"""So much audio, a minute at 16 kHz, waits for one consumer of one session; then its user's requests wait."""


class Consumer(Protocol):
    """One thing that is done with audio. `lossless`: the others wait for it, rather than that it misses something."""

    @property
    def name(self) -> str:
        """What it is called in metrics."""
        ...

    @property
    def lossless(self) -> bool:
        """Whether the others wait for it."""
        ...

    async def consume(self, session: Began, feed: Feed) -> None:
        """Take the feed to its end. What this raises ends it for this session, and is logged."""
        ...


async def play(
    session: Began,
    next_step: Callable[[], Awaitable[Step | None]],
    consumers: Sequence[Consumer],
    missed: Callable[[str, int], None],
    taken: Callable[[Chunk, str], None],
) -> None:
    """Give every consumer the session's audio, to its end; returns when all are through with it.

    `missed` is told the name of a consumer that did not take so many samples; `taken` that one has dealt with what a
    chunk added, or will never do so. Of what it had before its process died it is given nothing. Cancellation leaves
    what is not dealt with.
    """

    def settled(consumer: str, piece: Piece) -> None:
        if isinstance(piece, Audio):
            taken(piece.chunk, consumer)

    feeds = [
        Feed(FEED_BYTES, lossless=consumer.lossless, settled=partial(settled, consumer.name))
        for consumer in consumers
    ]
    try:
        async with trio.open_nursery() as nursery:
            for consumer, feed in zip(consumers, feeds, strict=True):
                nursery.start_soon(_guarded, consumer, session, feed)
            while isinstance(step := await next_step(), Audio | Silence):
                for consumer, feed in zip(consumers, feeds, strict=True):
                    if isinstance(step, Silence) or consumer.name not in step.chunk.done:
                        await feed.put(step)
            for feed in feeds:
                feed.finish()
    finally:
        for consumer, feed in zip(consumers, feeds, strict=True):
            if feed.dropped:
                missed(consumer.name, feed.dropped)


async def _guarded(consumer: Consumer, session: Began, feed: Feed) -> None:
    """One consumer's fault is its own."""
    try:
        await consumer.consume(session, feed)
    except Exception:
        log.exception("receiver.consumer_failed", consumer=consumer.name, session=session.id)
    feed.abandon()  # unless it was cancelled: then another process goes on
