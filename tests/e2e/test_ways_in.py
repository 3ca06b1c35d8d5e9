"""What a client meets at the port, whichever way in its listen socket takes: one behaviour, byte for byte."""

import struct
from pathlib import Path

import msgspec
import pytest
import trio
from msgspec.structs import replace

from engine.config import Web
from engine.metrics import STAGES
from engine.testing import ScriptedVendor, counted_words
from tests.e2e.running import Running, config, running
from tests.patience import PATIENCE
from tests.server.raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    RawClient,
    close_frame,
    connect,
    frame,
    handshake,
    websocket,
)

pytestmark = pytest.mark.both_ways

LISTEN = "/v4/listen?uid=ada&codec=pcm16&sample_rate=16000"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
FLUSH = frame(TEXT, b'{"type":"flush"}')


def vendor() -> ScriptedVendor:
    return ScriptedVendor(counted_words(0.5))


async def until_status(client: RawClient, status: str) -> None:
    while f'"status":"{status}"'.encode() not in (await client.read_frame())[1]:
        pass


async def until_close(client: RawClient) -> bytes:
    """Payload of the close frame."""
    while (message := await client.read_frame())[0] != CLOSE:
        pass
    return message[1]


async def answer_to(server: Running, request: bytes) -> tuple[str, str]:
    """Status line and the rest of what comes before the server closes the connection."""
    async with connect(server.port) as client:
        await client.send(request)
        status, _, rest = (await client.read_end()).decode().partition("\r\n")
        return status, rest


async def alive(client: RawClient) -> None:
    """A request on a connection that is kept."""
    await client.send(LIVEZ)
    head = (await client.read_head()).lower()
    assert head.startswith("http/1.1 200 ")
    (length,) = [line.split(":")[1] for line in head.split("\r\n") if line.startswith("content-length")]
    await client.read_body(int(length))


async def test_a_listen_socket_may_follow_requests_on_one_connection(tmp_path: Path) -> None:
    async with running(config(tmp_path), vendor()) as server, connect(server.port) as client:
        for _ in range(3):
            await alive(client)
        await client.send(handshake(LISTEN), frame(BINARY, bytes(16_000)), FLUSH)
        assert (await client.read_head()).startswith("HTTP/1.1 101 ")
        await until_status(client, "flushed")
        await client.send(close_frame(1000))
        assert await until_close(client) == struct.pack("!H", 1000)


async def test_requests_that_come_together_are_answered_in_turn(tmp_path: Path) -> None:
    async with running(config(tmp_path), vendor()) as server, connect(server.port) as client:
        await client.send(LIVEZ * 3)
        await client.stream.send_eof()
        assert (await client.read_end()).count(b"HTTP/1.1 200 ") == 3


async def test_a_head_may_come_byte_by_byte_and_audio_right_behind_it(tmp_path: Path) -> None:
    async with running(config(tmp_path), vendor()) as server, connect(server.port) as client:
        head = handshake(LISTEN)
        for at in range(len(head) - 1):
            await client.send(head[at : at + 1])
        await client.send(head[-1:], frame(BINARY, bytes(32_000)), FLUSH)
        assert (await client.read_head()).startswith("HTTP/1.1 101 ")
        await until_status(client, "flushed")
        await client.send(close_frame(1000))
        await until_close(client)
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
    assert ended["ledger"]["decoded"] == 16_000


@pytest.mark.parametrize("path", ["/v4/listen?uid=ada", "/v4/web/listen", "/v1/conversations"])
async def test_a_head_that_is_not_whole_in_time_is_answered_with_408(tmp_path: Path, path: str) -> None:
    settings = replace(config(tmp_path), web=Web(keep_alive_timeout=1.0))
    async with running(settings, vendor()) as server:
        status, rest = await answer_to(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode())
    assert status == "HTTP/1.1 408 Request Timeout"
    assert "connection: close" in rest.lower()


@pytest.mark.parametrize("path", ["/v4/listen?uid=ada", "/v1/conversations"])
async def test_a_head_that_is_too_long_is_answered_with_431(tmp_path: Path, path: str) -> None:
    async with running(config(tmp_path), vendor()) as server:
        status, _ = await answer_to(server, handshake(path, "X-Long: " + "x" * 20_000)[:-2])
    assert status.startswith("HTTP/1.1 431 ")


ODD = {
    "another version": ("Version: 13", "Version: 8"),
    "no key": ("Sec-WebSocket-Key", "X-Key"),
    "HTTP/1.0": ("HTTP/1.1", "HTTP/1.0"),
    "no upgrade": ("Upgrade: websocket", "X: y"),
    "another path": ("/v4/listen", "/v4/listens"),
    "a space in a name": ("Host: localhost", "Host : localhost"),
}


@pytest.mark.parametrize("odd", ODD)
async def test_a_handshake_that_is_not_all_right_is_refused_in_http(tmp_path: Path, odd: str) -> None:
    before, after = ODD[odd]
    async with running(config(tmp_path), vendor()) as server, connect(server.port) as client:
        await client.send(handshake(LISTEN).replace(before.encode(), after.encode(), 1))
        assert (await client.read_head()).startswith("HTTP/1.1 4")


CLOSES = {
    "without a code": (b"", 1005, b""),
    "normal": (struct.pack("!H", 1000), 1000, struct.pack("!H", 1000)),
    "going away, with a reason": (struct.pack("!H", 1001) + b"bye", 1001, struct.pack("!H", 1001) + b"bye"),
    "of its own": (struct.pack("!H", 4999), 4999, struct.pack("!H", 4999)),
    "one that may not be sent": (struct.pack("!H", 1006), 1002, struct.pack("!H", 1002)),
    "a reason that is not UTF-8": (struct.pack("!H", 1000) + b"\xff", 1007, struct.pack("!H", 1007)),
}


@pytest.mark.parametrize("close", CLOSES)
async def test_a_close_frame_is_answered_and_its_code_is_what_the_session_ended_with(
    tmp_path: Path, close: str
) -> None:
    sent, code, answered = CLOSES[close]
    async with running(config(tmp_path), vendor()) as server:
        async with websocket(server.port, LISTEN) as client:
            await client.send(frame(BINARY, bytes(640)), frame(CLOSE, sent))
            assert (await until_close(client))[:2] == answered[:2]
            assert await client.read_end() == b""
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
    assert ended["code"] == code


async def test_pings_are_answered_between_fragments_and_are_no_sign_of_activity(tmp_path: Path) -> None:
    settings = config(tmp_path, inactivity_timeout=1.0, ping_interval=0.4)
    async with running(settings, vendor()) as server, websocket(server.port, LISTEN) as client:
        await client.send(frame(BINARY, bytes(320), fin=False), frame(PING, b"?"), frame(0, bytes(320)))
        while (message := await client.read_frame())[0] != PONG:
            pass
        assert message == (PONG, b"?")
        async with trio.open_nursery() as nursery:

            async def ping() -> None:
                while True:
                    await client.stream.send_all(frame(PING, b"?"))
                    await trio.sleep(0.1)

            nursery.start_soon(ping)
            assert (await until_close(client))[:2] == struct.pack("!H", 1001)
            nursery.cancel_scope.cancel()


async def test_a_drain_waits_for_no_silent_connection(tmp_path: Path) -> None:
    """It may take ten minutes, and takes none of them."""
    settings = replace(config(tmp_path), drain_timeout=600.0, web=Web(keep_alive_timeout=500.0))
    with trio.fail_after(PATIENCE):
        async with (
            running(settings, vendor()) as server,
            connect(server.port) as silent,
            connect(server.port) as half,
            connect(server.port) as idle,
        ):
            await half.send(handshake(LISTEN)[:70])
            await alive(idle)
            server.drain()
            for client in (silent, half, idle):
                assert await client.read_end() == b""


async def test_a_drain_closes_a_session_with_1001_and_its_last_words(tmp_path: Path) -> None:
    async with running(config(tmp_path), vendor()) as server, websocket(server.port, LISTEN) as client:
        await client.send(frame(BINARY, bytes(32_000)))
        await until_status(client, "ready")
        server.drain()
        await until_status(client, "draining")
        words = b""
        while (message := await client.read_frame())[0] != CLOSE:
            words += message[1]
        assert message[1][:2] == struct.pack("!H", 1001)
        assert b"w1." in words


async def test_segments_say_where_their_time_went_to_who_asks(tmp_path: Path) -> None:
    path = f"{LISTEN}&timing=true"
    async with running(config(tmp_path), vendor()) as server, websocket(server.port, path) as client:
        await client.send(frame(BINARY, bytes(32_000)), FLUSH)
        while (text := (await client.read_frame())[1])[:1] != b"[":
            pass
        for segment in msgspec.json.decode(text):
            assert tuple(segment["timing"]) == tuple(STAGES)
            assert min(segment["timing"].values()) >= 0
        await until_status(client, "flushed")
        assert (await server.gauges())["segment_latency_seconds_count"] > 0
        await client.send(close_frame(1000))
        await until_close(client)
