"""Which first heads are for the lane, and that the others have lost nothing by being looked at."""

from functools import partial
from typing import Any

import pytest
import trio

from engine.server.upgrade import HEAD_LIMIT, accept, peek_head, read_upgrade
from tests.patience import PATIENCE
from tests.server.raw import handshake

PATHS = ("/v4/listen", "/v4/web/listen")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def test_a_handshake_says_what_the_session_needs_to_know() -> None:
    head = handshake("/v4/listen?uid=alice&codec=opus", "Authorization: Bearer omi_dev_x", "Cookie: a=b")
    upgrade = read_upgrade(head, PATHS)
    assert upgrade is not None
    assert (upgrade.path, upgrade.query) == ("/v4/listen", b"uid=alice&codec=opus")
    assert (upgrade.authorization, upgrade.key) == ("Bearer omi_dev_x", b"dGhlIHNhbXBsZSBub25jZQ==")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("GET /v4/listen ", "POST /v4/listen "),
        ("GET /v4/listen ", "GET /v4/listener "),
        ("GET /v4/listen ", "GET /v4%2Flisten "),
        ("HTTP/1.1", "HTTP/1.0"),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Connection: keep-alive, Upgrade", "Connection: keep-alive"),
        ("Version: 13", "Version: 12"),
        ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"),
        (KEY, "X: y"),
        (KEY, "Sec-WebSocket-Key: short"),
        (KEY, "Sec-WebSocket-Key: not/base64*at*all*=="),
        (KEY, f"{KEY}\r\n{KEY}"),
        (KEY, f"{KEY}\r\nContent-Length: 3"),
        (KEY, f"{KEY}\r\nExpect: 100-continue"),
        (KEY, f"{KEY}\r\nAuthorization: a\r\nAuthorization: b"),
        ("Host: localhost\r\n", ""),
        ("Host: localhost", "Host : localhost"),
    ],
)
def test_what_is_odd_is_left_to_the_http_server(before: str, after: str) -> None:
    head = handshake("/v4/listen").decode()
    assert read_upgrade(head.encode(), PATHS) is not None
    assert before in head
    assert read_upgrade(head.replace(before, after).encode(), PATHS) is None


class Pair:
    """Both ends of a TCP connection; the server's counts how often it is looked at."""

    def __init__(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        self.client = client
        self.server = server
        self.peeks = 0
        self.socket: Any = self

    def fileno(self) -> int:
        return self.server.socket.fileno()

    def setsockopt(self, *arguments: Any) -> None:
        self.server.socket.setsockopt(*arguments)

    async def recv(self, *arguments: int) -> bytes:
        self.peeks += 1
        return await self.server.socket.recv(*arguments)


@pytest.fixture(name="pair")
async def _pair() -> Any:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.open_tcp_stream(*listener.socket.getsockname())
        server = await listener.accept()
    async with client, server:
        yield Pair(client, server)


async def peek(pair: Pair) -> bytes | None:
    with trio.fail_after(PATIENCE):
        # a Pair stands in for its server's socket
        return await peek_head(pair, PATHS)  # type: ignore[arg-type]


async def test_a_head_may_come_byte_by_byte_and_each_is_looked_at_once(pair: Pair) -> None:
    head = handshake("/v4/listen?uid=alice")
    found: list[bytes | None] = []

    async def look() -> None:
        found.append(await peek(pair))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        for number in range(len(head)):
            await pair.client.send_all(head[number : number + 1])
            await trio.testing.wait_all_tasks_blocked()
    assert found == [head]
    assert pair.peeks <= 2 * len(head)  # a socket that stayed readable would be looked at without end


@pytest.mark.parametrize("data", [b"PO", b"GET /v1/", b"GET /v4/listenx", b"\x16\x03\x01", b"PRI * HTTP/2.0"])
async def test_other_requests_are_known_by_their_first_bytes(pair: Pair, data: bytes) -> None:
    await pair.client.send_all(data)
    assert await peek(pair) is None
    assert await pair.server.receive_some() == data


async def test_a_head_without_end_is_given_up(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.client.send_all, b"GET /v4/listen?" + b"x" * HEAD_LIMIT)
        assert await peek(pair) is None


@pytest.mark.parametrize("sent", [b"", b"GET /v4/lis"])
async def test_a_client_that_goes_meanwhile_is_left_as_it_is(pair: Pair, sent: bytes) -> None:
    if sent:
        await pair.client.send_all(sent)
    await pair.client.send_eof()
    assert await peek(pair) is None
    assert await pair.server.receive_some() == sent


async def test_a_cancelled_look_takes_nothing_and_the_next_byte_is_seen(pair: Pair) -> None:
    await pair.client.send_all(b"GET /v4/lis")
    with trio.move_on_after(0.05) as limit:
        await peek_head(pair.server.socket, PATHS)
    assert limit.cancelled_caught
    assert await pair.server.receive_some(3) == b"GET"
    with trio.fail_after(PATIENCE):
        assert await pair.server.receive_some(8) == b" /v4/lis"


async def test_accepting_takes_the_head_and_leaves_what_comes_behind_it(pair: Pair) -> None:
    head = handshake("/v4/listen")
    await pair.client.send_all(head + b"frames")
    upgrade = read_upgrade(head, PATHS)
    assert upgrade is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(accept, pair.server, upgrade))
        answer = (await pair.client.receive_some()).decode()
    assert answer.startswith("HTTP/1.1 101 ")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # RFC 6455 section 1.3
    assert await pair.server.receive_some() == b"frames"
