"""The transport over the lane: as the one over trio-websocket, and audio that goes out by itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

import msgspec
import numpy as np
import pytest
import trio
import trio.lowlevel
from wsproto.frame_protocol import FrameProtocol, Opcode

from engine._native import ffi, lib
from engine.audio.gate import EnergyGate
from engine.audio.pump import Pump
from engine.audio.ring import Ring
from engine.listen.backlog import Backlog
from engine.listen.spill import Spill
from engine.server.lane import Lane
from engine.server.vendor_lane import LaneTransport
from engine.stt.deepgram import DeepgramProtocol
from engine.stt.protocol import Endpoint
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import (
    ConnectFailed,
    Connection,
    ConnectionLost,
    PromptConnection,
    PumpingConnection,
    Refused,
    Request,
)
from engine.stt.vendor import Final, StreamOptions, SttEvent
from engine.stt.websocket import WebSocketTransport
from engine.testing import DeepgramStandIn, VoskStandIn, mark
from tests.listen.test_backlog import inline
from tests.patience import PATIENCE
from tests.ports import kept_port
from tests.server.raw import BINARY, CLOSE, PONG, TEXT, frame
from tests.stt.test_websocket import Serve, says, upgrade

UNLIMITED = 1 << 62


def unmasked(opcode: int, payload: bytes = b"") -> bytes:
    """A short frame as servers send it."""
    return bytes([0x80 | opcode, len(payload)]) + payload


class Reached:
    """A transport in a lane that runs, and where its server is."""

    def __init__(self, lane: Lane, port: int) -> None:
        self.lane = lane
        self.transport = LaneTransport(lane, WebSocketTransport(), close_timeout=0.2)
        self.request = Request(f"ws://vendor@127.0.0.1:{port}/path?a=1", (("Authorization", "k"),))

    async def fails(self) -> str:
        with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1") as failed:
            await self.transport.connect(self.request).__aenter__()
        assert self.lane.statistics().links == 0
        return str(failed.value)


@asynccontextmanager
async def against(
    serve: Serve, links: int = 4, clients: int = 0, pause: float = 0.0
) -> AsyncIterator[Reached]:
    """A server whose every connection is served by `serve`."""

    async def connection(stream: trio.SocketStream) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += await stream.receive_some()
        await serve(stream, request)

    lane = Lane(clients, 1 << 20, links=links, pause=pause)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.run)
        nursery.start_soon(trio.serve_listeners, connection, [listener])
        with trio.fail_after(PATIENCE):
            yield Reached(lane, listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def stays(*data: bytes) -> Serve:
    """A server that says this, and goes when its client does."""
    speak = says(*data)

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        await speak(stream, request)
        async for _ in stream:
            pass

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        says(b"HTTP/1.1 garbage\r\n\r\nxx"),
        says(b"\x15\x03\x03\x00\x02\x02\x16" * 3, leaves=True),
        says(
            b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
        ),
        says(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nabc", leaves=True),
        says(leaves=True),
        says(b"HTTP/1.1 101 Yes\r\nX: " + b"x" * 70_000),
    ],
    ids=["garbage", "TLS", "wrong key", "half an answer", "leaves", "endless"],
)
async def test_what_is_no_websocket_is_no_connection(serve: Serve) -> None:
    async with against(serve) as reached:
        await reached.fails()


async def test_a_port_nobody_listens_on_is_no_connection() -> None:
    with kept_port() as port:
        assert "cannot be reached" in await Reached(Lane(0, 1 << 20, links=1), port).fails()


async def test_what_a_vendor_says_ends_the_pause_in_which_packets_gather() -> None:
    speak = trio.Event()

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(upgrade(request))
        await speak.wait()
        await stream.send_all(unmasked(TEXT, b"said"))
        async for _ in stream:
            pass

    client, server = trio.socket.socketpair()
    async with against(serve, clients=1, pause=3600.0) as reached:
        with client, server:
            socket = reached.lane.add(server.fileno())
            assert socket is not None
            async with reached.transport.connect(reached.request) as vendor:
                ffi.cast("lane_counts *", reached.lane._counts).load = lib.LANE_BUSY
                await client.send(frame(TEXT, b"the pause begins"))
                assert await socket.receive() == "the pause begins"
                speak.set()
                assert await vendor.receive() == "said"
            socket.remove()


@pytest.mark.parametrize("together", [True, False])
async def test_a_refusal_has_its_status_headers_and_body(together: bool) -> None:
    head, body = b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n", b"slow down"

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        for piece in [head + body] if together else [head, body[:4], body[4:]]:
            await stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()

    async with against(serve) as reached:
        with pytest.raises(Refused) as refused:
            await reached.transport.connect(reached.request).__aenter__()
    assert (refused.value.status, refused.value.body) == (429, b"slow down")
    assert refused.value.headers["retry-after"] == "7"


async def test_the_handshake_asks_for_what_is_wanted() -> None:
    asked = []

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        asked.append(request)
        await stays(b"upgrade")(stream, request)

    async with against(serve) as reached, reached.transport.connect(reached.request):
        pass
    lines = asked[0].split(b"\r\n")
    assert lines[0] == b"GET /path?a=1 HTTP/1.1"
    assert b"Authorization: k" in lines
    assert any(line.startswith(b"Host: 127.0.0.1:") for line in lines)


@pytest.mark.parametrize(
    ("serve", "code", "reason"),
    [
        (stays(b"upgrade", unmasked(CLOSE, b"\x03\xf3bye")), 1011, "bye"),
        (says(b"upgrade", leaves=True), 1006, ""),
        (stays(b"upgrade", b"\xff\xff\xff\xff"), 1002, ""),
    ],
    ids=["close frame", "cut", "nonsense"],
)
async def test_a_connection_that_ends_says_how(serve: Serve, code: int, reason: str) -> None:
    async with against(serve) as reached:
        with pytest.raises(ConnectionLost) as lost:
            async with reached.transport.connect(reached.request) as connection:
                await connection.receive()
    assert (lost.value.code, lost.value.reason) == (code, reason)


async def test_messages_come_in_order_also_those_behind_the_handshake_and_pings_are_answered() -> None:
    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        early = unmasked(TEXT, b"early") + unmasked(BINARY, b"later")
        await stream.send_all(upgrade(request) + early)
        protocol = FrameProtocol(client=False, extensions=[])
        async for data in stream:
            protocol.receive_bytes(bytes(data))
            for one in protocol.received_frames():
                if one.opcode is Opcode.PING:
                    await stream.send_all(unmasked(PONG))
                elif one.opcode is Opcode.TEXT:
                    await stream.send_all(unmasked(TEXT, str(one.payload).encode()))

    async with against(serve) as reached, reached.transport.connect(reached.request) as connection:
        assert [await connection.receive() for _ in range(2)] == ["early", b"later"]
        await connection.send("echo")
        assert await connection.receive() == "echo"
        await connection.ping()
        assert reached.lane.statistics().vendor_messages == 3


WHO = ContextVar("who", default="nobody")


async def test_each_message_is_taken_in_the_lanes_turn_in_the_context_of_who_waits_for_it() -> None:
    taken = list[tuple[object, str, bool]]()
    early, one = trio.Event(), trio.Event()

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(upgrade(request) + unmasked(TEXT, b"early"))
        async for _ in stream:
            await early.wait()
            await stream.send_all(unmasked(TEXT, b"one"))
            await one.wait()
            await stream.send_all(unmasked(TEXT, b"two") + unmasked(BINARY, b"3") + unmasked(TEXT, b"four"))
            await stream.send_all(unmasked(CLOSE, b"\x03\xf3bye"))

    task = trio.lowlevel.current_task()

    def take(message: bytes | str) -> None:
        taken.append((message, WHO.get(), trio.lowlevel.current_task() is task))
        if len(taken) <= 2:
            (early, one)[len(taken) - 1].set()

    async with against(serve) as reached, reached.transport.connect(reached.request) as connection:
        assert isinstance(connection, PromptConnection)
        await connection.send("go on")
        WHO.set("me")
        with pytest.raises(ConnectionLost, match="1011 bye"):
            await connection.receive_each(take)
    assert [message for message, _, _ in taken] == ["early", "one", "two", b"3", "four"]
    assert {who for _, who, _ in taken} == {"me"}
    assert [woken for _, _, woken in taken][1:] == [False, False, True, True]


async def test_what_comes_together_is_taken_in_order_one_message_in_a_turn() -> None:
    many = [str(number) for number in range(200)]
    taken = list[str]()
    turns = list[int]()

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(upgrade(request))
        async for _ in stream:
            await stream.send_all(b"".join(unmasked(TEXT, one.encode()) for one in many))
            await stream.send_all(unmasked(CLOSE, b"\x03\xe8"))

    async with against(serve) as reached, reached.transport.connect(reached.request) as connection:
        assert isinstance(connection, PromptConnection)
        task = trio.lowlevel.current_task()

        def take(message: bytes | str) -> None:
            taken.append(str(message))
            if trio.lowlevel.current_task() is not task:
                turns.append(reached.lane.turns)

        await connection.send("go on")
        with pytest.raises(ConnectionLost):
            await connection.receive_each(take)
    assert taken == many
    assert turns
    assert len(set(turns)) == len(turns)


async def test_a_fault_in_what_takes_messages_is_raised_to_who_waits_and_nothing_more_is_taken() -> None:
    taken = list[bytes | str]()

    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(upgrade(request))
        async for _ in stream:
            await stream.send_all(unmasked(TEXT, b"one") + unmasked(TEXT, b"two"))

    def take(message: bytes | str) -> None:
        taken.append(message)
        raise KeyError(message)

    async with against(serve) as reached, reached.transport.connect(reached.request) as connection:
        assert isinstance(connection, PromptConnection)
        await connection.send("go on")
        with pytest.raises(KeyError, match="one"):
            await connection.receive_each(take)
    assert taken == ["one"]


async def test_an_answered_close_ends_the_connection_at_once_and_one_that_is_not_in_its_time() -> None:
    async def polite(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(upgrade(request))
        async for _ in stream:
            await stream.send_all(unmasked(CLOSE, b"\x03\xe8"))

    for serve in (polite, stays(b"upgrade")):
        async with against(serve) as reached:
            async with reached.transport.connect(reached.request):
                assert reached.lane.statistics().links == 1
            assert reached.lane.statistics().links == 0


async def test_a_ping_ends_when_the_connection_does() -> None:
    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(upgrade(request))
        await stream.receive_some()
        await stream.send_all(unmasked(CLOSE, b"\x03\xe8"))

    async with against(serve) as reached, reached.transport.connect(reached.request) as connection:
        with pytest.raises(ConnectionLost):
            await connection.ping()


async def test_a_full_lane_leaves_it_to_the_other_transport() -> None:
    async with against(stays(b"upgrade"), links=1) as reached:
        async with reached.transport.connect(reached.request) as first:
            assert isinstance(first, PumpingConnection)
            async with reached.transport.connect(reached.request) as second:
                assert not isinstance(second, PumpingConnection)
        assert reached.lane.statistics().links == 0


def pump_of(ring: Ring) -> Pump:
    pump = Pump(ring, ring.cursor("speech to text"), 0)
    gate = EnergyGate()
    pump.native.gate, pump.native.least, pump.native.most = gate.native, 320, 1600
    pump.native.credit, pump.native.tell = UNLIMITED, UNLIMITED
    pump.kept = gate  # type: ignore[attr-defined]
    return pump


async def pumped(use: Callable[[Pump, Ring, Connection], Awaitable[None]]) -> None:
    """Run `use` while a pump sends a ring's audio to a vendor."""
    standin = VoskStandIn(marked=False)
    lane, ring = Lane(0, 1 << 20, links=1), Ring(64_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.run)
        port = await nursery.start(standin.serve)
        transport = LaneTransport(lane, WebSocketTransport(), close_timeout=0.2)

        async def run(connection: Connection, pump: Pump) -> None:
            assert isinstance(connection, PumpingConnection)
            await connection.pump(pump)

        async with transport.connect(Request(f"ws://127.0.0.1:{port}/")) as connection:
            await connection.send('{"config":{"sample_rate":16000}}')
            pump = pump_of(ring)
            async with trio.open_nursery() as running:
                running.start_soon(run, connection, pump)
                await trio.testing.wait_all_tasks_blocked()
                with trio.fail_after(PATIENCE):
                    await use(pump, ring, connection)
                pump.stop()
        nursery.cancel_scope.cancel()
    assert not ring._native().pump


async def test_what_is_written_to_the_ring_goes_to_the_vendor_until_the_pump_is_stopped() -> None:
    async def use(pump: Pump, ring: Ring, connection: Connection) -> None:
        for _ in range(10):
            ring.write(np.zeros(320, np.int16))
            pump.push()
        assert (pump.position, pump.native.messages) == (3200, 10)
        pump.stop()
        ring.write(np.zeros(3200, np.int16))
        pump.push()
        assert pump.position == 3200
        for _ in range(10):
            assert "partial" in str(await connection.receive())

    await pumped(use)


async def test_a_pump_tells_how_far_it_is_as_often_as_it_is_asked_to() -> None:
    async def use(pump: Pump, ring: Ring, connection: Connection) -> None:
        told: list[int] = []

        def on_told() -> None:
            told.append(pump.position)
            pump.native.tell = pump.position + 1000

        pump.on_told = on_told
        pump.native.tell = 1000
        for _ in range(10):
            ring.write(np.zeros(320, np.int16))
            pump.push()
        assert told == [1280, 2560]

    await pumped(use)


async def test_a_vendor_that_does_not_read_stops_the_pump() -> None:
    async def deaf(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(upgrade(request))
        await trio.sleep_forever()

    ring = Ring(16_000 * 300)
    async with against(deaf) as reached, reached.transport.connect(reached.request) as connection:
        assert isinstance(connection, PumpingConnection)
        pump = pump_of(ring)
        pump.native.burst_ns = UNLIMITED
        ring.write(np.zeros(16_000 * 290, np.int16))
        await connection.pump(pump)
        assert pump.stopped
        assert 0 < pump.position < ring.write_position
        sends = reached.lane.statistics().sends
        pump.push()
        assert reached.lane.statistics().sends == sends


class ShortLived(DeepgramProtocol):
    """Its streams last a second."""

    traits = msgspec.structs.replace(DeepgramProtocol.traits, max_duration=1.0)


async def test_a_stream_that_gets_too_old_is_followed_by_another_without_a_gap(tmp_path: Path) -> None:
    standin = DeepgramStandIn(key="key")
    lane, ring = Lane(0, 1 << 20, links=4), Ring(16_000 * 16)
    backlog = Backlog(ring, Spill(tmp_path, 16_000, inline), 16_000)
    total = 16_000 * 4
    pcm = mark(np.zeros(total, np.int16))

    async def speak() -> None:
        began = trio.current_time()
        for at in range(0, total, 320):
            await trio.sleep_until(began + at / 16_000)
            ring.write(pcm[at : at + 320])
            backlog.grown()
        backlog.finish()

    def emit(event: SttEvent) -> None:
        if isinstance(event, Final):
            backlog.cover(event.end)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.run)
        port = await nursery.start(standin.serve)
        endpoint = Endpoint(f"ws://127.0.0.1:{port}/v1/listen", "key", "nova-3")
        vendor = StreamingVendor(
            name="dg-nova-3",
            provider="deepgram",
            speaks=lambda language: True,
            protocol=lambda options: ShortLived(options, endpoint),
            transport=LaneTransport(lane, WebSocketTransport()),
            limits=StreamLimits(),
        )
        nursery.start_soon(speak)
        with trio.fail_after(PATIENCE):
            await vendor.transcribe(backlog, emit, StreamOptions(session_id="s"))
        nursery.cancel_scope.cancel()
    assert len(standin.connections) >= 3
    assert backlog.covered == total
    ((first, _),) = standin.received().spans()
    assert (first, standin.statistics().samples) == (0, total)
    assert lane.statistics().vendor_samples > total // 2
