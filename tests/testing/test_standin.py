"""What every stand-in does: hears its script, keeps books, and goes wrong exactly as planned."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
import trio
import trio.testing
import trio_websocket as ws

from engine.stt.transport import ConnectFailed, Connection, ConnectionLost, Request
from engine.stt.websocket import WebSocketTransport
from engine.testing.faults import Action, FaultPlan, Mishap, Refusal
from engine.testing.line import Attempt, Line
from engine.testing.marks import mark
from engine.testing.scripted import script_of
from engine.testing.standin import StandIn
from engine.transcript.words import Word

SECOND = 16_000
WORDS = tuple(Word(f"w{n}.", n * SECOND + 4000, n * SECOND + 8000) for n in range(10))


class Echo(StandIn):
    """The smallest vendor: says each word it heard, ends on text."""

    name = "echo"

    def judge(self, attempt: Attempt) -> Refusal | None:
        wrong = self.key is not None and attempt.headers.get("authorization") != self.key
        return self.refusal(401) if wrong else None

    def refusal(self, status: int) -> Refusal:
        return Refusal(status, (("x-error", "no"),), b"echo says no")

    async def converse(self, line: Line) -> None:
        while isinstance(payload := await line.receive(), bytes):
            for heard in await line.hear(payload):
                await line.say(heard.word.text, final=True, words=[heard])
        await line.say("bye")

    async def fail(self, line: Line, mishap: Mishap) -> None:
        await line.say(f"error {mishap.error}")
        await line.close(4000)


def audio(start: int, end: int) -> bytes:
    return mark(np.zeros(end - start, np.int16), start).tobytes()


def standin(plan: FaultPlan | None = None, key: str | None = None) -> Echo:
    return Echo(script_of(WORDS), plan=plan or FaultPlan(), key=key)


@asynccontextmanager
async def running(echo: Echo) -> AsyncIterator[WebSocketTransport]:
    async with trio.open_nursery() as nursery:
        await nursery.start(echo.run)
        yield WebSocketTransport(echo.open_stream)
        nursery.cancel_scope.cancel()


REQUEST = Request("ws://echo/path?a=1", (("Authorization", "k"),))


async def send_seconds(connection: Connection, start: int, end: int) -> None:
    for second in range(start, end):
        for tenth in range(10):
            at = second * SECOND + tenth * 1600
            await connection.send(audio(at, at + 1600))


async def refused_by(echo: Echo) -> ws.ConnectionRejected:
    """What a client that knows nothing of this engine is told."""
    stream = await echo.open_stream("echo", 80, False)
    rejected: list[ws.ConnectionRejected] = []
    try:
        async with trio.open_nursery() as nursery:
            await ws.wrap_client_stream(nursery, stream, "echo", "/")  # type: ignore[arg-type]
    except* ws.ConnectionRejected as group:
        rejected += [error for error in group.exceptions if isinstance(error, ws.ConnectionRejected)]
    finally:
        await trio.aclose_forcefully(stream)
    (error,) = rejected
    return error


async def everything(connection: Connection) -> tuple[list[str], ConnectionLost]:
    texts = []
    while True:
        try:
            texts.append(str(await connection.receive()))
        except ConnectionLost as lost:
            return texts, lost


async def test_the_script_is_said_and_the_books_agree(autojump_clock: trio.testing.MockClock) -> None:
    echo = standin(key="k")
    async with running(echo) as transport, transport.connect(REQUEST) as connection:
        await send_seconds(connection, 0, 3)
        await connection.send("end")
        texts, lost = await everything(connection)
    assert texts == ["w0.", "w1.", "w2.", "bye"]
    assert lost.code == 1000
    assert dict(echo.said()) == {0: 1, 1: 1, 2: 1}
    assert echo.received().spans() == ((0, 3 * SECOND),)
    assert echo.attempts[0].target == "/path?a=1"
    numbers = echo.statistics()
    assert (numbers.attempts, numbers.accepted, numbers.refused, numbers.live) == (1, 1, 0, 0)
    assert (numbers.words, numbers.samples) == (3, 3 * SECOND)


async def test_the_same_over_sockets() -> None:
    echo = standin()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(echo.serve)
        async with WebSocketTransport().connect(Request(f"ws://127.0.0.1:{port}/")) as connection:
            await send_seconds(connection, 0, 2)
            await connection.send("end")
            texts, lost = await everything(connection)
        nursery.cancel_scope.cancel()
    assert texts == ["w0.", "w1.", "bye"]
    assert lost.code == 1000


async def test_a_vendor_judges_handshakes_itself(autojump_clock: trio.testing.MockClock) -> None:
    echo = standin(key="other")
    async with running(echo):
        refused = await refused_by(echo)
    assert refused.status_code == 401
    assert (b"x-error", b"no") in (refused.headers or ())
    assert refused.body == b"echo says no"


async def test_the_first_connects_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    echo = standin(FaultPlan(refuse_first=2, refuse_status=429, refuse_headers=(("retry-after", "7"),)))
    async with running(echo) as transport:
        for _ in range(2):
            refused = await refused_by(echo)
            assert refused.status_code == 429
            assert (b"retry-after", b"7") in (refused.headers or ())
        async with transport.connect(REQUEST) as connection:
            await connection.send("end")
            assert await connection.receive() == "bye"
    assert echo.statistics().refused == 2


async def test_connects_are_refused_then_unreachable_for_a_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    echo = standin(FaultPlan(refuse_for=60.0))
    async with running(echo) as transport:
        await trio.sleep(59)
        assert (await refused_by(echo)).status_code == 503
        echo.follow(FaultPlan(unreachable_for=60.0))
        await trio.sleep(59)
        with pytest.raises(ConnectFailed, match="unreachable"):
            await transport.connect(REQUEST).__aenter__()
        await trio.sleep(2)
        async with transport.connect(REQUEST):
            pass
    numbers = echo.statistics()
    assert (numbers.attempts, numbers.refused, numbers.unreachable, numbers.accepted) == (3, 1, 1, 1)


async def test_a_handshake_hangs_until_the_client_leaves(autojump_clock: trio.testing.MockClock) -> None:
    echo = standin(FaultPlan(handshake_delay=math.inf, delayed=1))
    async with running(echo) as transport:
        with trio.move_on_after(5) as limit:
            await transport.connect(REQUEST).__aenter__()
        assert limit.cancelled_caught
        async with transport.connect(REQUEST):
            pass
        await trio.testing.wait_all_tasks_blocked()
        assert echo.statistics().unanswered == 1


async def test_a_slow_handshake_is_answered_late(autojump_clock: trio.testing.MockClock) -> None:
    echo = standin(FaultPlan(handshake_delay=3.0))
    async with running(echo) as transport, transport.connect(REQUEST):
        assert trio.current_time() >= 3.0


@pytest.mark.parametrize(
    ("mishap", "last", "code"),
    [
        (Mishap(action=Action.CLOSE, second=2.3, code=1011, reason="NET-0001"), "w1.", 1011),
        (Mishap(action=Action.CLOSE, word=2, code=1012), "w1.", 1012),
        (Mishap(action=Action.ERROR, frame=25, error="503"), "error 503", 4000),
        (Mishap(action=Action.DROP, second=2.3), "w1.", 1006),
    ],
    ids=["close at a second", "close mid-word", "error at a frame", "drop"],
)
async def test_a_mishap_ends_the_first_connection_only(
    autojump_clock: trio.testing.MockClock, mishap: Mishap, last: str, code: int
) -> None:
    echo = standin(FaultPlan(mishap=mishap))
    async with running(echo) as transport:
        async with transport.connect(REQUEST) as connection:
            await send_seconds(connection, 0, 2)
            with pytest.raises(ConnectionLost):
                await send_seconds(connection, 2, 100)
            texts, lost = await everything(connection)
        assert (texts[-1], lost.code, lost.reason) == (last, code, mishap.reason)
        assert dict(echo.said()) == {0: 1, 1: 1}
        async with transport.connect(REQUEST) as connection:
            await send_seconds(connection, 2, 5)
            await connection.send("end")
            texts, _ = await everything(connection)
    assert texts == ["w2.", "w3.", "w4.", "bye"]
    assert echo.received().spans() == ((0, 5 * SECOND),)


async def test_a_silent_vendor_takes_audio_and_answers_pings(
    autojump_clock: trio.testing.MockClock,
) -> None:
    echo = standin(FaultPlan(mishap=Mishap(action=Action.SILENCE, second=1.0)))
    async with running(echo) as transport, transport.connect(REQUEST) as connection:
        await send_seconds(connection, 0, 5)
        await connection.ping()
        assert await connection.receive() == "w0."
        with trio.move_on_after(60) as limit:
            await connection.receive()
        assert limit.cancelled_caught
    assert dict(echo.said()) == {0: 1}
    assert echo.received().total() == 5 * SECOND


async def test_a_vendor_that_stops_reading_blocks_its_client(
    autojump_clock: trio.testing.MockClock,
) -> None:
    echo = standin(FaultPlan(mishap=Mishap(action=Action.STOP_READING, second=1.0)))
    async with running(echo) as transport, transport.connect(REQUEST) as connection:
        with trio.move_on_after(60) as limit:
            await send_seconds(connection, 0, 100)
        assert limit.cancelled_caught


async def test_finals_come_late_and_twice_and_count_once(autojump_clock: trio.testing.MockClock) -> None:
    echo = standin(FaultPlan(late_finals=4.0, duplicate_finals=True))
    async with running(echo) as transport, transport.connect(REQUEST) as connection:
        await send_seconds(connection, 0, 1)
        await connection.send("end")
        assert [await connection.receive() for _ in range(3)] == ["w0.", "w0.", "bye"]
        assert trio.current_time() >= 4.0
    assert dict(echo.said()) == {0: 1}


async def test_the_log_tells_what_happened(autojump_clock: trio.testing.MockClock) -> None:
    echo = standin(FaultPlan(refuse_first=1))
    async with running(echo) as transport:
        assert (await refused_by(echo)).status_code == 503
        async with transport.connect(REQUEST):
            pass
        await trio.testing.wait_all_tasks_blocked()
    assert [text for _, text in echo.log] == ["echo refused 503", "echo accepted", "echo 0: client 1000"]
    assert json.dumps(list(echo.log))


async def test_nobody_answers_when_it_does_not_run() -> None:
    with pytest.raises(ConnectFailed, match="does not run"):
        await WebSocketTransport(standin().open_stream).connect(REQUEST).__aenter__()
