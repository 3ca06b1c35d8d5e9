"""Bodies that are made while they are sent."""

import pytest
import trio
import trio.testing

from engine.web.streaming import Send, StreamedBody


async def read(body: StreamedBody) -> list[bytes]:
    async with body as pieces:
        return [piece async for piece in pieces]


async def test_pieces_come_in_order_and_nothing_is_made_ahead() -> None:
    made: list[int] = []

    async def work(send: Send) -> None:
        for number in range(3):
            made.append(number)
            await send(b"%d" % number)

    body = StreamedBody(work)
    async with body as pieces:
        assert await anext(pieces) == b"0"
        await trio.testing.wait_all_tasks_blocked()
        assert made == [0, 1]
        assert [piece async for piece in pieces] == [b"1", b"2"]


async def test_work_that_fails_ends_the_body_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work(send: Send) -> None:
        await send(b"begun")
        raise ValueError("on purpose")

    assert await read(StreamedBody(work)) == [b"begun"]
    assert "request.failed" in caplog.text


async def test_who_leaves_ends_the_work() -> None:
    ended = trio.Event()

    async def work(send: Send) -> None:
        try:
            while True:
                await send(b"on and on")
        finally:
            ended.set()

    async with StreamedBody(work) as pieces:
        await anext(pieces)
    assert ended.is_set()
