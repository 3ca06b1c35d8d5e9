"""The stand-in is Deepgram to Deepgram's own SDK, and to the letter of what is known about the service."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import trio
import trio.testing
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1Configure, ListenV1Error, ListenV1Metadata, ListenV1Results
from websockets.exceptions import ConnectionClosedError

from engine.stt.deepgram import DeepgramProtocol
from engine.stt.protocol import Endpoint
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import Connection, ConnectionLost, Request
from engine.stt.vendor import Fault, Final, Interim, Ready, StreamOptions, SttEvent, VendorError
from engine.stt.websocket import WebSocketTransport
from engine.testing._deepgram_query import judge
from engine.testing.deepgram_standin import NET_0001, DeepgramStandIn
from engine.testing.faults import Action, FaultPlan, Mishap
from engine.testing.line import Attempt
from engine.testing.marks import mark
from engine.testing.scripted import script_of
from engine.transcript.words import Word
from tests.stt.streams import MemorySource

SECOND = 16_000
WORDS = tuple(
    Word(text, n * SECOND + 4000, n * SECOND + 8000, speaker=n % 2)
    for n, text in enumerate(
        ("Send", "it,", "please.", "Now", "wait.", "Then", "go", "on,", "until", "noon.")
    )
)
OPTIONS = {
    "model": "nova-3",
    "language": "en",
    "encoding": "linear16",
    "sample_rate": "16000",
    "punctuate": "true",
    "diarize": "true",
    "endpointing": "300",
}


def audio(start: float, end: float) -> bytes:
    first, last = round(start * SECOND), round(end * SECOND)
    return mark(np.zeros(last - first, np.int16), first).tobytes()


def standin(plan: FaultPlan | None = None, **settings: Any) -> DeepgramStandIn:
    return DeepgramStandIn(script_of(WORDS), plan=plan or FaultPlan(), **settings)


# The vendor's own client, over sockets

Talk = Callable[[AsyncDeepgramClient], Coroutine[Any, Any, Any]]


async def with_sdk(deepgram: DeepgramStandIn, talk: Talk, key: str = "k") -> Any:
    """Run `talk` with an unmodified SDK client that is pointed at the stand-in."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(deepgram.serve)
        environment = DeepgramClientEnvironment(
            base=f"http://127.0.0.1:{port}",
            production=f"ws://127.0.0.1:{port}",
            agent=f"ws://127.0.0.1:{port}",
            agent_rest=f"http://127.0.0.1:{port}",
        )

        def run() -> Any:
            return asyncio.run(talk(AsyncDeepgramClient(api_key=key, environment=environment)))

        result = await trio.to_thread.run_sync(run)
        nursery.cancel_scope.cancel()
    return result


def sdk_stream(client: AsyncDeepgramClient, **options: Any) -> Any:
    return client.listen.v1.connect(
        **(OPTIONS | options),
        request_options={"additional_query_parameters": {"no_delay": "true", "filler_words": "false"}},
    )


async def listen_to_the_end(stream: Any) -> tuple[list[Any], list[Any]]:
    messages: list[Any] = []
    errors: list[Any] = []
    stream.on(EventType.MESSAGE, messages.append)
    stream.on(EventType.ERROR, errors.append)
    await stream.start_listening()
    return messages, errors


async def test_the_sdk_completes_a_session() -> None:
    async def talk(client: AsyncDeepgramClient) -> Any:
        async with sdk_stream(client, keyterm=["Omi", "Ada Lovelace"], interim_results="true") as stream:
            for n in range(30):
                await stream.send_media(audio(n / 10, n / 10 + 0.1))
            await stream.send_keep_alive()
            await stream.send_finalize()
            await stream.send_configure(ListenV1Configure(type="Configure", keyterms=["Omi"]))
            await stream.send_media(audio(3, 4))
            await stream.send_close_stream()
            return await listen_to_the_end(stream)

    deepgram = standin(key="k", speed=20.0)
    messages, errors = await with_sdk(deepgram, talk)
    results = [m for m in messages if isinstance(m, ListenV1Results)]
    finals = [m for m in results if m.is_final]
    words = [word for final in finals for word in final.channel.alternatives[0].words]
    assert [(word.punctuated_word, word.speaker) for word in words] == [
        ("Send", 0),
        ("it,", 1),
        ("please.", 0),
        ("Now", 1),
    ]
    assert [(word.start, word.end) for word in words] == [(n + 0.25, n + 0.5) for n in range(4)]
    edges = [(final.start, final.start + final.duration) for final in finals]
    assert [start for start, _ in edges] == [0.0, *(end for _, end in edges[:-1])]
    assert edges[-1][1] == 4.0
    assert any(final.from_finalize for final in finals)
    assert [m for m in results if not m.is_final]
    assert isinstance(messages[-1], ListenV1Metadata)
    assert messages[-1].duration == 4.0
    assert [m.type for m in messages].count("ConfigureSuccess") == 1
    assert errors == []
    assert dict(deepgram.said()) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert deepgram.connections[0].ended == "closed 1000"


@pytest.mark.parametrize(("key", "plan", "status"), [("wrong", None, 401), ("k", 429, 429), ("k", 402, 402)])
async def test_the_sdk_is_refused(key: str, plan: int | None, status: int) -> None:
    async def talk(client: AsyncDeepgramClient) -> int | None:
        with pytest.raises(ApiError) as refused:
            async with sdk_stream(client):
                pass
        return refused.value.status_code

    faults = FaultPlan(refuse_first=1, refuse_status=plan) if plan else FaultPlan()
    assert await with_sdk(standin(faults, key="k"), talk, key) == status


async def test_the_sdk_meets_an_error_message_and_a_close() -> None:
    async def talk(client: AsyncDeepgramClient) -> Any:
        async with sdk_stream(client) as stream:
            await stream.send_media(audio(0, 0.1))
            return await listen_to_the_end(stream)

    mishap = Mishap(action=Action.ERROR, frame=1, error="Broken", code=1011, reason="internal")
    messages, errors = await with_sdk(standin(FaultPlan(mishap=mishap)), talk)
    assert isinstance(messages[-1], ListenV1Error)
    assert messages[-1].variant == "Broken"
    assert [type(error) for error in errors] == [ConnectionClosedError]
    assert errors[0].rcvd.code == 1011


async def test_the_sdk_meets_the_end_of_an_idle_stream() -> None:
    async def talk(client: AsyncDeepgramClient) -> Any:
        async with sdk_stream(client) as stream:
            return await listen_to_the_end(stream)

    messages, errors = await with_sdk(standin(FaultPlan(idle_timeout=0.1)), talk)
    assert [type(message) for message in messages] == [ListenV1Metadata]
    assert messages[0].duration == 0.0
    assert (errors[0].rcvd.code, errors[0].rcvd.reason) == (1011, NET_0001)


# To the letter, on the virtual clock


@asynccontextmanager
async def connected(deepgram: DeepgramStandIn, **options: str) -> AsyncIterator[Connection]:
    request = Request("ws://deepgram/v1/listen?" + urlencode(OPTIONS | options))
    async with trio.open_nursery() as nursery:
        await nursery.start(deepgram.run)
        async with WebSocketTransport(deepgram.open_stream).connect(request) as connection:
            yield connection
        nursery.cancel_scope.cancel()


async def rest(connection: Connection) -> tuple[list[dict[str, Any]], ConnectionLost]:
    messages = []
    while True:
        try:
            messages.append(json.loads(await connection.receive()))
        except ConnectionLost as lost:
            return messages, lost


async def test_an_idle_stream_ends_ten_seconds_after_its_last_audio_or_keepalive(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(standin()) as connection:
        await connection.send(audio(0, 0.1))
        await trio.sleep(9)
        await connection.send('{"type":"KeepAlive"}')
        messages, lost = await rest(connection)
    assert [message["type"] for message in messages] == ["Metadata"]
    assert (lost.code, lost.reason) == (1011, NET_0001)
    assert 19 <= trio.current_time() < 19.1


async def test_keepalives_do_not_save_a_stream_without_audio(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(standin()) as connection:
        await trio.sleep(9)
        await connection.send('{"type":"KeepAlive"}')
        messages, lost = await rest(connection)
    assert lost.code == 1011
    assert 10 <= trio.current_time() < 10.1
    assert "models" not in messages[0]


@pytest.mark.parametrize("payload", [b"", b"RIFF\0\0\0\0WAVE"], ids=["empty", "a container"])
async def test_what_cannot_be_decoded_ends_with_data_0000(
    autojump_clock: trio.testing.MockClock, payload: bytes
) -> None:
    async with connected(standin()) as connection:
        await connection.send(payload)
        _, lost = await rest(connection)
    assert lost.code == 1008
    assert lost.reason.startswith("DATA-0000")


async def test_silence_yields_empty_interims_and_tiling_empty_finals(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(DeepgramStandIn(script_of(())), interim_results="true") as connection:
        for n in range(70):
            await connection.send(audio(n / 10, n / 10 + 0.1))
        await connection.send('{"type":"CloseStream"}')
        messages, _ = await rest(connection)
    results = [m for m in messages if m["type"] == "Results"]
    assert {m["channel"]["alternatives"][0]["transcript"] for m in results} == {""}
    finals = [(m["start"], m["duration"]) for m in results if m["is_final"]]
    assert finals == [(0.0, 3.0), (3.0, 3.0), (6.0, 1.0)]
    assert len(results) > len(finals)


async def test_audio_faster_than_life_is_answered_no_faster_than_it_is_recognised(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(standin()) as connection:
        await connection.send(audio(0, 10))
        await connection.send('{"type":"CloseStream"}')
        messages, lost = await rest(connection)
    assert lost.code == 1000
    assert 8.0 <= trio.current_time() < 8.1
    assert sum(len(m["channel"]["alternatives"][0]["words"]) for m in messages[:-1]) == 10


async def test_finalize_answers_only_when_something_waits_and_no_word_is_half_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(standin()) as connection:
        await connection.send(audio(0, 0.05))
        await connection.send('{"type":"Finalize"}')
        await connection.send(audio(0.05, 0.4))
        await connection.send('{"type":"Finalize"}')
        await connection.send(audio(0.4, 0.6))
        await connection.send('{"type":"Finalize"}')
        await connection.send('{"type":"CloseStream"}')
        messages, _ = await rest(connection)
    finals = [(m["start"], m["start"] + m["duration"], m["from_finalize"]) for m in messages[:-1]]
    assert finals == [(0.0, 0.25, False), (0.25, 0.6, True)]
    assert messages[1]["channel"]["alternatives"][0]["words"][0]["start"] == 0.25


async def test_a_message_that_is_no_request_is_answered_with_an_error(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(standin()) as connection:
        await connection.send("{bad")
        answer = json.loads(await connection.receive())
        await connection.send('{"type":"CloseStream"}')
        _, lost = await rest(connection)
    assert (answer["type"], answer["variant"]) == ("Error", "SchemaError")
    assert lost.code == 1000


def refused(target: str, key: str | None = None, **headers: str) -> tuple[int, str]:
    refusal = judge(Attempt(0, 0.0, target, headers), key)
    if refusal is None:
        return 101, ""
    body = json.loads(refusal.body)
    assert dict(refusal.headers)["dg-error"] == body["err_msg"]
    assert body["request_id"]
    return refusal.status, body["err_code"]


def target(*more: tuple[str, str], **options: str) -> str:
    return "/v1/listen?" + urlencode([*(OPTIONS | options).items(), *more])


def test_handshakes_are_judged_as_deepgram_does() -> None:
    assert refused(target()) == (101, "")
    assert refused("/v2/listen") == (404, "NOT_FOUND")
    assert refused(target(), "k", authorization="Token k") == (101, "")
    assert refused(target(), "k", authorization="Bearer k") == (101, "")
    assert refused(target(), "k", authorization="Token other") == (401, "INVALID_AUTH")
    assert refused(target(), "k") == (401, "INVALID_AUTH")
    assert refused(target(model="nova-9")) == (400, "Bad Request")
    assert refused(target(language="xx")) == (400, "Bad Request")
    assert refused(target(model="nova-2-general", language="af")) == (400, "Bad Request")
    assert refused(target(punctuate="True")) == (400, "INVALID_QUERY_PARAMETER")
    assert refused(target(endpointing="soon")) == (400, "INVALID_QUERY_PARAMETER")
    assert refused(target(endpointing="false")) == (101, "")
    assert refused(target(sample_rate="8000")) == (400, "INVALID_QUERY_PARAMETER")


def test_vocabulary_is_judged_by_model_and_size() -> None:
    many = [("keyterm", f"word{n}") for n in range(100)]
    assert refused(target(*many)) == (101, "")
    assert refused(target(*[("keyterm", "x" * 40)] * 60)) == (400, "INVALID_QUERY_PARAMETER")
    assert refused(target(("keywords", "omi:2"))) == (400, "INVALID_QUERY_PARAMETER")
    assert refused(target(("keyterm", "omi"), model="nova-2")) == (400, "INVALID_QUERY_PARAMETER")
    assert refused(target(("keywords", "omi:2"), model="nova-2")) == (101, "")
    assert refused(target(*[("keywords", "omi")] * 101, model="nova-2")) == (400, "INVALID_QUERY_PARAMETER")


async def test_streams_beyond_the_limit_are_refused_with_429() -> None:
    async def talk(client: AsyncDeepgramClient) -> Any:
        async with sdk_stream(client):
            with pytest.raises(ApiError) as refusal:
                async with sdk_stream(client):
                    pass
        return refusal.value.status_code

    assert await with_sdk(standin(diarized_streams=1), talk) == 429


# This engine's own client against it

LIMITS = StreamLimits()


def vendor(deepgram: DeepgramStandIn, key: str | None = "k") -> StreamingVendor:
    endpoint = Endpoint("ws://deepgram/v1/listen", key, "nova-3")
    return StreamingVendor(
        name="dg-nova-3",
        provider="deepgram",
        speaks=lambda language: True,
        protocol=lambda options: DeepgramProtocol(options, endpoint),
        transport=WebSocketTransport(deepgram.open_stream),
        limits=LIMITS,
    )


async def transcribed(deepgram: DeepgramStandIn, **options: Any) -> list[SttEvent]:
    source = MemorySource(np.frombuffer(audio(0, 10), np.int16))
    events: list[SttEvent] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(deepgram.run)
        await vendor(deepgram).transcribe(source, events.append, StreamOptions(session_id="s", **options))
        nursery.cancel_scope.cancel()
    return events


async def test_the_engine_gets_every_word_at_its_place_with_its_speaker(
    autojump_clock: trio.testing.MockClock,
) -> None:
    deepgram = standin(key="k")
    events = await transcribed(deepgram, vocabulary=("Omi",), interim_results=True)
    finals = [event for event in events if isinstance(event, Final)]
    heard = [word for final in finals for word in final.words]
    assert [(w.text, w.start, w.end, w.speaker) for w in heard] == [
        (w.text, w.start, w.end, w.speaker) for w in WORDS
    ]
    assert isinstance(events[0], Ready)
    assert any(isinstance(event, Interim) and event.words for event in events)
    assert [final.start for final in finals] == [0, *(final.end for final in finals[:-1])]
    assert finals[-1].end == deepgram.received().total() == 10 * SECOND


async def test_with_several_languages_each_word_says_its_own(
    autojump_clock: trio.testing.MockClock,
) -> None:
    words = (Word("Hola", 4000, 8000, 0, language="es"), Word("friend.", 9000, 14_000, 0, language="en"))
    deepgram = DeepgramStandIn(script_of(words))
    events = await transcribed(deepgram, language="auto")
    heard = [word for event in events if isinstance(event, Final) for word in event.words]
    assert [(word.text, word.language) for word in heard] == [("Hola", "es"), ("friend.", "en")]
    assert "language=multi" in deepgram.attempts[0].target


@pytest.mark.parametrize("plan", [FaultPlan(duplicate_finals=True), FaultPlan(late_finals=2.0)])
async def test_results_that_come_twice_or_late_are_kept_once(
    autojump_clock: trio.testing.MockClock, plan: FaultPlan
) -> None:
    events = await transcribed(standin(plan))
    heard = [word.text for event in events if isinstance(event, Final) for word in event.words]
    assert heard == [word.text for word in WORDS]


@pytest.mark.parametrize(
    ("action", "error", "code", "fault"),
    [
        (Action.ERROR, "NET-0000", 1011, Fault.RETRY_NOW),
        (Action.ERROR, "NET-0001", 1011, Fault.RETRY_NOW),
        (Action.ERROR, "DATA-0000", 1008, Fault.ELSEWHERE),
        (Action.ERROR, "Broken", 1011, Fault.RETRY_NOW),
        (Action.CLOSE, "", 1012, Fault.RETRY_NOW),
        (Action.DROP, "", 1006, Fault.RETRY_NOW),
    ],
)
async def test_the_engine_classes_what_ends_a_stream(
    autojump_clock: trio.testing.MockClock, action: Action, error: str, code: int, fault: Fault
) -> None:
    plan = FaultPlan(mishap=Mishap(action=action, word=4, error=error, code=code))
    failures: list[VendorError] = []
    try:
        await transcribed(standin(plan))
    except* VendorError as group:
        failures += [error for error in group.exceptions if isinstance(error, VendorError)]
    assert [failure.fault for failure in failures] == [fault]
