"""The stand-in is a vosk-server, and the engine's client of it needed nothing but its one file."""

import ast
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import outcome
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import MockClock

import engine.stt.vosk
from engine.stt.protocol import Endpoint
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import Connection, ConnectionLost, Request
from engine.stt.vendor import Fault, Final, StreamOptions, SttEvent, VendorError
from engine.stt.vosk import CONFIG, VoskProtocol
from engine.stt.websocket import WebSocketTransport
from engine.testing.faults import Action, FaultPlan, Mishap
from engine.testing.marks import mark
from engine.testing.scripted import script_of
from engine.testing.vosk_standin import EOF, VoskStandIn
from engine.transcript.words import Word
from tests.stt.streams import MemorySource

SECOND = 16_000
WORDS = tuple(Word(f"w{n}", n * SECOND + 4000, n * SECOND + 12_000) for n in range(6))
SECONDS = 8
URL = "ws://standin"


def audio(start: float = 0, end: float = SECONDS) -> NDArray[np.int16]:
    """Noise, and a buzz like a voice's while a word is spoken; marked."""
    first, last = int(start * SECOND), int(end * SECOND)
    pcm = np.random.default_rng(1).integers(-30, 30, SECONDS * SECOND, dtype=np.int16)
    for word in WORDS:
        pcm[word.start : word.end] += (np.arange(word.end - word.start) % 107 * 80 - 4000).astype(np.int16)
    return mark(pcm[first:last], first)


def standin(plan: FaultPlan | None = None) -> VoskStandIn:
    return VoskStandIn(script_of(WORDS), plan=plan or FaultPlan())


@asynccontextmanager
async def connected(server: VoskStandIn) -> AsyncIterator[Connection]:
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        async with WebSocketTransport(server.open_stream).connect(Request(URL)) as connection:
            yield connection
        nursery.cancel_scope.cancel()


async def test_each_message_of_audio_gets_one_reply_and_the_end_the_last(autojump_clock: MockClock) -> None:
    async with connected(standin()) as connection:
        await connection.send(CONFIG)
        replies = []
        for n in range(8):
            await connection.send(audio(n / 4, (n + 1) / 4).tobytes())
            replies.append(json.loads(await connection.receive()))
        await connection.send(EOF)
        replies.append(json.loads(await connection.receive()))
        with pytest.raises(ConnectionLost) as lost:
            await connection.receive()
    assert [reply.get("partial") for reply in replies[:5]] == ["", "", "w0", "w0", None]
    assert [reply for reply in replies if "result" in reply] == [
        {"text": "w0", "result": [{"conf": 1.0, "start": 0.25, "end": 0.75, "word": "w0"}]},
        {"text": "w1", "result": [{"conf": 1.0, "start": 1.25, "end": 1.75, "word": "w1"}]},
    ]
    assert lost.value.code == 1000


@pytest.mark.parametrize("text", ['{"eof": 1}', "{", "[]", '{"config": {"sample_rate": 8000}}'])
async def test_what_would_break_the_server_ends_the_connection(text: str, autojump_clock: MockClock) -> None:
    async with connected(standin()) as connection:
        await connection.send(text)
        with pytest.raises(ConnectionLost) as lost:
            await connection.receive()
    assert lost.value.code == 1011


async def heard_by_engine(server: VoskStandIn, flushes: Sequence[int] = ()) -> list[SttEvent]:
    events: list[SttEvent] = []
    vendor = StreamingVendor(
        name="vosk",
        provider="vosk",
        speaks=lambda language: True,
        protocol=lambda options: VoskProtocol(options, Endpoint(URL)),
        transport=WebSocketTransport(server.open_stream),
        limits=StreamLimits(),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        options = StreamOptions(session_id="s")
        source = MemorySource(audio(), flushes=flushes)
        end = await outcome.acapture(vendor.transcribe, source, events.append, options)
        nursery.cancel_scope.cancel()
    end.unwrap()
    return events


@pytest.mark.parametrize("flushes", [(), (14_400, 46_400), (7_000, 40_000, 72_000)])
@pytest.mark.parametrize("late", [0.0, 1.5])
async def test_the_engine_gets_every_word_once_at_its_time(
    flushes: Sequence[int], late: float, autojump_clock: MockClock
) -> None:
    server = standin(FaultPlan(late_finals=late))
    finals = [event for event in await heard_by_engine(server, flushes) if isinstance(event, Final)]
    words = [word for final in finals for word in final.words]
    assert [word.text for word in words] == [word.text for word in WORDS]
    assert all(abs(a.start - b.start) <= 64 for a, b in zip(words, WORDS, strict=True))
    assert all(abs(a.end - b.end) <= 64 for a, b in zip(words, WORDS, strict=True))
    assert (finals[0].start, finals[-1].end) == (0, SECONDS * SECOND)
    assert all(a.end == b.start for a, b in pairwise(finals))
    assert server.said() == dict.fromkeys(range(len(WORDS)), 1)


async def test_the_engine_gets_the_words_without_being_slowed_by_silence_put_in(
    autojump_clock: MockClock,
) -> None:
    server = standin()
    await heard_by_engine(server, (14_400,))
    [line] = server.connections
    assert line.hearing.samples > SECONDS * SECOND
    assert server.received().spans() == ((0, SECONDS * SECOND),)


@pytest.mark.parametrize("action", [Action.CLOSE, Action.DROP])
async def test_the_engine_is_told_that_the_connection_ended(
    action: Action, autojump_clock: MockClock
) -> None:
    with pytest.raises(VendorError) as failed:
        await heard_by_engine(standin(FaultPlan(mishap=Mishap(action=action, second=3))))
    assert failed.value.fault is Fault.RETRY_NOW


def test_a_vendor_is_one_file_that_knows_only_what_all_vendors_share() -> None:
    tree = ast.parse(Path(engine.stt.vosk.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {module for module in modules if module and module.startswith("engine")}
    assert ours == {
        "engine.stt._fields",
        "engine.stt.protocol",
        "engine.stt.transport",
        "engine.stt.vendor",
        "engine.transcript.words",
    }
