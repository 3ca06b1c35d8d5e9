"""engine.client against a trio-websocket server in the same process."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
import trio.testing
import trio_websocket
import wsproto

from engine._client_connect import Target, handshake
from engine.client import AddressError, ConnectFailed, ListenClosed, Message, OtherEvent, open_listen
from engine.wire.messages import (
    ErrorEvent,
    Event,
    InterimSegments,
    Segment,
    ServiceStatus,
    encode,
    encode_segments,
)
from tests.patience import PATIENCE
from tests.ports import kept_port

Socket = trio_websocket.WebSocketConnection
Handler = Callable[[Socket], Awaitable[None]]

SEGMENT = Segment(id="a", text="Hello there.", start=0.5, end=1.25, stt_provider="test")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server whose every connection is given to `handler`; yields its URL."""

    async def accept(request: trio_websocket.WebSocketRequest) -> None:
        await handler(await request.accept())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, accept, "127.0.0.1", 0, None)
        yield f"ws://127.0.0.1:{server.port}"
        nursery.cancel_scope.cancel()


async def read_until_closed(socket: Socket) -> list[bytes | str]:
    messages: list[bytes | str] = []
    try:
        while True:
            messages.append(await socket.get_message())
    except trio_websocket.ConnectionClosed:
        return messages


async def test_parameters_go_into_the_query_and_the_token_into_the_header() -> None:
    seen: list[trio_websocket.WebSocketRequest] = []

    async def accept(request: trio_websocket.WebSocketRequest) -> None:
        seen.append(request)
        await read_until_closed(await request.accept())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, accept, "127.0.0.1", 0, None)
        url = f"http://127.0.0.1:{server.port}/?source=desktop"
        async with open_listen(url, token="omi_dev_x", uid="me & you", codec="opus", interim_results=True):
            pass
        nursery.cancel_scope.cancel()

    target = urlsplit(seen[0].path)
    assert target.path == "/v4/listen"
    assert parse_qs(target.query) == {
        "source": ["desktop"],
        "language": ["en"],
        "codec": ["opus"],
        "sample_rate": ["16000"],
        "channels": ["1"],
        "interim_results": ["true"],
        "uid": ["me & you"],
    }
    assert (b"authorization", b"Bearer omi_dev_x") in seen[0].headers


async def test_audio_arrives_as_binary_messages_and_flush_as_text() -> None:
    received: list[bytes | str] = []

    async def handler(socket: Socket) -> None:
        received.extend(await read_until_closed(socket))

    async with serving(handler) as url:
        async with open_listen(url) as client:
            await client.send_audio(b"abcd")
            await client.send_audio(memoryview(b"efgh").tobytes())
            await client.send_text('{"type":"skip_question"}')
            await client.flush()
        statistics = client.statistics()
    assert received == [b"abcd", b"efgh", '{"type":"skip_question"}', '{"type":"flush"}']
    assert (statistics.packets_sent, statistics.bytes_sent) == (2, 8)


async def test_a_packet_that_would_pass_for_a_keepalive_is_refused() -> None:
    async with serving(lambda socket: _drop(read_until_closed(socket))) as url, open_listen(url) as client:
        with pytest.raises(ValueError, match="2 bytes: two or fewer mean keepalive"):
            await client.send_audio(b"ab")


async def _drop(awaitable: Awaitable[object]) -> None:
    await awaitable


async def test_messages_come_parsed_in_order_and_nothing_sent_before_the_close_is_lost() -> None:
    events: list[Event] = [ServiceStatus("ready"), InterimSegments((SEGMENT,))]

    async def handler(socket: Socket) -> None:
        for event in events:
            await socket.send_message(encode(event))
        await socket.send_message("ping")
        await socket.send_message(encode_segments([SEGMENT]))
        await socket.send_message('{"type":"from_the_future","n":1}')
        await socket.send_message('{"type":"service_status","status":7}')
        await socket.send_message("neither JSON nor ping")
        await socket.send_message('"a string"')
        await socket.send_message('[{"text":"no id"}]')
        await socket.send_message(b"\x00\x01")
        await socket.aclose(1001, "going away")

    async with serving(handler) as url, open_listen(url) as client:
        messages: list[Message] = [message async for message in client.events()]
        assert messages == [
            *events,
            (SEGMENT,),
            OtherEvent("from_the_future", {"type": "from_the_future", "n": 1}),
            OtherEvent("service_status", {"type": "service_status", "status": 7}),
        ]
        assert (client.close_code, client.close_reason) == (1001, "going away")
        assert client.statistics().unreadable == 4


async def test_pings_are_answered_with_the_keepalive_though_nobody_reads_events() -> None:
    answered = trio.Event()
    answers: list[bytes | str] = []

    async def handler(socket: Socket) -> None:
        for _ in range(3):
            await socket.send_message("ping")
            answers.append(await socket.get_message())
        answered.set()
        await read_until_closed(socket)

    async with serving(handler) as url, open_listen(url) as client:
        await answered.wait()
        assert answers == [b"\x8a\x00"] * 3
        assert client.statistics().pings_answered == 3
        assert client.close_code is None


async def test_a_refusal_is_kept_with_its_code_and_raised_by_the_next_send() -> None:
    refusal = ErrorEvent(
        code=1003, message="codec=mp3 is not accepted", parameter="codec", value="mp3", accepted="opus"
    )

    async def handler(socket: Socket) -> None:
        await socket.send_message(encode(refusal))
        await socket.aclose(1003, "codec=mp3 is not accepted")

    async with serving(handler) as url, open_listen(url, codec="mp3") as client:
        assert [message async for message in client.events()] == [refusal]
        with pytest.raises(ListenClosed, match="codec=mp3 is not accepted") as raised:
            await client.send_audio(b"abcd")
    assert raised.value.code == 1003
    assert raised.value.error == refusal
    assert client.error == refusal


async def test_a_server_that_vanishes_is_seen_as_1006() -> None:
    async def handler(socket: Socket) -> None:
        await socket._stream.aclose()

    async with serving(handler) as url, open_listen(url) as client:
        assert [message async for message in client.events()] == []
        assert client.close_code == 1006


async def test_closing_is_over_in_time_when_the_server_never_answers_the_close_frame() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]

    async def upgrade_and_stop_reading(stream: trio.SocketStream) -> None:
        connection = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        connection.receive_data(await stream.receive_some())
        next(iter(connection.events()))
        await stream.send_all(connection.send(wsproto.events.AcceptConnection()))
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, upgrade_and_stop_reading, listeners)
        with trio.fail_after(PATIENCE):
            async with open_listen(f"ws://127.0.0.1:{port}", close_timeout=0.05):
                pass
        nursery.cancel_scope.cancel()


async def test_what_the_block_raises_comes_out_unwrapped() -> None:
    async with serving(lambda socket: _drop(read_until_closed(socket))) as url:
        with pytest.raises(KeyError, match="mine"):
            async with open_listen(url):
                raise KeyError("mine")


async def test_cancelling_the_block_is_not_turned_into_an_error() -> None:
    async with serving(lambda socket: _drop(read_until_closed(socket))) as url:
        with trio.CancelScope() as scope:
            async with open_listen(url):
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught


async def test_a_port_nobody_listens_on_is_named_with_the_reason() -> None:
    with (
        kept_port() as port,
        pytest.raises(
            ConnectFailed, match=rf"ws://127\.0\.0\.1:{port} cannot be reached: Connection refused"
        ),
    ):
        async with open_listen(f"ws://127.0.0.1:{port}"):
            pass


async def test_a_server_without_that_path_is_named_with_its_status() -> None:
    async def reject(request: trio_websocket.WebSocketRequest) -> None:
        await request.reject(404)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, reject, "127.0.0.1", 0, None)
        with pytest.raises(ConnectFailed, match="HTTP status 404"):
            async with open_listen(f"ws://127.0.0.1:{server.port}"):
                pass
        nursery.cancel_scope.cancel()


async def test_a_server_that_never_finishes_the_handshake_is_given_up() -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, silent, listeners)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(ConnectFailed, match=r"did not finish the WebSocket handshake within 0\.3 s"):
            async with open_listen(f"ws://127.0.0.1:{port}", connect_timeout=0.3):
                pass
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reads", [True, False], ids=["that took the request", "that resets at once"])
async def test_a_server_that_leaves_during_the_handshake_is_given_up_at_once(reads: bool) -> None:
    async def leaves(stream: trio.SocketStream) -> None:
        if reads:
            await stream.receive_some()
        else:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, leaves, listeners)
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(PATIENCE), pytest.raises(ConnectFailed, match="closed the connection during"):
            async with open_listen(f"ws://127.0.0.1:{port}", connect_timeout=2 * PATIENCE):
                pass
        nursery.cancel_scope.cancel()


async def test_a_server_that_has_left_before_the_request_is_given_up_at_once() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.aclose()
    target = Target.of("ws://host", {})
    async with trio.open_nursery() as nursery:
        with (
            trio.fail_after(PATIENCE),
            pytest.raises(ConnectFailed, match="ws://host:80 closed the connection"),
        ):
            await handshake(nursery, ours, target, [], 2 * PATIENCE)


async def test_a_server_that_speaks_no_tls_is_named_at_once() -> None:
    async def plain(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, plain, listeners)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(ConnectFailed, match="failed the TLS handshake"):
            async with open_listen(f"wss://127.0.0.1:{port}"):
                pass
        nursery.cancel_scope.cancel()


async def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConnectFailed, match=r"ws://no-such-host\.invalid:80 cannot be reached: \w+"):
        async with open_listen("ws://no-such-host.invalid"):
            pass


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://host", "ws://", "ws://host:port", "ws://host:99999"]
)
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(AddressError, match="is no WebSocket address: use ws://host:port"):
        async with open_listen(url):
            pass
