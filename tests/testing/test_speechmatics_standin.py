"""The stand-in is Speechmatics to the vendor's own SDK, and keeps to the letter where the SDK does not look."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import outcome
import pytest
import trio
from numpy.typing import NDArray
from speechmatics.rt import (
    AsyncClient,
    AudioEncoding,
    AudioFormat,
    ServerMessageType,
    TranscriptionConfig,
    TranscriptionError,
    TransportError,
)
from speechmatics.rt import ConnectionError as SdkConnectionError
from trio.testing import MockClock

from engine.stt.protocol import Endpoint
from engine.stt.speechmatics import SpeechmaticsProtocol
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import Connection, ConnectionLost, Request
from engine.stt.vendor import Fault, Final, Interim, StreamOptions, SttEvent, VendorError
from engine.stt.websocket import WebSocketTransport
from engine.testing.faults import Action, FaultPlan, Mishap
from engine.testing.marks import mark
from engine.testing.scripted import script_of
from engine.testing.speechmatics_standin import SpeechmaticsStandIn
from engine.transcript.words import Word
from tests.stt.streams import MemorySource

SECOND = 16_000
TEXTS = ("Hello,", "world.", "¿Qué?", "20 June", "well-known", "end!")
WORDS = tuple(
    Word(text, n * SECOND + 4000, n * SECOND + 12_000, speaker=None if n == 2 else n % 2)
    for n, text in enumerate(TEXTS)
)
SECONDS = 8
URL = "ws://standin/v2"
AUTHORIZED = (("Authorization", "Bearer k"),)
FORMAT = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16_000, chunk_size=3200)


def audio(start: float = 0, end: float = SECONDS) -> NDArray[np.int16]:
    """Noise, and a buzz like a voice's while a word is spoken; marked."""
    first, last = int(start * SECOND), int(end * SECOND)
    pcm = np.random.default_rng(1).integers(-30, 30, SECONDS * SECOND, dtype=np.int16)
    for word in WORDS:
        pcm[word.start : word.end] += (np.arange(word.end - word.start) % 107 * 80 - 4000).astype(np.int16)
    return mark(pcm[first:last], first)


def standin(plan: FaultPlan | None = None, **more: Any) -> SpeechmaticsStandIn:
    return SpeechmaticsStandIn(script_of(WORDS), plan=plan or FaultPlan(), key="k", **more)


# The vendor's SDK, over sockets

Client = Callable[[AsyncClient, list[dict[str, Any]]], Awaitable[None]]


async def by_sdk(
    server: SpeechmaticsStandIn, talk: Client, key: str = "k", path: str = "/v2"
) -> list[dict[str, Any]]:
    """What the SDK, in a thread with asyncio, hands to its user."""
    said: list[dict[str, Any]] = []

    async def session(url: str) -> None:
        async with AsyncClient(api_key=key, url=url) as client:
            for kind in ServerMessageType:
                client.on(kind, said.append)
            await talk(client, said)

    async with trio.open_nursery() as nursery:
        port: int = await nursery.start(server.serve)
        url = f"ws://127.0.0.1:{port}{path}"
        end = await trio.to_thread.run_sync(lambda: outcome.capture(lambda: asyncio.run(session(url))))
        nursery.cancel_scope.cancel()
    end.unwrap()
    return said


def config(**more: Any) -> TranscriptionConfig:
    return TranscriptionConfig(**{"language": "en", "max_delay": 1.0, "diarization": "speaker", **more})


async def transcribe(client: AsyncClient, said: list[dict[str, Any]]) -> None:
    pcm = io.BytesIO(audio().tobytes())
    await client.transcribe(
        pcm, transcription_config=config(enable_partials=True), audio_format=FORMAT, timeout=20
    )


def of(said: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [message for message in said if message["message"] == name]


async def test_the_sdk_completes_a_session() -> None:
    server = standin()
    said = await by_sdk(server, transcribe)
    finals = of(said, "AddTranscript")
    text = "".join(message["metadata"]["transcript"] for message in finals)
    assert text.split() == " ".join(TEXTS).split()
    words = [result for message in finals for result in message["results"] if result["type"] != "punctuation"]
    assert [result["start_time"] for result in words] == [word.start / SECOND for word in WORDS]
    assert [result["alternatives"][0]["speaker"] for result in words] == ["S1", "S2", "UU", "S2", "S1", "S2"]
    assert [result["type"] for result in words].count("entity") == 1
    assert of(said, "AddPartialTranscript")
    assert [message["seq_no"] for message in of(said, "AudioAdded")] == list(range(1, SECONDS * 10 + 1))
    assert said[-1] == {"message": "EndOfTranscript"}
    assert server.said() == dict.fromkeys(range(len(WORDS)), 1)
    assert server.received().spans() == ((0, SECONDS * SECOND),)
    [line] = server.connections
    assert line.ended == "client 1000"
    assert "sm-sdk" in line.attempt.target


async def test_finals_follow_each_other_to_the_end_of_the_audio() -> None:
    finals = of(await by_sdk(standin(), transcribe), "AddTranscript")
    spans = [(message["metadata"]["start_time"], message["metadata"]["end_time"]) for message in finals]
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert spans[-1][1] == SECONDS
    assert any(not message["results"] for message in finals)


async def test_the_sdk_forces_the_end_of_an_utterance() -> None:
    async def talk(client: AsyncClient, said: list[dict[str, Any]]) -> None:
        answered = asyncio.Event()
        client.on(ServerMessageType.END_OF_UTTERANCE, lambda message: answered.set())
        await client.start_session(transcription_config=config(max_delay=4.0), audio_format=FORMAT)
        await client.send_audio(audio(0, 0.9).tobytes())
        await client.force_end_of_utterance()
        await asyncio.wait_for(answered.wait(), 10)
        await client.stop_session()

    said = await by_sdk(standin(), talk)
    [final, *_] = of(said, "AddTranscript")
    assert final["forced"] is True
    assert final["metadata"]["transcript"] == "Hello, "
    [event] = of(said, "EndOfUtterance")
    assert event["forced"] is True
    assert event["metadata"]["end_time"] == pytest.approx(0.9)


async def test_the_sdk_is_told_of_a_wrong_key_by_http() -> None:
    with pytest.raises(SdkConnectionError, match="401"):
        await by_sdk(standin(), transcribe, key="wrong")


async def test_the_sdk_is_told_of_a_wrong_path_by_http() -> None:
    with pytest.raises(SdkConnectionError, match="404"):
        await by_sdk(standin(), transcribe, path="/v1")


@pytest.mark.parametrize("status", [429, 503])
async def test_the_sdk_is_refused_as_planned(status: int) -> None:
    with pytest.raises(SdkConnectionError, match=str(status)):
        await by_sdk(standin(FaultPlan(refuse_first=1, refuse_status=status)), transcribe)


async def test_the_sdk_learns_that_the_quota_is_used_up() -> None:
    async def talk(client: AsyncClient, said: list[dict[str, Any]]) -> None:
        with pytest.raises((TranscriptionError, TransportError), match=r"Quota Exceeded|quota_exceeded"):
            await transcribe(client, said)

    server = standin(quota=0)
    [error] = of(await by_sdk(server, talk), "Error")
    assert (error["type"], error["code"]) == ("quota_exceeded", 4005)
    assert server.connections[0].ended == "closed 4005 quota_exceeded"


async def test_the_sdk_learns_that_nobody_speaks_its_language() -> None:
    async def talk(client: AsyncClient, said: list[dict[str, Any]]) -> None:
        await client.start_session(transcription_config=config(language="xx"), audio_format=FORMAT)

    server = standin()
    with pytest.raises(TranscriptionError, match="'xx' is not supported"):
        await by_sdk(server, talk)
    assert server.connections[0].ended == "closed 4004 invalid_model"


async def test_the_sdk_is_told_of_a_planned_error_amid_words() -> None:
    mishap = Mishap(action=Action.ERROR, word=3, error="job_error", reason="The worker died")
    server = standin(FaultPlan(mishap=mishap))
    said = await by_sdk(server, transcribe)
    [error] = of(said, "Error")
    assert (error["type"], error["reason"], error["code"]) == ("job_error", "The worker died", 4013)
    assert server.connections[0].ended == "closed 4013 job_error"
    assert set(server.said()) < {0, 1, 2}


# The wire, in memory on the virtual clock


class Wire:
    """A client that sends what it likes."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def tell(self, message: str, **fields: object) -> None:
        await self.connection.send(json.dumps({"message": message, **fields}))

    async def start(self, **more: object) -> None:
        raw = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000}
        chosen = {"language": "en", "max_delay": 1.0, **more}
        await self.tell("StartRecognition", audio_format=raw, transcription_config=chosen)

    async def next(self, name: str) -> dict[str, Any]:
        """The next message of that name; others are passed over, except errors."""
        while True:
            message: dict[str, Any] = json.loads(await self.connection.receive())
            if message["message"] == name:
                return message
            assert message["message"] != "Error", message

    async def closed(self) -> ConnectionLost:
        while True:
            try:
                await self.connection.receive()
            except ConnectionLost as lost:
                return lost


@asynccontextmanager
async def wired(server: SpeechmaticsStandIn) -> AsyncIterator[Wire]:
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        async with WebSocketTransport(server.open_stream).connect(Request(URL, AUTHORIZED)) as connection:
            yield Wire(connection)
        nursery.cancel_scope.cancel()


async def test_audio_before_recognition_started_is_a_protocol_error(autojump_clock: MockClock) -> None:
    async with wired(standin(FaultPlan(ready_delay=5))) as wire:
        await wire.start()
        await wire.connection.send(audio(0, 0.1).tobytes())
        error = await wire.next("Error")
        assert (error["type"], error["code"]) == ("protocol_error", 1003)
        assert (await wire.closed()).code == 1003


async def test_audio_before_anything_is_a_protocol_error(autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.connection.send(b"\0\0")
        assert (await wire.next("Error"))["type"] == "protocol_error"
        assert (await wire.closed()).code == 1003


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"model": "enhanced", "operating_point": "enhanced"}, "exclude"),
        ({"model": "huge"}, "model"),
        ({"max_delay": 0.5}, "max_delay"),
        ({"conversation_config": {"end_of_utterance_silence_trigger": 3}}, "trigger"),
        ({"additional_vocab": ["x"] * 1001}, "1000"),
        ({"diarization": "everybody"}, "diarization"),
    ],
)
async def test_a_wrong_configuration_is_refused(
    wrong: dict[str, object], reason: str, autojump_clock: MockClock
) -> None:
    async with wired(standin()) as wire:
        await wire.start(**wrong)
        error = await wire.next("Error")
        assert error["type"] == "invalid_config"
        assert reason in error["reason"]
        assert (await wire.closed()).code == 1003


@pytest.mark.parametrize("message", ["{", "[]", '{"message": "Dance"}', '{"message": "EndOfStream"}'])
async def test_what_is_not_understood_ends_the_session(message: str, autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.start()
        await wire.next("RecognitionStarted")
        await wire.connection.send(message)
        assert (await wire.next("Error"))["type"] == "invalid_message"
        assert (await wire.closed()).code == 1003


async def test_vocabulary_too_long_is_warned_of_before_the_start(autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.start(
            additional_vocab=["a b c d e f g", {"content": "gnocchi", "sounds_like": ["nyohki"]}]
        )
        assert (await wire.next("Warning"))["type"] == "validation_warning"
        await wire.next("RecognitionStarted")


async def test_acknowledgements_may_lag_and_all_come_at_the_end(autojump_clock: MockClock) -> None:
    async with wired(standin(ack_behind=3)) as wire:
        await wire.start()
        for n in range(5):
            await wire.connection.send(audio(n / 10, (n + 1) / 10).tobytes())
        assert [(await wire.next("AudioAdded"))["seq_no"] for _ in range(2)] == [1, 2]
        await wire.tell("EndOfStream", last_seq_no=2)
        assert [(await wire.next("AudioAdded"))["seq_no"] for _ in range(3)] == [3, 4, 5]
        await wire.next("EndOfTranscript")


async def test_pings_are_answered_before_and_after_the_start(autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.connection.ping()
        await wire.start()
        await wire.next("RecognitionStarted")
        await wire.connection.ping()
    assert trio.current_time() < 1, "nobody waited for an answer that does not come"


async def test_audio_after_the_end_is_warned_of(autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.start()
        await wire.tell("EndOfStream", last_seq_no=0)
        await wire.next("EndOfTranscript")
        await wire.connection.send(b"\0\0")
        assert (await wire.next("Warning"))["type"] == "add_audio_after_eos"


async def test_an_idle_stream_is_warned_three_times_and_then_ended(autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.start()
        await wire.next("RecognitionStarted")
        begun = trio.current_time()
        for left in (15, 10, 5):
            assert f"timeout in {left}m" in (await wire.next("Warning"))["reason"]
            await wire.tell("ForceEndOfUtterance")  # not audio
        assert (await wire.next("Error"))["type"] == "idle_timeout"
        assert trio.current_time() - begun == pytest.approx(3600)
        assert (await wire.closed()).code == 1008


async def test_a_silence_ends_the_utterance_once(autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.start(max_delay=4.0, conversation_config={"end_of_utterance_silence_trigger": 0.3})
        for n in range(12):
            await wire.connection.send(audio(n / 10, (n + 1) / 10).tobytes())
        assert (await wire.next("AddTranscript"))["metadata"]["transcript"] == "Hello, "
        assert (await wire.next("EndOfUtterance"))["metadata"] == {"start_time": 1.05, "end_time": 1.05}
        await wire.tell("EndOfStream", last_seq_no=12)
        assert not (await wire.next("AddTranscript"))["results"]
        await wire.next("EndOfTranscript")


async def test_a_forced_end_amid_a_word_is_answered_after_the_word(autojump_clock: MockClock) -> None:
    async with wired(standin()) as wire:
        await wire.start(max_delay=4.0)
        await wire.connection.send(audio(0, 0.5).tobytes())
        await wire.tell("ForceEndOfUtterance", timestamp=0.5)
        await wire.connection.send(audio(0.5, 0.8).tobytes())
        final = await wire.next("AddTranscript")
        assert (final["metadata"]["transcript"], final["forced"]) == ("Hello, ", True)
        await wire.next("EndOfUtterance")


# The engine's own client against it


async def heard_by_engine(server: SpeechmaticsStandIn, pcm: NDArray[np.int16], **more: Any) -> list[SttEvent]:
    events: list[SttEvent] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        vendor = StreamingVendor(
            name="speechmatics-rt",
            provider="speechmatics",
            speaks=lambda language: True,
            protocol=lambda options: SpeechmaticsProtocol(options, Endpoint(URL, "k")),
            transport=WebSocketTransport(server.open_stream),
            limits=StreamLimits(),
        )
        source = MemorySource(pcm, flushes=more.pop("flushes", ()))
        options = StreamOptions(session_id="s", **more)
        end = await outcome.acapture(vendor.transcribe, source, events.append, options)
        nursery.cancel_scope.cancel()
    end.unwrap()
    return events


def finals(events: Sequence[SttEvent]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize("late", [0.0, 1.5])
async def test_the_engine_gets_every_word_once(
    duplicates: bool, late: float, autojump_clock: MockClock
) -> None:
    server = standin(FaultPlan(duplicate_finals=duplicates, late_finals=late))
    got = finals(await heard_by_engine(server, audio(), flushes=(int(2.9 * SECOND), int(4.5 * SECOND))))
    words = [word for final in got for word in final.words]
    assert [(word.text, word.start, word.end, word.speaker) for word in words] == [
        (word.text, word.start, word.end, word.speaker) for word in WORDS
    ]
    assert [got[0].start, got[-1].end] == [0, SECONDS * SECOND]
    assert all(a.end == b.start for a, b in pairwise(got))


async def test_the_engine_gets_interim_results(autojump_clock: MockClock) -> None:
    events = await heard_by_engine(standin(), audio(), interim_results=True)
    interims = [event for event in events if isinstance(event, Interim) and event.words]
    assert interims[0].words[0].text == "Hello,"


async def test_the_engine_waits_for_acknowledgements_that_lag(autojump_clock: MockClock) -> None:
    got = finals(await heard_by_engine(standin(ack_behind=40), audio()))
    assert sum(len(final.words) for final in got) == len(WORDS)


@pytest.mark.parametrize(
    ("plan", "more", "fault"),
    [
        (FaultPlan(), {"quota": 0}, Fault.RETRY_AFTER),
        (
            FaultPlan(mishap=Mishap(action=Action.ERROR, second=2, error="not_authorised")),
            {},
            Fault.ELSEWHERE,
        ),
        (
            FaultPlan(mishap=Mishap(action=Action.ERROR, second=2, error="session_timeout")),
            {},
            Fault.RETRY_NOW,
        ),
        (FaultPlan(mishap=Mishap(action=Action.CLOSE, second=2, code=1011)), {}, Fault.RETRY_AFTER),
        (FaultPlan(mishap=Mishap(action=Action.DROP, second=2)), {}, Fault.RETRY_NOW),
        (FaultPlan(idle_timeout=0.01), {}, Fault.RETRY_NOW),
    ],
)
async def test_the_engine_classes_what_goes_wrong(
    plan: FaultPlan, more: dict[str, Any], fault: Fault, autojump_clock: MockClock
) -> None:
    with pytest.raises(VendorError) as failed:
        await heard_by_engine(standin(plan, **more), audio())
    assert failed.value.fault is fault
