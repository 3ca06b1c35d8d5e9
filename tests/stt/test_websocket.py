"""The transport over trio-websocket: whatever the other side does becomes one of three exceptions, soon."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from engine.stt.transport import ConnectFailed, ConnectionLost, Refused, Request
from engine.stt.websocket import WebSocketTransport, open_tcp
from engine.testing._memory import bounded_stream_pair
from tests.patience import PATIENCE
from tests.ports import kept_port

REQUEST = Request("ws://vendor/path?a=1", (("Authorization", "k"),))
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Serve = Callable[[trio.abc.Stream, bytes], Awaitable[None]]


def upgrade(request: bytes) -> bytes:
    found = re.search(rb"(?i)sec-websocket-key: (.*)\r\n", request)
    assert found is not None
    accept = base64.b64encode(hashlib.sha1(found[1] + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def says(*data: bytes, leaves: bool = False) -> Serve:
    """A server that says this whatever it is asked."""

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        for piece in data:
            await stream.send_all(upgrade(request) if piece == b"upgrade" else piece)
        if leaves:
            await stream.aclose()

    return serve


async def against(serve: Serve, use: Callable[[WebSocketTransport], Awaitable[None]]) -> None:
    """Run `use` with a transport that reaches `serve`."""
    ours, theirs = bounded_stream_pair()

    async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    async def server() -> None:
        await serve(theirs, bytes(await theirs.receive_some()))
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server)
        await use(WebSocketTransport(open_stream))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "serve",
    [
        says(b"HTTP/1.1 garbage\r\n\r\nxx"),
        says(b"\x15\x03\x03\x00\x02\x02\x16" * 3),
        says(
            b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
        ),
        says(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nabc", leaves=True),
        says(leaves=True),
    ],
    ids=["garbage", "TLS", "wrong key", "half an answer", "leaves"],
)
async def test_what_is_no_websocket_is_no_connection(autojump_clock: MockClock, serve: Serve) -> None:
    async def use(transport: WebSocketTransport) -> None:
        with pytest.raises(ConnectFailed, match="vendor"):
            await transport.connect(REQUEST).__aenter__()

    await against(serve, use)
    assert trio.current_time() == 0, "it takes no time-out to notice"


async def test_who_has_left_before_anything_was_sent_is_no_connection(autojump_clock: MockClock) -> None:
    ours, theirs = bounded_stream_pair()
    await theirs.aclose()

    async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    with trio.fail_after(PATIENCE), pytest.raises(ConnectFailed, match="vendor closed the connection"):
        await WebSocketTransport(open_stream).connect(REQUEST).__aenter__()


async def test_a_refusal_has_its_status_headers_and_body(autojump_clock: MockClock) -> None:
    async def use(transport: WebSocketTransport) -> None:
        with pytest.raises(Refused) as refused:
            await transport.connect(REQUEST).__aenter__()
        assert (refused.value.status, refused.value.body) == (429, b"slow down")
        assert refused.value.headers["retry-after"] == "7"

    await against(says(b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nslow down"), use)


@pytest.mark.parametrize(
    ("serve", "code"),
    [
        (says(b"upgrade", b"\x88\x05\x03\xf3bye"), 1011),
        (says(b"upgrade", leaves=True), 1006),
        (says(b"upgrade", b"\xff\xff\xff\xff"), 1002),
    ],
    ids=["close frame", "cut", "nonsense"],
)
async def test_a_connection_that_ends_says_how(autojump_clock: MockClock, serve: Serve, code: int) -> None:
    async def use(transport: WebSocketTransport) -> None:
        async with transport.connect(REQUEST) as connection:
            with pytest.raises(ConnectionLost) as lost:
                await connection.receive()
            assert lost.value.code == code

    await against(serve, use)


async def test_a_good_end_waits_for_the_close_only_so_long(autojump_clock: MockClock) -> None:
    async def use(transport: WebSocketTransport) -> None:
        async with transport.connect(REQUEST):
            pass

    await against(says(b"upgrade"), use)
    assert trio.current_time() == 2.0


async def test_a_failed_stream_is_not_closed_politely(autojump_clock: MockClock) -> None:
    async def use(transport: WebSocketTransport) -> None:
        with pytest.raises(ZeroDivisionError):
            async with transport.connect(REQUEST):
                raise ZeroDivisionError

    await against(says(b"upgrade"), use)
    assert trio.current_time() == 0


async def test_a_port_nobody_listens_on_is_no_connection() -> None:
    with kept_port() as port, pytest.raises(ConnectFailed, match="cannot be reached"):
        await WebSocketTransport().connect(Request(f"ws://127.0.0.1:{port}/")).__aenter__()


async def test_tls_with_a_server_that_speaks_none_fails_and_leaves_no_socket() -> None:
    gone = trio.Event()

    async def plain(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while await stream.receive_some():
            pass
        gone.set()

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, plain, [listener])
        with pytest.raises(ConnectFailed, match="TLS"):
            await open_tcp("127.0.0.1", listener.socket.getsockname()[1], True)
        await gone.wait()
        nursery.cancel_scope.cancel()


async def test_tls_that_stalls_leaves_no_socket_when_given_up() -> None:
    asked, gone, given_up = trio.Event(), trio.Event(), trio.Event()

    async def stalling(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        asked.set()
        while await stream.receive_some():
            pass
        gone.set()

    async def dial(port: int, scope: trio.CancelScope) -> None:
        with scope:
            await open_tcp("127.0.0.1", port, True)
        given_up.set()

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(trio.serve_listeners, stalling, [listener])
        nursery.start_soon(dial, listener.socket.getsockname()[1], scope)
        await asked.wait()
        scope.cancel()
        with trio.fail_after(PATIENCE):
            await gone.wait()
            await given_up.wait()
        nursery.cancel_scope.cancel()
    assert scope.cancelled_caught
