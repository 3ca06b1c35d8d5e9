"""One port, two ways in: who is served where, and how a connection of the lane ends."""

import pytest
import trio
from msgspec.structs import replace

from engine.listen.ports import ClientGone, ClientSocket
from engine.server.entrance import open_lane
from engine.web import Visit
from tests.server.raw import BINARY, CLOSE, TEXT, close_frame, connect, frame, handshake, websocket
from tests.server.serving import WebSocketApp, config, receive_all, serving, without_descriptors


class Laned:
    """What is served by the lane: echoes text, and remembers who came."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.received: list[bytes | str] = []
        self.gone: int | None = None
        self.close_with: int | None = None

    async def __call__(self, client: ClientSocket, visit: Visit) -> None:
        self.visits.append(visit)
        try:
            while True:
                message = await client.receive()
                self.received.append(message)
                if message == "close":
                    await client.close(4321, "as asked")
                elif isinstance(message, str):
                    await client.send(message)
        except ClientGone as gone:
            self.gone = gone.code


async def test_frames_behind_the_head_are_heard_and_answered() -> None:
    laned = Laned()
    async with serving(WebSocketApp(receive_all), laned=laned) as served:
        async with connect(served.port) as client:
            await client.send(handshake("/v4/listen?uid=a"), frame(TEXT, b"one"), frame(BINARY, b"two"))
            assert "101" in await client.read_head()
            assert await client.read_frame() == (TEXT, b"one")
            await client.send(close_frame(3333, "bye"))
            assert await client.read_close() == (3333, "bye")
            assert await client.read_end() == b""
        await served.without_connections()
    assert laned.received == ["one", b"two"]
    assert laned.gone == 3333
    assert (laned.visits[0].path, laned.visits[0].query) == ("/v4/listen", b"uid=a")
    assert laned.visits[0].peer == "127.0.0.1"


async def test_other_paths_and_odd_handshakes_go_to_the_application() -> None:
    laned, app = Laned(), WebSocketApp(receive_all)
    async with serving(app, laned=laned) as served, websocket(served.port, "/v4/other") as client:
        await client.send(frame(TEXT, b"hello"), close_frame(1000))
        await client.read_close()
        await app.wait_ended()
    assert app.messages == ["hello"]
    assert laned.visits == []


async def test_our_close_comes_after_what_was_sent_and_waits_for_the_answer() -> None:
    laned = Laned()
    async with serving(WebSocketApp(receive_all), laned=laned) as served:
        async with websocket(served.port, "/v4/listen") as client:
            await client.send(frame(TEXT, b"first"), frame(TEXT, b"close"), frame(BINARY, b"late"))
            assert await client.read_frame() == (TEXT, b"first")
            assert await client.read_close() == (4321, "as asked")
            await client.send(close_frame(4321))
            assert await client.read_end() == b""
        await served.without_connections()
    assert laned.received[:2] == ["first", "close"]
    assert laned.gone == 4321


async def test_a_client_that_does_not_answer_our_close_is_left_after_the_close_timeout() -> None:
    laned = Laned()
    settings = config(close_timeout=0.05)
    async with (
        serving(WebSocketApp(receive_all), settings, laned) as served,
        websocket(served.port, "/v4/listen") as client,
    ):
        await client.send(frame(TEXT, b"close"))
        assert await client.read_close() == (4321, "as asked")
        await client.read_end()
        await served.without_connections()


async def test_who_breaks_the_protocol_reads_why_before_the_end() -> None:
    laned = Laned()
    async with serving(WebSocketApp(receive_all), laned=laned) as served:
        async with websocket(served.port, "/v4/listen") as client:
            await client.send(frame(TEXT, b"\xff"), frame(BINARY, bytes(100_000)))
            assert await client.read_frame() == (CLOSE, b"\x03\xef")
            assert await client.read_end() == b""
        await served.without_connections()
    assert laned.gone == 1007


async def test_a_client_that_vanishes_is_gone_with_1006() -> None:
    laned = Laned()
    async with serving(WebSocketApp(receive_all), laned=laned) as served:
        async with websocket(served.port, "/v4/listen") as client:
            await client.send(frame(TEXT, b"one"))
            await client.read_frame()
        await served.without_connections()
    assert laned.gone == 1006


async def test_a_head_that_never_ends_is_answered_with_408() -> None:
    settings = config(keep_alive_timeout=1.0)
    async with (
        serving(WebSocketApp(receive_all), settings, Laned()) as served,
        connect(served.port) as client,
    ):
        await client.send(b"GET /v4/listen HTTP/1.1\r\nHost: x\r\n")
        assert (await client.read_end()).startswith(b"HTTP/1.1 408 ")


async def test_stopping_does_not_wait_for_a_head() -> None:
    async with serving(WebSocketApp(receive_all), laned=Laned()) as served:
        async with connect(served.port) as client:
            await client.send(b"GET /v4/listen HTT")
            await trio.testing.wait_all_tasks_blocked()
            served.http.stop(float("inf"), grace=1)
            assert await client.read_end() == b""
        await served.without_connections()


async def test_without_room_in_the_lane_the_other_way_is_taken() -> None:
    laned, app = Laned(), WebSocketApp(receive_all)
    async with serving(app, laned=laned) as served:
        entrance = served.http._entrance
        assert entrance is not None
        lane = entrance.lane
        free = lane.statistics().slots
        async with connect(served.port) as other:
            descriptor = other.stream.socket.fileno()
            taken = [lane.add(descriptor) for _ in range(free)]
            assert lane.add(descriptor) is None
            async with websocket(served.port, "/v4/listen") as client:
                await client.send(frame(TEXT, b"hello"), close_frame(1000))
                await client.read_close()
                await app.wait_ended()
            for socket in taken:
                assert socket is not None
                socket.remove()
    assert app.messages == ["hello"]
    assert laned.visits == []


def test_a_lane_that_cannot_be_opened_is_done_without() -> None:
    with without_descriptors():
        assert open_lane(config()) is None
    assert open_lane(config()) is not None
    assert open_lane(replace(config(), lane="off")) is None


async def test_a_client_that_was_reset_behind_its_head_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(WebSocketApp(receive_all), laned=Laned()) as served:
        for _ in range(20):
            async with connect(served.port) as client:
                await client.send(handshake("/v4/listen"))
                client.reset()
        await served.without_connections()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
