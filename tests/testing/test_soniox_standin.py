"""The Soniox stand-in, by the vendor's own package over sockets, and by this engine on the virtual clock."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing
from soniox import AsyncSonioxClient
from soniox.types.api import StructuredContext
from soniox.types.realtime import RealtimeEvent, RealtimeSTTConfig

from engine.stt.protocol import Endpoint
from engine.stt.soniox import SonioxProtocol
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import Connection, ConnectionLost, Request
from engine.stt.vendor import Fault, Final, Interim, StreamOptions, SttEvent, VendorError
from engine.stt.websocket import WebSocketTransport
from engine.testing.faults import Action, FaultPlan, Mishap
from engine.testing.marks import mark
from engine.testing.scripted import script_of
from engine.testing.soniox_standin import SonioxStandIn
from engine.transcript.words import Word
from tests.stt.streams import MemorySource, load

KEY = "the-key"
SECOND = 16_000
TEXTS = ("Ever", "tried.", "Ever", "failed.", "No", "matter.", "Internationally,", "try", "again!")
WORDS = tuple(
    Word(text, n * 8000 + 2000, n * 8000 + 7000, speaker=n // 4, language="en")
    for n, text in enumerate(TEXTS)
)
SECONDS = 7
PCM = mark(np.resize(load("beckett"), SECONDS * SECOND))
CHUNKS = [PCM[at : at + 1600].tobytes() for at in range(0, len(PCM), 1600)]
CONFIG: dict[str, Any] = {
    "model": "stt-rt-v5",
    "audio_format": "pcm_s16le",
    "sample_rate": 16_000,
    "num_channels": 1,
}


def standin(plan: FaultPlan | None = None, **options: Any) -> SonioxStandIn:
    return SonioxStandIn(script_of(WORDS), plan=plan or FaultPlan(), key=KEY, **options)


def text_of(events: list[RealtimeEvent]) -> str:
    finals = (token for event in events for token in event.tokens if token.is_final)
    return "".join(token.text for token in finals if token.text not in ("<end>", "<fin>"))


# The vendor's package, over sockets


async def with_package(
    soniox: SonioxStandIn, use: Callable[[AsyncSonioxClient], Awaitable[list[RealtimeEvent]]], key: str = KEY
) -> list[RealtimeEvent]:
    """What `use` gets with the package's client, on an asyncio loop in a thread."""

    def run(port: int) -> list[RealtimeEvent]:
        async def session() -> list[RealtimeEvent]:
            client = AsyncSonioxClient(
                api_key=key, websocket_base_url=f"ws://127.0.0.1:{port}/transcribe-websocket"
            )
            return await use(client)

        return asyncio.run(session())

    async with trio.open_nursery() as nursery:
        port = await nursery.start(soniox.serve)
        events = await trio.to_thread.run_sync(run, port)
        nursery.cancel_scope.cancel()
    return events


def everything(**options: Any) -> Callable[[AsyncSonioxClient], Awaitable[list[RealtimeEvent]]]:
    """Sends all audio, finalizes, finishes."""

    async def use(client: AsyncSonioxClient) -> list[RealtimeEvent]:
        config = RealtimeSTTConfig(**{**CONFIG, **options})
        async with client.realtime.stt.connect(config=config) as session:
            await session.keep_alive()
            for chunk in CHUNKS:
                await session.send_byte_chunk(chunk)
            await session.finalize()
            await session.finish()
            return [event async for event in session.receive_events()]

    return use


def silent(**options: Any) -> Callable[[AsyncSonioxClient], Awaitable[list[RealtimeEvent]]]:
    """Connects and listens only."""

    async def use(client: AsyncSonioxClient) -> list[RealtimeEvent]:
        config = RealtimeSTTConfig(**{**CONFIG, **options})
        async with client.realtime.stt.connect(config=config) as session:
            return [event async for event in session.receive_events()]

    return use


async def test_the_vendors_package_completes_a_session() -> None:
    soniox = standin()
    use = everything(
        language_hints=["en"],
        context=StructuredContext(terms=["Beckett"]),
        enable_speaker_diarization=True,
        enable_language_identification=True,
        enable_endpoint_detection=True,
        client_reference_id="test",
    )
    events = await with_package(soniox, use)
    assert text_of(events) == " ".join(TEXTS)
    finals = [token for event in events for token in event.tokens if token.is_final]
    assert [token.text for token in finals if token.text[0] == "<"] == ["<end>", "<fin>"]
    spoken = [token for token in finals if token.text[0] != "<"]
    assert [token.text for token in spoken[:4]] == ["Eve", "r", " tri", "ed"]
    assert (spoken[0].start_ms, spoken[-1].end_ms) == (WORDS[0].start // 16, WORDS[-1].end // 16)
    assert {token.speaker for token in spoken} == {"1", "2", "3"}
    assert {token.language for token in spoken} == {"en"}
    assert events[-1].finished
    assert events[-1].final_audio_proc_ms == events[-1].total_audio_proc_ms == SECONDS * 1000
    assert soniox.connections[0].ended == "closed 1000"
    assert soniox.connections[0].attempt.headers["authorization"] == f"Bearer {KEY}"
    assert dict(soniox.said()) == dict.fromkeys(range(len(WORDS)), 1)


async def test_what_may_change_is_said_whole_until_it_is_final() -> None:
    events = await with_package(standin(), everything())
    final, changing = set(), set()
    for event in events:
        flags = [token.is_final for token in event.tokens]
        assert flags == sorted(flags, key=lambda flag: not flag), "finals come first"
        changing |= {token.text for token in event.tokens if not token.is_final}
        final |= {token.text for token in event.tokens if token.is_final}
    assert {"Ever", " tried.", "r"} <= changing
    assert " tried." not in final
    assert not any(token.speaker or token.language for event in events for token in event.tokens)


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"model": "stt-rt-v1"}, 400, "Invalid model"),
        ({"language_hints": ["en", "en"]}, 400, "Invalid language hint"),
        ({"context": StructuredContext(text="x" * 10_001)}, 400, "Context is too long"),
        ({"audio_format": "wav", "sample_rate": None, "num_channels": None}, 400, "Audio decode error"),
    ],
)
async def test_the_package_is_told_what_is_wrong_with_its_start(
    options: dict[str, Any], code: int, text: str
) -> None:
    (event,) = await with_package(standin(), silent(**options))
    assert event.error_code == code
    assert text in str(event.error_message)


async def test_a_wrong_key_is_let_in_and_told_401() -> None:
    soniox = standin()
    (event,) = await with_package(soniox, silent(), key="wrong")
    assert (event.error_code, event.error_message) == (401, "Invalid API key.")
    assert soniox.statistics().accepted == 1
    assert soniox.connections[0].ended == "closed 1000"


@pytest.mark.parametrize("status", [402, 403, 429, 500, 503])
async def test_refusals_are_messages_to_the_package(status: int) -> None:
    (event,) = await with_package(standin(FaultPlan(refuse_first=1, refuse_status=status)), silent())
    assert event.error_code == status


async def test_a_refusal_may_have_words_of_its_own() -> None:
    plan = FaultPlan(refuse_first=1, refuse_status=429, refuse_body=b"Not now.")
    (event,) = await with_package(standin(plan), silent())
    assert (event.error_code, event.error_message) == (429, "Not now.")


@pytest.mark.parametrize("error", ["503", "413", "408"])
async def test_the_package_sees_a_stream_end_in_the_middle(error: str) -> None:
    plan = FaultPlan(mishap=Mishap(action=Action.ERROR, second=3.0, error=error))
    events = await with_package(standin(plan), everything())
    assert events[-1].error_code == int(error)
    assert " ".join(TEXTS).startswith(text_of(events))


async def test_an_end_without_audio_is_told() -> None:
    async def use(client: AsyncSonioxClient) -> list[RealtimeEvent]:
        async with client.realtime.stt.connect(config=RealtimeSTTConfig(**CONFIG)) as session:
            await session.finish()
            return [event async for event in session.receive_events()]

    (event,) = await with_package(standin(), use)
    assert (event.error_code, event.error_message) == (400, "No audio received.")


# What no package would send, in memory on the virtual clock


@asynccontextmanager
async def connected(
    soniox: SonioxStandIn, *, bearer: str | None = KEY, subprotocols: tuple[str, ...] = ()
) -> AsyncIterator[Connection]:
    headers = (("Authorization", f"Bearer {bearer}"),) if bearer else ()
    async with trio.open_nursery() as nursery:
        await nursery.start(soniox.run)
        transport = WebSocketTransport(soniox.open_stream)
        async with transport.connect(Request("ws://soniox/", headers, subprotocols)) as connection:
            yield connection
        nursery.cancel_scope.cancel()


async def rest(connection: Connection) -> list[dict[str, object]]:
    """All messages to the end, which is 1000."""
    messages: list[dict[str, object]] = []

    async def listen() -> None:
        while True:
            messages.append(json.loads(await connection.receive()))

    with pytest.raises(ConnectionLost) as lost:
        await listen()
    assert lost.value.code == 1000
    return messages


async def error_of(connection: Connection) -> tuple[object, object]:
    last = (await rest(connection))[-1]
    return last["error_code"], last["error_message"]


def start(**options: Any) -> str:
    return json.dumps({**CONFIG, **options})


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (b"\0\0", "Start request must be a text message."),
        ("{", "Start request is malformed."),
        ("[]", "Start request is malformed."),
        (start(sample_rate=None), "Audio data sample rate must be specified for PCM formats"),
        (start(num_channels=None), "Audio data channels must be specified for PCM formats"),
        (start(audio_format="s16le"), "Invalid audio format."),
        (start(language_hints=["multi"]), "Invalid language hint."),
        (start(language_hints=["en-US"]), "Invalid language hint."),
        (start(client_reference_id="x" * 257), "Client reference ID is too long (max length 256)."),
        (start(enable_endpoint_detection="yes"), "Invalid value of enable_endpoint_detection."),
        (start(max_endpoint_delay_ms=100), "Invalid value of max_endpoint_delay_ms."),
        (start(api_key=KEY), "API key must be sent either with the connection or in the start request."),
    ],
)
async def test_a_bad_start_is_refused(
    first: bytes | str, text: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected(standin()) as connection:
        await connection.send(first)
        assert await error_of(connection) == (400, text)


@pytest.mark.parametrize(
    ("strict", "bearer", "subprotocols", "inside", "accepted"),
    [
        (True, KEY, (), {}, True),
        (True, None, ("soniox-api-key", KEY), {}, True),
        (True, None, (), {"api_key": KEY}, False),
        (False, None, (), {"api_key": KEY}, True),
        (False, None, (), {}, False),
        (False, None, ("soniox-api-key", "wrong"), {}, False),
    ],
)
async def test_where_the_key_may_be(
    strict: bool,
    bearer: str | None,
    subprotocols: tuple[str, ...],
    inside: dict[str, str],
    accepted: bool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    soniox = standin(strict=strict)
    async with connected(soniox, bearer=bearer, subprotocols=subprotocols) as connection:
        await connection.send(start(**inside))
        await connection.send("")
        code, text = await error_of(connection)
    assert (code, text == "No audio received.") == (400 if accepted else 401, accepted)


@pytest.mark.parametrize(
    ("message", "text"),
    [("{", "Control request is malformed."), ('{"type":"x"}', "Control request invalid type.")],
)
async def test_unknown_control_messages_end_the_stream(
    message: str, text: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected(standin()) as connection:
        await connection.send(start())
        await connection.send(message)
        assert await error_of(connection) == (400, text)


async def test_more_streams_than_allowed_are_told_429(autojump_clock: trio.testing.MockClock) -> None:
    soniox = standin(streams=1)
    async with connected(soniox) as first:
        await first.send(start())
        request = Request("ws://soniox/", (("Authorization", f"Bearer {KEY}"),))
        async with WebSocketTransport(soniox.open_stream).connect(request) as second:
            await second.send(start())
            assert (await error_of(second))[0] == 429


async def test_whoever_says_nothing_is_told_when_and_why(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(standin()) as connection:
        assert await error_of(connection) == (408, "Start request timeout")
    assert trio.current_time() < 11
    async with connected(standin()) as connection:
        await connection.send(start())
        await trio.sleep(15)
        await connection.send('{"type":"keepalive"}')
        began = trio.current_time()
        assert await error_of(connection) == (408, "Timed out while waiting for the first audio chunk")
        assert trio.current_time() - began < 6


async def test_keepalives_hold_a_stream_that_had_audio(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(standin()) as connection:
        await connection.send(start())
        await connection.send(CHUNKS[0])
        for _ in range(10):
            await trio.sleep(15)
            await connection.send('{"type":"keepalive"}')
        began = trio.current_time()
        assert await error_of(connection) == (408, "Request timeout.")
        assert 19 < trio.current_time() - began < 21


async def test_the_longest_duration_is_told_as_413(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(standin(max_duration=12.0)) as connection:
        await connection.send(start())
        assert (await error_of(connection))[0] == 413


@pytest.mark.parametrize("end", ["", b""])
async def test_either_empty_message_ends_the_audio(
    end: bytes | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected(standin()) as connection:
        await connection.send(start())
        await connection.send(CHUNKS[0])
        await connection.send(end)
        assert (await rest(connection))[-1]["finished"] is True


# This engine, in memory on the virtual clock


def vendor(soniox: SonioxStandIn) -> StreamingVendor:
    endpoint = Endpoint("ws://soniox/transcribe-websocket", KEY)
    return StreamingVendor(
        name="soniox-stt-rt",
        provider="soniox",
        speaks=lambda language: True,
        protocol=lambda options: SonioxProtocol(options, endpoint),
        transport=WebSocketTransport(soniox.open_stream),
        limits=StreamLimits(),
    )


async def transcribed(
    soniox: SonioxStandIn, *, begin: int = 0, flushes: tuple[int, ...] = ()
) -> tuple[list[SttEvent], VendorError | None]:
    """What the engine makes of the audio from sample `begin`."""
    events: list[SttEvent] = []
    options = StreamOptions(session_id="s", vocabulary=("Beckett",), interim_results=True)
    source = MemorySource(PCM[begin:], begin, flushes)
    async with trio.open_nursery() as nursery:
        await nursery.start(soniox.run)
        try:
            await vendor(soniox).transcribe(source, events.append, options)
        except VendorError as error:
            return events, error
        finally:
            nursery.cancel_scope.cancel()
    return events, None


def words_of(events: list[SttEvent]) -> list[Word]:
    return [word for event in events if isinstance(event, Final) for word in event.words]


def covered(events: list[SttEvent]) -> int:
    """Where the finals end; they tile."""
    finals = [event for event in events if isinstance(event, Final)]
    for one, next_one in pairwise(finals):
        assert one.end == next_one.start
    return finals[-1].end if finals else 0


def assert_script(words: list[Word]) -> None:
    assert [(word.text, word.speaker) for word in words] == [(word.text, word.speaker) for word in WORDS]
    for word, scripted in zip(words, WORDS, strict=True):
        assert abs(word.start - scripted.start) <= 0.05 * SECOND
        assert abs(word.end - scripted.end) <= 0.05 * SECOND


@pytest.mark.parametrize(
    "plan",
    [
        FaultPlan(),
        FaultPlan(duplicate_finals=True),
        FaultPlan(late_finals=1.5),
        FaultPlan(duplicate_finals=True, late_finals=0.7),
    ],
    ids=["good", "doubled", "late", "doubled and late"],
)
@pytest.mark.parametrize("flushes", [(), (2 * SECOND, 4 * SECOND + 100)], ids=["", "flushed"])
async def test_the_engine_hears_every_word_once_at_its_time(
    plan: FaultPlan, flushes: tuple[int, ...], autojump_clock: trio.testing.MockClock
) -> None:
    soniox = standin(plan)
    events, error = await transcribed(soniox, flushes=flushes)
    assert error is None
    assert_script(words_of(events))
    assert covered(events) == len(PCM)
    assert any(isinstance(event, Interim) and event.words for event in events)
    assert soniox.connections[0].ended == "closed 1000"
    assert soniox.connections[0].hearing.samples == len(PCM)


@pytest.mark.parametrize("frame", range(2, 70))
async def test_wherever_a_stream_breaks_the_next_one_loses_and_doubles_nothing(
    frame: int, autojump_clock: trio.testing.MockClock
) -> None:
    soniox = standin(FaultPlan(mishap=Mishap(action=Action.ERROR, frame=frame, error="503")))
    events, error = await transcribed(soniox)
    assert error is not None
    assert error.fault is Fault.RETRY_NOW
    again, error = await transcribed(soniox, begin=covered(events))
    assert error is None
    words = words_of(events) + words_of(again)
    assert [word.text for word in words] == list(TEXTS)
    assert all(count in (1, 2) for count in soniox.said().values())


async def test_the_engine_is_told_of_a_bad_key_as_fatal_here(autojump_clock: trio.testing.MockClock) -> None:
    soniox = SonioxStandIn(script_of(WORDS), key="another")
    events, error = await transcribed(soniox)
    assert error is not None
    assert error.fault is Fault.ELSEWHERE
    assert words_of(events) == []
