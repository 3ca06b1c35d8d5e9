"""Audio is sent on in order and tried again under one id; what cannot be sent is counted."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio_websocket

from engine._config_receiver import Receiver as Settings
from engine.config import Webhook
from engine.stt.transport import ConnectFailed
from engine.webhooks.addresses import SystemResolver
from engine.webhooks.client import WebhookClient
from engine.webhooks.receiver.consuming import Consumer
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.joining import Began, Silence
from engine.webhooks.receiver.republishing import checked_stream, republishing
from tests.patience import PATIENCE
from tests.webhooks.receiver.chunks import RATE, audio, tone
from tests.webhooks.receiving import answering, certificate, receiver

SESSION = Began(id="s1", uid="ann", sample_rate=RATE, began_at=0, interval=1.0)
PIECES = (
    audio(0, tone(100)),
    Silence(position=100, samples=50),
    audio(150, tone(100, 150)),
)


@asynccontextmanager
async def sender(
    url: str, *, allow: tuple[str, ...] = ("127.0.0.0/8",), ca_file: str = "", **settings: Any
) -> AsyncIterator[Consumer]:
    quick = {"retry_initial": 0.001, "retry_limit": 0.001, "republish_timeout": 5.0, **settings}
    client = WebhookClient(Webhook(allow=allow, ca_file=ca_file), trio.to_thread.run_sync)
    made = republishing(
        Settings(republish=url, **quick), client, SystemResolver(), lambda: 1_700_000_000_000_000
    )
    assert made is not None
    async with client.open():
        yield made


async def send(consumer: Consumer) -> int:
    """Samples that were not taken."""
    feed = Feed(10**9, lossless=False)
    for piece in PIECES:
        await feed.put(piece)
    feed.finish()
    with trio.fail_after(PATIENCE):
        await consumer.consume(SESSION, feed)
    feed.abandon()
    return feed.dropped


async def test_requests_go_on_as_they_came_and_say_where_they_belong() -> None:
    async with receiver() as there, sender(there.url("/in?key=1")) as consumer:
        assert await send(consumer) == 0
        assert [request.body for request in there.requests] == [tone(100), tone(100, 150)]
        assert {request.query for request in there.requests} == {f"key=1&sample_rate={RATE}&uid=ann"}
        positions = [request.headers["listen-position"] for request in there.requests]
        assert positions == ["0", "150"]
        assert len({request.id for request in there.requests}) == 2


async def test_a_request_that_fails_is_tried_again_under_its_id() -> None:
    async with receiver(answering(500, 429, 200)) as there, sender(there.url()) as consumer:
        assert await send(consumer) == 0
        assert [request.body for request in there.requests] == [tone(100)] * 3 + [tone(100, 150)]
        assert len({request.id for request in there.requests[:3]}) == 1


@pytest.mark.parametrize(("status", "requests"), [(400, 2), (302, 2), (503, 8)])
async def test_what_is_never_taken_is_left_and_counted(status: int, requests: int) -> None:
    async with receiver(answering(status)) as there, sender(there.url()) as consumer:
        assert await send(consumer) == 200
        assert len(there.requests) == requests


async def test_private_addresses_are_not_reached() -> None:
    async with receiver() as there, sender(there.url(), allow=()) as consumer:
        assert await send(consumer) == 200
        assert there.connections == 0
    ours = WebhookClient(Webhook(), trio.to_thread.run_sync)
    with pytest.raises(ConnectFailed, match="not on the public Internet"):
        await checked_stream(ours, SystemResolver())("127.0.0.1", 80, False)


class Socket:
    """A WebSocket server: what it got, by which path, and whether that has ended."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.messages: list[bytes] = []
        self.ended = trio.Event()

    async def serve(self, request: trio_websocket.WebSocketRequest) -> None:
        self.paths.append(request.path)
        connection = await request.accept()
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                message = await connection.get_message()
                assert isinstance(message, bytes)
                self.messages.append(message)
        self.ended.set()


@asynccontextmanager
async def socket(tls: ssl.SSLContext | None = None) -> AsyncIterator[Socket]:
    """Served until the block ends."""
    made = Socket()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, made.serve, "127.0.0.1", 0, tls)
        made.url = f"{'ws' if tls is None else 'wss'}://127.0.0.1:{server.port}/v4/listen?codec=pcm16"
        yield made
        nursery.cancel_scope.cancel()


async def test_a_socket_gets_all_of_it_with_silence_for_gaps() -> None:
    async with socket() as there, sender(there.url) as consumer:
        assert await send(consumer) == 0
        assert there.paths == [f"/v4/listen?codec=pcm16&sample_rate={RATE}&uid=ann"]
        with trio.fail_after(PATIENCE):
            await there.ended.wait()
        assert b"".join(there.messages) == tone(100) + bytes(100) + tone(100, 150)


async def test_a_socket_behind_tls_is_trusted_as_webhooks_are(tmp_path: Path) -> None:
    server, ca_file = certificate("127.0.0.1", tmp_path)
    async with socket(server) as there:
        async with sender(there.url, ca_file=ca_file) as consumer:
            assert await send(consumer) == 0
        assert b"".join(there.messages) == tone(100) + bytes(100) + tone(100, 150)
        async with sender(there.url, republish_timeout=0.3) as consumer:
            assert await send(consumer) > 0


async def test_a_socket_that_is_not_there_is_given_up_after_the_session_and_counted() -> None:
    async with sender("ws://127.0.0.1:9/", republish_timeout=0.3) as consumer:
        assert await send(consumer) > 0
