"""A client's socket in the lane, as the session behind it sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
import trio

from engine._native import ffi, lib
from engine.audio.codecs import create_decoder
from engine.audio.intake import Intake, open_intake
from engine.audio.ring import Ring
from engine.listen.ports import ClientGone, DecodingSocket, PromptSocket
from engine.server.lane import CROWDED, QUEUE_LIMIT, Lane, LaneSocket, time_between
from tests.patience import PATIENCE
from tests.server.raw import BINARY, CLOSE, PING, PONG, TEXT, RawClient, close_frame, frame

SLOTS = 4
LIMIT = 1 << 20


class Connected:
    """A client and its socket in a lane that runs."""

    def __init__(self, lane: Lane, socket: LaneSocket, client: RawClient, server: trio.SocketStream) -> None:
        self.lane = lane
        self.socket = socket
        self.client = client
        self.server = server

    async def receive(self) -> bytes | str:
        with trio.fail_after(PATIENCE):
            return await self.socket.receive()

    async def gone(self) -> int:
        with pytest.raises(ClientGone) as gone:
            await self.receive()
        return gone.value.code


@asynccontextmanager
async def connected(pause: float = 0.0) -> AsyncIterator[Connected]:
    lane = Lane(SLOTS, LIMIT, pause=pause)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.open_tcp_stream(*listener.socket.getsockname())
        server = await listener.accept()
    async with client, server, trio.open_nursery() as nursery:
        nursery.start_soon(lane.run)
        socket = lane.add(server.socket.fileno())
        assert socket is not None
        yield Connected(lane, socket, RawClient(client), server)
        socket.remove()
        nursery.cancel_scope.cancel()


def intake(ring: Ring, margin: int = 0) -> Intake:
    found = open_intake(create_decoder("pcm16", 16_000), ring, margin=margin, keepalive=2, alarm=50)
    assert found is not None
    return found


async def no_room(samples: int) -> None:
    raise AssertionError(f"{samples} samples should fit")


async def test_it_is_a_socket_that_can_decode() -> None:
    async with connected() as one:
        assert isinstance(one.socket, DecodingSocket)


async def test_every_message_comes_in_order_and_then_the_client_is_gone() -> None:
    async with connected() as one:
        sent = [frame(TEXT, f"{n}".encode()) if n % 2 else frame(BINARY, bytes(n)) for n in range(500)]
        await one.client.send(*sent, close_frame(3456))
        got = [await one.receive() for _ in range(500)]
        assert got == [f"{n}" if n % 2 else bytes(n) for n in range(500)]
        assert await one.gone() == 3456
        assert await one.gone() == 3456


async def test_a_client_whose_messages_are_not_received_is_not_read() -> None:
    async with connected() as one:
        await one.client.send(frame(TEXT, b"first"))
        assert await one.receive() == "first"
        message = frame(BINARY, bytes(60_000))
        async with trio.open_nursery() as nursery:

            async def flood() -> None:
                for _ in range(1000):
                    await one.client.stream.send_all(message)

            nursery.start_soon(flood)
            await one.receive()
            with trio.fail_after(PATIENCE):
                while one.lane.statistics().messages < QUEUE_LIMIT:
                    await trio.testing.wait_all_tasks_blocked()
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert one.lane.statistics().messages <= QUEUE_LIMIT + 4
            for _ in range(999):
                assert len(await one.receive()) == 60_000


async def test_audio_passes_by_and_the_rest_is_received() -> None:
    async with connected() as one:
        ring, heard = Ring(160_000), trio.Event()
        taken = intake(ring)
        with one.socket.decoding(taken, heard.set, no_room):
            audio = np.arange(320, dtype="<i2").tobytes()
            await one.client.send(frame(BINARY, audio), frame(BINARY, b"\x8a\x00"), frame(TEXT, b"flush"))
            assert await one.receive() == b"\x8a\x00"
            assert await one.receive() == "flush"
            assert list(ring.window(318, 320)) == [318, 319]
            assert heard.is_set()
            assert taken.take().packets == 1


async def test_what_came_before_the_session_and_what_comes_after_keep_their_order() -> None:
    async with connected() as one:
        await one.client.send(frame(TEXT, b"token"), *[frame(BINARY, bytes(640))] * 5, close_frame(1000))
        assert await one.receive() == "token"
        ring = Ring(160_000)
        taken = intake(ring)
        with one.socket.decoding(taken, lambda: None, no_room):
            assert await one.gone() == 1000
        assert ring.write_position == 1600


async def test_a_full_ring_is_waited_for_in_receive() -> None:
    async with connected() as one:
        ring, wanted = Ring(8_000), []
        reader = ring.cursor("reader", lossless=True)
        heard = b""

        async def make_room(samples: int) -> None:
            nonlocal heard
            wanted.append(samples)
            await trio.lowlevel.checkpoint()
            heard += reader.peek(reader.available).tobytes()
            reader.advance(reader.available)

        pcm = (np.arange(50_000) % 30_000).astype("<i2").tobytes()
        with one.socket.decoding(intake(ring), lambda: None, make_room):
            frames = [frame(BINARY, pcm[start : start + 700]) for start in range(0, len(pcm), 700)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(one.client.send, b"".join(frames), close_frame(1000))
                assert await one.gone() == 1000
        heard += reader.peek(reader.available).tobytes()
        assert heard == pcm
        assert wanted


async def test_a_fault_in_what_hears_the_audio_is_raised_where_messages_are_received() -> None:
    async with connected() as one:

        def faulty() -> None:
            raise RuntimeError("broken listener")

        with one.socket.decoding(intake(Ring(16_000)), faulty, no_room):
            await one.client.send(frame(BINARY, bytes(640)))
            with pytest.raises(RuntimeError, match="broken listener"):
                await one.receive()


async def test_sending_waits_for_a_client_that_does_not_read_and_nothing_is_mixed_up() -> None:
    async with connected() as one:
        long = "x" * 3_000_000
        with trio.move_on_after(0.1) as limit:
            await one.socket.send(long)
        assert limit.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.socket.send, "next")
            nursery.start_soon(one.socket.receive)
            await one.client.send(frame(PING, b"?"))
            assert await one.client.read_frame() == (TEXT, long.encode())
            rest = {(await one.client.read_frame()) for _ in range(2)}
            assert rest == {(TEXT, b"next"), (PONG, b"?")}
            nursery.cancel_scope.cancel()


async def test_what_is_offered_goes_out_at_once_or_not_at_all() -> None:
    async with connected() as one:
        assert isinstance(one.socket, PromptSocket)
        assert one.socket.offer("now")
        assert await one.client.read_frame() == (TEXT, b"now")
        long = "x" * 3_000_000
        assert one.socket.offer(long)  # the socket does not take all of it yet
        assert not one.socket.offer("not now")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.socket.send, "next")
            assert await one.client.read_frame() == (TEXT, long.encode())
            assert await one.client.read_frame() == (TEXT, b"next")
        await one.socket.close(1000)
        assert not one.socket.offer("too late")


async def test_sending_to_a_client_that_has_gone_says_so() -> None:
    async with connected() as one:
        await one.client.send(close_frame(3000))
        assert await one.gone() == 3000
        with pytest.raises(ClientGone) as gone:
            await one.socket.send("late")
        assert gone.value.code == 3000


async def test_who_waits_to_send_is_told_when_the_client_vanishes() -> None:
    async with connected() as one, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(ClientGone):
                await one.socket.send("x" * 5_000_000)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        await one.client.stream.aclose()


async def test_after_our_close_nothing_is_sent_and_the_reason_is_cut_to_what_fits() -> None:
    async with connected() as one:
        await one.socket.close(1001, "ü" * 100)
        await one.socket.close(1000, "again")
        assert await one.client.read_frame() == (CLOSE, b"\x03\xe9" + ("ü" * 61).encode())
        with pytest.raises(ClientGone):
            await one.socket.send("late")
        await one.client.send(close_frame(1001))
        with trio.fail_after(PATIENCE):
            await one.socket.finish(lambda: None)


async def test_a_busy_lane_lets_packets_gather_and_rests_when_none_come() -> None:
    async with connected(pause=0.001) as one:
        counts = ffi.cast("lane_counts *", one.lane._counts)
        await one.client.send(frame(TEXT, b"first"))
        assert await one.receive() == "first"
        for number in range(100):
            counts.load = lib.LANE_BUSY
            await one.client.send(frame(TEXT, f"{number}".encode()))
            assert await one.receive() == f"{number}"
        await trio.testing.wait_all_tasks_blocked(0.01)
        runs = one.lane.statistics().runs
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert one.lane.statistics().runs == runs, "it waits for the sockets again"


def test_calls_come_with_each_packet_when_idle_then_seldom_and_more_often_the_more_there_is_to_do() -> None:
    assert [time_between(load, 4_000_000) for load in (0, lib.LANE_IDLE)] == [0, 0]
    assert (
        0
        < time_between(lib.LANE_IDLE + 10, 4_000_000)
        < time_between(lib.LANE_BUSY - 10, 4_000_000)
        < 4_000_000
    )
    assert time_between(lib.LANE_BUSY, 4_000_000) == 4_000_000
    assert time_between(CROWDED, 4_000_000) == 4_000_000
    assert time_between(2 * CROWDED, 4_000_000) == 2_000_000
    assert time_between(lib.LANE_BUSY, 0) == 0


async def test_what_is_done_is_counted() -> None:
    async with connected() as one:
        await one.client.send(frame(TEXT, b"hello"))
        await one.receive()
        counted = one.lane.statistics()
        assert (counted.connections, counted.slots, counted.messages, counted.decoded) == (1, SLOTS, 1, 0)
        assert counted.receives >= 1
        assert counted.bytes_in == 11


def test_a_lane_without_slots_is_refused() -> None:
    with pytest.raises(OSError, match="cannot open a lane for 0 connections"):
        Lane(0, LIMIT)


async def test_after_it_was_removed_its_slot_is_not_touched_any_more() -> None:
    async with connected() as one:
        ring = Ring(16_000)
        with one.socket.decoding(intake(ring), lambda: None, no_room):
            one.socket.remove()
            other = one.lane.add(one.server.socket.fileno())  # gets the slot that has become free
            assert other is not None
            taken = intake(ring)
            hearing = other.decoding(taken, lambda: None, no_room)
            hearing.__enter__()
        with trio.fail_after(PATIENCE):
            await one.socket.finish(lambda: None)
            assert await one.gone() == 1006
            with pytest.raises(ClientGone):
                await one.socket.send("late")
            await one.client.send(frame(BINARY, bytes(640)), frame(TEXT, b"heard"))
            assert await other.receive() == "heard"
        assert taken.take().samples == 320
        hearing.__exit__(None, None, None)
        other.remove()
