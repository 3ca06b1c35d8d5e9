"""What a WebSocket client and the application see of each other, on a real socket."""

import contextlib
from typing import Any

import pytest
import trio
import trio.testing

from tests.server.raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_frame,
    connect,
    frame,
    handshake,
    websocket,
)
from tests.server.serving import WebSocketApp, config, receive_all, serving

LIMIT = 4096


async def test_the_application_learns_the_close_code_and_the_client_gets_it_back() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server, websocket(server.port) as client:
        await client.send(close_frame(4000, "done"))
        assert await client.read_close() == (4000, "done")
        assert await client.read_end() == b""
        await app.wait_ended()
    assert app.disconnect_code == 4000


async def test_a_close_frame_without_a_code_is_1005_to_the_application() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server, websocket(server.port) as client:
        await client.send(frame(CLOSE))
        assert await client.read_frame() == (CLOSE, b"")
        await app.wait_ended()
    assert app.disconnect_code == 1005


async def test_a_client_that_vanishes_is_1006_to_the_application() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server:
        async with websocket(server.port) as client:
            await client.send(frame(BINARY, b"last words"))
        await app.wait_ended()
        await server.without_connections()
    assert app.messages == [b"last words"]
    assert app.disconnect_code == 1006


async def test_everything_sent_before_the_close_frame_arrives_in_order() -> None:
    started = trio.Event()

    async def late(receive: Any, send: Any) -> None:
        await started.wait()
        await receive_all(receive, send)

    app = WebSocketApp(late)
    sent = [f"message {n}".encode() for n in range(100)]
    async with serving(app) as server, websocket(server.port) as client:
        await client.send(*[frame(BINARY, message) for message in sent], close_frame(1000))
        started.set()
        await app.wait_ended()
    assert app.messages == sent


async def test_empty_messages_stay_what_they_are() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server, websocket(server.port) as client:
        await client.send(frame(BINARY), frame(TEXT), close_frame(1000))
        await app.wait_ended()
    assert app.messages == [b"", ""]


async def test_a_message_in_fragments_with_a_ping_between_arrives_whole() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server, websocket(server.port) as client:
        await client.send(frame(BINARY, b"one ", fin=False), frame(PING, b"p"), frame(0, b"two"))
        assert await client.read_frame() == (PONG, b"p")
        await client.send(close_frame(1000))
        await app.wait_ended()
    assert app.messages == [b"one two"]


async def test_a_message_as_long_as_the_limit_is_taken() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app, config(message_limit=LIMIT)) as server, websocket(server.port) as client:
        await client.send(frame(BINARY, bytes(LIMIT)), close_frame(1000))
        assert (await client.read_close())[0] == 1000
        await app.wait_ended()
    assert app.messages == [bytes(LIMIT)]


@pytest.mark.parametrize(
    "frames",
    [
        [frame(BINARY, bytes(LIMIT + 1))],
        [frame(BINARY, bytes(LIMIT), fin=False), frame(0, b"x")],
        [frame(TEXT, "é".encode() * (LIMIT // 2 + 1))],
    ],
    ids=["one frame", "fragments", "text is measured in bytes"],
)
async def test_a_longer_message_is_closed_with_1009_and_the_application_told_so(frames: list[bytes]) -> None:
    app = WebSocketApp(receive_all)
    async with serving(app, config(message_limit=LIMIT)) as server, websocket(server.port) as client:
        await client.send(frame(BINARY, b"before"), *frames)
        assert (await client.read_close())[0] == 1009
        await app.wait_ended()
        await client.send(close_frame(1009))
        assert await client.read_end() == b""
        await server.without_connections()
    assert app.messages == [b"before"]
    assert app.disconnect_code == 1009


async def test_what_follows_a_message_that_was_too_long_is_thrown_away() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app, config(message_limit=LIMIT)) as server, websocket(server.port) as client:
        await client.send(frame(BINARY, bytes(LIMIT), fin=False), frame(0, b"x", fin=False))
        assert (await client.read_close())[0] == 1009
        await client.send(*[frame(0, bytes(LIMIT), fin=False) for _ in range(100)], close_frame(1009))
        assert await client.read_end() == b""
    assert app.messages == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(BINARY, b"x", masked=False), 1002),
        (frame(3, b"x"), 1002),
        (frame(0, b"x"), 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
    ],
    ids=["unmasked", "unknown opcode", "continuation of nothing", "text that is not UTF-8"],
)
async def test_a_breach_of_the_protocol_is_answered_with_its_close_code(data: bytes, code: int) -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server, websocket(server.port) as client:
        await client.send(frame(BINARY, b"before"), data)
        assert (await client.read_close())[0] == code
        await app.wait_ended()
        await server.without_connections()
    assert app.messages == [b"before"]
    assert app.disconnect_code == code


async def test_a_frame_in_the_same_packet_as_the_handshake_is_delivered() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server, connect(server.port) as client:
        await client.send(handshake(), frame(BINARY, b"early"), close_frame(1000))
        assert "101" in await client.read_head()
        assert (await client.read_close())[0] == 1000
        await app.wait_ended()
    assert app.messages == [b"early"]


async def test_compression_is_not_agreed_to() -> None:
    app = WebSocketApp(receive_all)
    async with serving(app) as server, connect(server.port) as client:
        await client.send(handshake("/", "Sec-WebSocket-Extensions: permessage-deflate"))
        head = await client.read_head()
    assert "101" in head
    assert "extensions" not in head.lower()


async def say_goodbye(receive: Any, send: Any) -> None:
    """Close while the client is still sending."""
    await receive()
    await send({"type": "websocket.send", "bytes": None, "text": "last words"})
    await send({"type": "websocket.close", "code": 1001, "reason": "going away"})


async def test_the_server_waits_for_the_answer_to_its_close_frame() -> None:
    app = WebSocketApp(say_goodbye)
    async with serving(app) as server, websocket(server.port) as client:
        audio = frame(BINARY, bytes(1000))
        await client.send(audio)
        await app.wait_ended()
        # With audio unread in its kernel, a server that closed here would reset the connection.
        await client.send(*[audio] * 1000)
        assert await client.read_frame() == (TEXT, b"last words")
        assert await client.read_close() == (1001, "going away")
        await client.send(close_frame(1001))
        assert await client.read_end() == b""


async def test_an_application_that_goes_on_receiving_after_its_close_frame_is_told_that_it_is_over() -> None:
    async def close_first(receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1013, "reason": "full"})
        await receive_all(receive, send)

    app = WebSocketApp(close_first)
    async with serving(app) as server, websocket(server.port) as client:
        assert await client.read_close() == (1013, "full")
        await app.wait_ended()
        await client.send(close_frame(1013))
        await server.without_connections()
    assert app.disconnect_code == 1013


async def test_a_client_that_never_answers_the_close_frame_is_left_after_the_close_timeout() -> None:
    app = WebSocketApp(say_goodbye)
    async with serving(app, config(close_timeout=0.3)) as server, websocket(server.port) as client:
        await client.send(frame(BINARY, b"x"))
        assert await client.read_frame() == (TEXT, b"last words")
        assert await client.read_close() == (1001, "going away")
        await server.without_connections()


async def test_an_application_that_fails_closes_with_1011() -> None:
    async def fail(receive: Any, send: Any) -> None:
        raise RuntimeError("on purpose")

    app = WebSocketApp(fail)
    async with serving(app) as server:
        async with websocket(server.port) as client:
            assert (await client.read_close())[0] == 1011
            await client.send(close_frame(1011))
            assert await client.read_end() == b""
        async with websocket(server.port):
            await app.wait_ended()


async def test_sending_to_a_client_that_is_gone_raises() -> None:
    gone = trio.Event()

    async def send_after(receive: Any, send: Any) -> None:
        await receive_all(receive, send)
        gone.set()
        await send({"type": "websocket.send", "bytes": None, "text": "too late"})

    app = WebSocketApp(send_after)
    async with serving(app) as server, websocket(server.port) as client:
        await client.send(close_frame(1000))
        await app.wait_ended()
    assert isinstance(app.failed, OSError)


async def test_an_application_that_does_not_receive_holds_the_client_back_and_loses_nothing() -> None:
    go_on = trio.Event()
    received = 0

    async def slow(receive: Any, send: Any) -> None:
        nonlocal received
        await go_on.wait()
        while (event := await receive())["type"] == "websocket.receive":
            received += len(event["bytes"])

    total, piece = 64 << 20, 1 << 20
    app = WebSocketApp(slow)
    sent = 0
    async with serving(app) as server, websocket(server.port) as client:
        packet = frame(BINARY, bytes(piece))

        async def send_much() -> None:
            nonlocal sent
            for _ in range(total // piece):
                await client.stream.send_all(packet)
                sent += piece
            await client.send(close_frame(1000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_much)
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert sent < total
            go_on.set()
            await app.wait_ended()
    assert received == total


async def test_a_connection_whose_application_returned_with_messages_waiting_ends() -> None:
    async def leave(receive: Any, send: Any) -> None:
        """Return without reading anything of what waits."""
        await full.wait()

    full = trio.Event()
    app = WebSocketApp(leave)
    async with serving(app, config(close_timeout=0.3)) as server, websocket(server.port) as client:
        await client.send(*[frame(BINARY, b"x")] * 100)
        await trio.testing.wait_all_tasks_blocked(0.05)
        full.set()
        await server.without_connections()
    assert (app.ended.is_set(), app.failed, app.messages) == (True, None, [])


async def test_a_client_that_never_reads_is_dropped_after_the_write_timeout() -> None:
    async def flood(receive: Any, send: Any) -> None:
        with contextlib.suppress(OSError):
            while True:
                await send({"type": "websocket.send", "bytes": None, "text": "x" * 100_000})
        await receive_all(receive, send)

    app = WebSocketApp(flood)
    async with serving(app, config(client_write_timeout=0.2)) as server, websocket(server.port):
        await app.wait_ended()
        await server.without_connections()
    assert app.disconnect_code == 1006
