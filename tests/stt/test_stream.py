"""One vendor's streams on the virtual clock: what is sent when, what is asked for, and every limit."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from engine.audio.gate import EnergyGate
from engine.stt.protocol import (
    Event,
    Failed,
    Finished,
    Flushed,
    Message,
    Notice,
    Recognized,
    Started,
    Traits,
)
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import Connection, ConnectionLost, Refused, Request
from engine.stt.vendor import (
    SAMPLE_RATE,
    Chunk,
    Fault,
    Final,
    Ready,
    StreamOptions,
    SttEvent,
    VendorError,
)
from engine.transcript.words import Word
from tests.stt.streams import finals, load

TENTH = SAMPLE_RATE // 10
VOICE = (np.arange(TENTH) % 107 * 80 - 4000).astype("<i2").tobytes()
SILENCE = bytes(2 * TENTH)


class Server:
    """A vendor's side of every connection: notes what came when; `answer` says what to reply."""

    def __init__(self, answer: Callable[["Server", Message], Sequence[str]]) -> None:
        self.answer = answer
        self.sent: list[tuple[float, Message]] = []
        self.connects: list[float] = []
        self.samples = 0
        self.takes = True
        self.pongs = True
        self._say, self._heard = trio.open_memory_channel[str](1000)

    @asynccontextmanager
    async def connect(self, request: Request) -> AsyncIterator[Connection]:
        self.connects.append(trio.current_time())
        self.samples = 0
        self._say, self._heard = trio.open_memory_channel[str](1000)
        await trio.lowlevel.checkpoint()
        yield self

    async def send(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        if not self.takes:
            await trio.sleep_forever()
        self.sent.append((trio.current_time(), message))
        if isinstance(message, bytes):
            self.samples += len(message) // 2
        for reply in self.answer(self, message):
            if reply == "close":
                self._say.close()
                raise ConnectionLost(1000)
            self.say(reply)

    def say(self, reply: str) -> None:
        self._say.send_nowait(reply)

    async def receive(self) -> Message:
        try:
            return await self._heard.receive()
        except trio.EndOfChannel:
            raise ConnectionLost(1000) from None

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()
        if not self.pongs:
            await trio.sleep_forever()

    def texts(self) -> list[Message]:
        return [message for _, message in self.sent if isinstance(message, str)]

    def at(self, text: str) -> list[float]:
        return [time for time, message in self.sent if message == text]

    def audio(self) -> list[tuple[float, int]]:
        return [(time, len(m) // 2) for time, m in self.sent if isinstance(m, bytes)]


class Protocol:
    """The least of a vendor: replies are JSON, `[kind, position]`."""

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self.unacknowledged = 0
        self.finishing = False

    def request(self) -> Request:
        return Request("ws://vendor")

    def opened(self) -> Sequence[Message | Started]:
        return ("hello",)

    def audio(self, pcm: bytes) -> Sequence[Message]:
        self.unacknowledged += 1
        return (pcm,)

    def keepalive(self) -> Sequence[Message]:
        return ("keepalive",)

    def finalize(self) -> Sequence[Message]:
        return ("finalize",)

    def finish(self) -> Sequence[Message]:
        self.finishing = True
        return ("finish",)

    def received(self, message: Message) -> Sequence[Event]:
        kind, position = json.loads(message)
        match kind:
            case "started":
                return (Started(),)
            case "covered":
                return (Recognized((), position),)
            case "word":
                return (Recognized((Word("word", position - 1600, position),), position),)
            case "flushed":
                return (Flushed(),)
            case "finished":
                return (Finished(),)
            case "ack":
                self.unacknowledged = 0
                return ()
            case "failed":
                return (Failed(VendorError(Fault.ELSEWHERE, "no funds")),)
        return (Notice("?"),)

    def lost(self, lost: ConnectionLost) -> VendorError | None:
        return None if self.finishing else VendorError(Fault.RETRY_NOW, f"closed {lost.code}")

    def refused(self, refused: Refused) -> VendorError:
        return VendorError(Fault.ELSEWHERE, f"refused {refused.status}")


def reply(kind: str, position: int = 0) -> str:
    return json.dumps([kind, position])


def well(server: Server, message: Message) -> Sequence[str]:
    """A vendor that does as it is asked."""
    if isinstance(message, bytes):
        return (reply("covered", server.samples),)
    return {
        "hello": (reply("started"),),
        "finish": (reply("finished"),),
        "finalize": (reply("flushed"),),
    }.get(message, ())


def mute(server: Server, message: Message) -> Sequence[str]:
    """One that only starts."""
    return (reply("started"),) if message == "hello" else ()


Item = tuple[float, bytes, str]


class Source:
    """Audio as listed: when it is there, its bytes, and `flush`, `end` or nothing."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.position = 0
        self._items = list(items)

    async def read(self, samples: int) -> Chunk:
        if not self._items:
            await trio.sleep_forever()
        time, pcm, mark = self._items[0]
        await trio.sleep_until(time)
        await trio.lowlevel.checkpoint()
        self._items.pop(0)
        chunk = Chunk(memoryview(pcm).cast("h"), self.position, flush=mark == "flush", end=mark == "end")
        self.position += len(pcm) // 2
        return chunk


def live(seconds: float, pcm: bytes = VOICE, start: float = 0.0) -> list[Item]:
    return [(start + n / 10, pcm, "") for n in range(1, round(seconds * 10) + 1)]


def over(time: float) -> Item:
    return (time, b"", "end")


async def run(server: Server, items: Sequence[Item], **traits: object) -> list[SttEvent]:
    events: list[SttEvent] = []
    vendor = StreamingVendor(
        name="vendor",
        provider="vendor",
        speaks=lambda language: True,
        protocol=lambda options: Protocol(Traits(**traits)),  # type: ignore[arg-type]
        transport=server,
        limits=StreamLimits(),
    )
    await vendor.transcribe(Source(items), events.append, StreamOptions(session_id="s"))
    return events


async def failing(server: Server, items: Sequence[Item], **traits: object) -> VendorError:
    with pytest.raises(VendorError) as failed:
        await run(server, items, **traits)
    return failed.value


async def test_finals_tile_all_that_was_sent(autojump_clock: MockClock) -> None:
    server = Server(well)
    events = await run(server, [*live(2), over(2)])
    assert isinstance(events[0], Ready)
    assert [(f.start, f.end) for f in finals(events)] == [(n * TENTH, (n + 1) * TENTH) for n in range(20)]
    assert server.texts() == ["hello", "finish"]


async def test_live_audio_goes_out_at_once(autojump_clock: MockClock) -> None:
    server = Server(well)
    await run(server, [*live(5), over(5)])
    assert [time for time, _ in server.audio()] == pytest.approx([n / 10 for n in range(1, 51)])


async def test_audio_that_waited_goes_out_no_faster_than_the_vendor_takes_it(
    autojump_clock: MockClock,
) -> None:
    server = Server(well)
    await run(server, [(0.0, VOICE, "")] * 100 + [over(0)], pace=1.25)
    begin = server.audio()[0][0]
    for n, (time, _) in enumerate(server.audio()):
        assert n / 10 <= (time - begin) * 1.25 + 1e-6
    assert server.audio()[-1][0] - begin == pytest.approx(9.9 / 1.25)


async def test_a_stream_that_is_idle_is_kept_alive(autojump_clock: MockClock) -> None:
    server = Server(well)
    await run(server, [*live(1), over(20)], keepalive=4.0)
    assert server.at("keepalive") == pytest.approx([5.0, 9.0, 13.0, 17.0])


async def test_a_ping_without_a_pong_is_a_lost_vendor(autojump_clock: MockClock) -> None:
    server = Server(well)
    server.pongs = False
    error = await failing(server, [*live(1), over(100)], ping=10.0)
    assert "pong" in str(error)
    assert trio.current_time() == pytest.approx(16.0)


async def test_without_audio_the_stream_is_given_up_and_opened_again_for_audio(
    autojump_clock: MockClock,
) -> None:
    server = Server(well)
    events = await run(server, [(0, b"", "flush"), *live(1, start=30), over(31)], first_audio=10.0)
    assert server.connects == pytest.approx([0.0, 30.1])
    assert (finals(events)[0].start, finals(events)[-1].end) == (0, SAMPLE_RATE)


async def test_a_stream_that_never_had_audio_ends_without_another(autojump_clock: MockClock) -> None:
    server = Server(well)
    await run(server, [(20, b"", "flush"), over(30)], first_audio=10.0)
    assert len(server.connects) == 1


async def test_a_stream_that_gets_too_old_is_followed_by_another_between_words(
    autojump_clock: MockClock,
) -> None:
    server = Server(well)
    pcm = np.resize(load("beckett"), 30 * SAMPLE_RATE).astype("<i2").tobytes()
    packets = [pcm[at : at + 2 * TENTH] for at in range(0, len(pcm), 2 * TENTH)]
    gate = EnergyGate()
    speaks = [gate.process(np.frombuffer(packet, np.int16)) for packet in packets]
    oldest = next(n for n in range(50, 300) if speaks[n - 1])  # in the middle of speech
    talk = [((n + 1) / 10, packet, "") for n, packet in enumerate(packets)]
    events = await run(server, [*talk, over(30)], max_duration=oldest / 10 + 0.05)
    rotated = round(server.connects[1] * 10)
    assert rotated > oldest
    assert not speaks[rotated - 1]
    assert all(a.end == b.start for a, b in pairwise(finals(events)))
    assert finals(events)[-1].end == 30 * SAMPLE_RATE


async def test_no_more_than_the_window_is_unacknowledged(autojump_clock: MockClock) -> None:
    error = await failing(Server(mute), [*live(9, SILENCE), over(9)], window=5)
    assert "acknowledgement" in str(error)
    assert trio.current_time() == pytest.approx(0.6 + 6.0)


async def test_acknowledgements_open_the_window(autojump_clock: MockClock) -> None:
    def acknowledging(server: Server, message: Message) -> Sequence[str]:
        return (*well(server, message), reply("ack"))

    server = Server(acknowledging)
    await run(server, [*live(5), over(5)], window=1)
    assert server.samples == 5 * SAMPLE_RATE


async def test_a_vendor_that_takes_nothing_has_failed_soon(autojump_clock: MockClock) -> None:
    server = Server(well)

    async def stop() -> None:
        await trio.sleep(1)
        server.takes = False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        error = await failing(server, [*live(20), over(20)])
    assert "room to send" in str(error)
    assert trio.current_time() <= 1.1 + 3.0 + 0.01


async def test_no_answer_to_the_handshake_is_no_vendor(autojump_clock: MockClock) -> None:
    error = await failing(Server(lambda server, message: ()), live(1))
    assert "handshake" in str(error)
    assert trio.current_time() == pytest.approx(3.5)


async def test_speech_without_results_is_asked_about_and_then_a_failure(autojump_clock: MockClock) -> None:
    server = Server(mute)
    error = await failing(server, [*live(20), over(20)])
    assert "any result" in str(error)
    assert error.fault is Fault.RETRY_AFTER
    assert server.at("finalize") == pytest.approx([4.1])
    assert trio.current_time() == pytest.approx(6.1)


async def test_a_short_sentence_is_not_forgotten_by_a_dead_vendor(autojump_clock: MockClock) -> None:
    error = await failing(Server(mute), [*live(1), *live(20, SILENCE, 1), over(21)])
    assert "any result" in str(error)
    assert trio.current_time() == pytest.approx(6.1)


async def test_silence_without_results_is_no_failure_and_does_not_pile_up(autojump_clock: MockClock) -> None:
    events = await run(
        Server(lambda s, m: () if isinstance(m, bytes) else well(s, m)), [*live(60, SILENCE), over(60)]
    )
    assert finals(events)[-1].end == 60 * SAMPLE_RATE
    assert len([final for final in finals(events) if final.assumed]) >= 9


async def test_a_flush_asks_for_results_only_where_somebody_spoke(autojump_clock: MockClock) -> None:
    def late(server: Server, message: Message) -> Sequence[str]:
        return () if isinstance(message, bytes) else well(server, message)

    server = Server(late)
    events = await run(
        server, [*live(1, SILENCE), (1, b"", "flush"), *live(1, VOICE, 1), (2, b"", "flush"), over(3)]
    )
    assert server.at("finalize") == pytest.approx([2.0])
    assert [(f.end, f.assumed) for f in finals(events)] == [(SAMPLE_RATE, True), (2 * SAMPLE_RATE, False)]


async def test_a_flush_that_comes_too_soon_is_asked_for_later(autojump_clock: MockClock) -> None:
    def late(server: Server, message: Message) -> Sequence[str]:
        return () if isinstance(message, bytes) else well(server, message)

    server = Server(late)
    talk = [*live(1), (1, b"", "flush"), *live(1, VOICE, 1), (2, b"", "flush"), over(9)]
    events = await run(server, talk, finalize_gap=3.0)
    assert server.at("finalize") == pytest.approx([1.0, 4.0])
    assert [final.end for final in finals(events)] == [SAMPLE_RATE, 2 * SAMPLE_RATE]


async def test_when_nothing_answers_a_flush_the_stream_is_ended_and_the_next_waits_for_audio(
    autojump_clock: MockClock,
) -> None:
    def deaf(server: Server, message: Message) -> Sequence[str]:
        return () if message == "finalize" or isinstance(message, bytes) else well(server, message)

    server = Server(deaf)
    events = await run(server, [*live(1), (1, b"", "flush"), *live(1, VOICE, 30), over(31)])
    assert server.at("finish") == pytest.approx([4.0, 31.0])
    assert server.connects == pytest.approx([0.0, 30.1])
    assert [final.end for final in finals(events)] == [SAMPLE_RATE, 2 * SAMPLE_RATE]


async def test_last_results_that_do_not_come_are_a_failure(autojump_clock: MockClock) -> None:
    error = await failing(Server(mute), [*live(1), over(1)])
    assert "last results" in str(error)
    assert trio.current_time() == pytest.approx(11.0)


async def test_a_refusal_said_just_before_the_connection_ended_is_heard(autojump_clock: MockClock) -> None:
    def refusing(server: Server, message: Message) -> Sequence[str]:
        return (reply("failed"), "close")

    error = await failing(Server(refusing), live(1))
    assert error.fault is Fault.ELSEWHERE


async def test_words_before_what_is_covered_are_left_out(autojump_clock: MockClock) -> None:
    def twice(server: Server, message: Message) -> Sequence[str]:
        if not isinstance(message, bytes):
            return well(server, message)
        return (reply("word", server.samples),) * 2

    events = await run(Server(twice), [*live(1), over(1)])
    assert sum(len(final.words) for final in finals(events)) == 10
    assert all(isinstance(event, Final | Ready) for event in events)
