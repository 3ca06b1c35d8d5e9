"""Streams in memory behave as Trio's own do, and push back."""

import trio
import trio.testing

from engine.testing._memory import BoundedStream, bounded_stream_pair


async def test_they_pass_trios_conformance_check_for_streams() -> None:
    async def make() -> tuple[BoundedStream, BoundedStream]:
        return bounded_stream_pair()

    async def make_clogged() -> tuple[BoundedStream, BoundedStream]:
        left, right = bounded_stream_pair(16)
        await left.send_all(bytes(16))
        await right.send_all(bytes(16))
        return left, right

    await trio.testing.check_two_way_stream(make, make_clogged)


async def test_a_sender_waits_while_nobody_reads(autojump_clock: trio.testing.MockClock) -> None:
    left, right = bounded_stream_pair(1000)
    with trio.move_on_after(60) as limit:
        await left.send_all(bytes(1001))
    assert limit.cancelled_caught
    assert await right.receive_some() == bytes(1000)
