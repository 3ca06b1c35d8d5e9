"""Clients that do what they should not: each gets its answer, and nobody else notices."""

import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import trio

from engine.audio.encoders import create_encoder
from engine.client import open_listen
from engine.stt.vendor import SAMPLE_RATE, AudioSource, StreamOptions, SttEvent
from engine.testing import ScriptedVendor, counted_words
from tests.e2e.running import Running, config, hear_all, running, send_all, talking
from tests.patience import PATIENCE
from tests.server.raw import BINARY, CLOSE, PING, TEXT, RawClient, connect, frame, handshake, websocket
from tests.stt.streams import load

pytestmark = pytest.mark.both_ways

WORD = 0.1


def path(uid: str = "bad", **parameters: Any) -> str:
    return f"/v4/listen?{urlencode({'uid': uid, 'codec': 'pcm16', 'sample_rate': 16_000, **parameters})}"


def pcm(seconds: float) -> bytes:
    return bytes(2 * round(seconds * SAMPLE_RATE))


def packets(seconds: float) -> list[bytes]:
    """PCM16 in packets of 100 ms."""
    return [pcm(0.1)] * round(10 * seconds)


async def serves_another(server: Running, uid: str = "good") -> None:
    """A well-behaved client gets its words."""
    async with talking(server.url, uid) as (client, shown):
        await hear_all(client, shown, packets(1.0))
        await client.close()
    assert shown.text.split() == [f"w{n}." for n in range(10)]
    assert client.close_code == 1000


@asynccontextmanager
async def bearing(tmp_path: Path, **session: Any) -> AsyncIterator[Running]:
    """A server that, after what the block does to it, still serves others, counts nobody and logs no fault."""
    async with running(config(tmp_path, **session), ScriptedVendor(counted_words(WORD))) as server:
        yield server
        await serves_another(server)
        with trio.fail_after(PATIENCE):
            while began := len(server.log.all("session.began")) - len(server.log.all("session.ended")):
                await server.log.until("session.ended", count=len(server.log.all("session.ended")) + began)
        await server.all_ended(1)
        for ledger in server.log.ledgers().values():
            ledger.check()
            assert (ledger.lost, ledger.pending) == (0, 0)
        assert server.log.troubles() == []


async def read_until_close(client: RawClient) -> tuple[int, str]:
    """Code and reason of the close frame, whatever comes before it."""
    while True:
        opcode, payload = await client.read_frame()
        if opcode == CLOSE:
            return int.from_bytes(payload[:2], "big"), payload[2:].decode()


async def read_until_status(client: RawClient, status: str) -> None:
    while True:
        opcode, payload = await client.read_frame()
        if (
            opcode == TEXT
            and payload.startswith(b"{")
            and msgspec.json.decode(payload).get("status") == status
        ):
            return


WRONG = [
    ("codec", "mp3", 1003),
    ("codec", "", 1003),
    ("sample_rate", "7999", 1003),
    ("sample_rate", "sixteen", 1003),
    ("sample_rate", "96000", 1003),
    ("channels", "3", 1003),
    ("channels", "0", 1003),
    ("language", "english!", 1008),
    ("conversation_timeout", "1", 1008),
    ("conversation_timeout", "14401", 1008),
    ("conversation_timeout", "0", 1008),
    ("include_speech_profile", "perhaps", 1008),
    ("interim_results", "2", 1008),
    ("create_speakers", "?", 1008),
    ("stt_service", "whisperx", 1008),
    ("custom_stt", "yes", 1008),
    ("onboarding", "true", 1008),
    ("speaker_auto_assign", "1", 1008),
    ("vad_gate", "on", 1008),
    ("call_id", "x" * 200, 1008),
    ("uid", "x" * 200, 1008),
    ("uid", "", 1008),
]


async def test_each_bad_parameter_is_named_before_any_audio_and_then_closed(tmp_path: Path) -> None:
    async with bearing(tmp_path) as server:
        for name, value, code in WRONG:
            async with websocket(server.port, path(**{name: value})) as client:
                opcode, payload = await client.read_frame()
                error = msgspec.json.decode(payload)
                assert (opcode, error["type"], error["parameter"]) == (TEXT, "error", name), error
                assert error["code"] == code
                assert error["message"]
                assert name in error["message"]
                closed, reason = await client.read_close()
                assert closed == code
                assert name in reason
                assert len(reason.encode()) <= 123
                await client.send(frame(CLOSE, struct.pack("!H", code)))
                assert await client.read_end() == b""


CODECS = ("pcm8", "pcm16", "opus", "opus_fs320", "lc3", "lc3_fs1030", "aac")


@pytest.mark.parametrize("codec", CODECS)
async def test_truncated_and_random_frames_are_counted_and_the_session_goes_on(
    tmp_path: Path, codec: str
) -> None:
    dice = random.Random(codec)
    encoder = create_encoder(codec, SAMPLE_RATE)
    good = [packet for packet in encoder.encode(load("austen-0880")) if len(packet) > 2]
    cut = [packet[: dice.randrange(3, max(4, len(packet)))] for packet in good[:100]]
    noise = [dice.randbytes(dice.choice((3, 7, 29, 31, 60, 400, 5_000))) for _ in range(100)]
    spoilt = [*good[:10], *cut, *noise, dice.randbytes(70_000), *good]
    async with bearing(tmp_path) as server, talking(server.url, "bad", codec=codec) as (client, shown):
        await hear_all(client, shown, spoilt)
        await hear_all(client, shown, good)
        await client.close()
    assert client.close_code == 1000
    assert shown.segments


async def test_text_where_binary_belongs_has_no_effect_and_does_not_fill_the_log(tmp_path: Path) -> None:
    texts = ["", "hello", "{", "[]", "null", '{"type":5}', '{"type":"flush"', "[" * 10_000, "\0", "é" * 1000]
    texts += ['{"type":"suggested_transcript","segments":[]}', '{"type":"skip_question","index":-1}']
    async with bearing(tmp_path) as server:
        async with talking(server.url, "bad") as (client, shown):
            for text in texts:
                await client.send_text(text)
            await hear_all(client, shown, packets(1.0))
            await client.close()
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
        assert len(server.log.all("client message ignored")) == 1
        assert ended["ignored_messages"] > 5
    assert shown.text.split() == [f"w{n}." for n in range(10)]


async def test_a_message_beyond_one_mebibyte_is_closed_with_1009_after_what_came_before(
    tmp_path: Path,
) -> None:
    async with bearing(tmp_path) as server:
        async with websocket(server.port, path()) as client:
            await client.send(frame(BINARY, pcm(1.0)), frame(BINARY, bytes(1024 * 1024 + 1)))
            assert (await read_until_close(client))[0] == 1009
            await client.send(frame(CLOSE, struct.pack("!H", 1009)))
            await client.read_end()
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
        assert ended["ledger"]["decoded"] == SAMPLE_RATE


async def test_a_message_of_one_mebibyte_is_taken(tmp_path: Path) -> None:
    async with bearing(tmp_path) as server, talking(server.url, "bad") as (client, shown):
        await hear_all(client, shown, [bytes(1024 * 1024)])
        await client.close()
    assert len(shown.text.split()) == int(1024 * 1024 / 2 / SAMPLE_RATE / WORD + 0.25)


@pytest.mark.parametrize("when", ["in the handshake", "after it", "in mid-speech", "in mid-frame"])
async def test_a_client_that_is_reset_is_gone_and_what_it_said_is_kept(tmp_path: Path, when: str) -> None:
    async with bearing(tmp_path) as server:
        async with connect(server.port) as client:
            if when == "in the handshake":
                await client.send(handshake(path())[:60])
                client.reset()
                return
            await client.send(handshake(path()))
            await client.read_head()
            if when != "after it":
                await client.send(*[frame(BINARY, pcm(0.1))] * 20)
                await read_until_status(client, "ready")
                while not (await client.read_frame())[1].startswith(b"["):
                    pass
            if when == "in mid-frame":
                await client.send(frame(BINARY, pcm(0.1))[:500])
            client.reset()
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
        assert ended["code"] == 1006


async def test_a_client_that_falls_silent_is_sent_away_after_the_inactivity_timeout(tmp_path: Path) -> None:
    async with bearing(tmp_path, inactivity_timeout=1.0, ping_interval=0.3) as server:
        async with websocket(server.port, path()) as client:
            await client.send(*[frame(BINARY, packet) for packet in packets(1.0)])
            code, reason = await read_until_close(client)
            assert (code, reason) == (1001, "no message for 1 s")
            await client.read_end()  # which it does not answer
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
        assert ended["ledger"]["decoded"] == SAMPLE_RATE


async def test_a_handshake_that_is_never_finished_is_given_up(tmp_path: Path) -> None:
    async with bearing(tmp_path) as server, connect(server.port) as client:
        await client.send(handshake(path())[:60])
        await client.read_end()


async def test_who_is_gone_when_their_handshake_is_given_up_is_no_fault_of_the_server(tmp_path: Path) -> None:
    async with bearing(tmp_path) as server, connect(server.port) as client:
        await client.send(handshake(path())[:60])
        await client.read_end()
        client.reset()


@asynccontextmanager
async def small_window(port: int) -> AsyncIterator[RawClient]:
    """A connection on which little can wait to be read."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    await sock.connect(("127.0.0.1", port))
    async with trio.SocketStream(sock) as stream:
        yield RawClient(stream)


async def send_until_reset(client: RawClient, data: bytes) -> None:
    """It learns that it was sent away when its kernel does, which may take long: nothing reaches who reads nothing."""
    with suppress(trio.BrokenResourceError):
        while True:
            await client.stream.send_all(data)


async def test_a_client_that_never_reads_is_dropped_and_its_words_are_kept(tmp_path: Path) -> None:
    texts = frame(TEXT, b'{"type":"suggested_transcript","segments":[]}')  # each one is answered
    async with bearing(tmp_path, client_write_timeout=1.0) as server:
        async with small_window(server.port) as client:
            await client.send(handshake(path()), *[frame(BINARY, packet) for packet in packets(1.0)])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_until_reset, client, texts * 100)
                with trio.fail_after(PATIENCE):
                    await server.log.until("session.ended")
                nursery.cancel_scope.cancel()
        (ended,) = server.log.all("session.ended")
        assert (ended["code"], ended["reason"]) == (1008, "the client did not read for 1 s")
        assert ended["ledger"]["final"] > 0
        (conversation,) = await server.conversations("bad")
        assert conversation["transcript_segments"]


class Paced(ScriptedVendor):
    """Hears no faster than `speed` times real time, counted from its first sample."""

    def __init__(self, speed: float) -> None:
        super().__init__(counted_words(WORD))
        self._speed = speed

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        await super().transcribe(_Slowed(audio, self._speed), emit, options)


class _Slowed:
    def __init__(self, audio: AudioSource, speed: float) -> None:
        self._audio = audio
        self._speed = speed
        self._began: float | None = None

    @property
    def position(self) -> int:
        return self._audio.position

    async def read(self, samples: int) -> Any:
        chunk = await self._audio.read(samples)
        if self._began is None:
            self._began = trio.current_time()
        await trio.sleep_until(self._began + self._audio.position / SAMPLE_RATE / self._speed)
        return chunk


SPEED = 20.0
MINUTES = 1.5


@pytest.mark.parametrize("spill_minutes", [30.0, 0.0], ids=["what is ahead is spilled", "TCP slows it down"])
async def test_a_client_many_times_faster_than_speech_to_text_loses_nothing(
    tmp_path: Path, spill_minutes: float
) -> None:
    vendor = Paced(SPEED)
    settings = config(tmp_path, spill_minutes=spill_minutes, ring_seconds=16)
    async with running(settings, vendor) as server:
        began = trio.current_time()
        async with talking(server.url, "fast") as (client, shown):
            await send_all(client, packets(60 * MINUTES))
            sent = trio.current_time() - began
            await hear_all(client, shown, packets(1.0))
            await client.close()
        await server.all_ended(1)
        ((session, ledger),) = server.log.ledgers().items()
        await serves_another(server)
    ledger.check()
    total = round((60 * MINUTES + 1) * SAMPLE_RATE)
    assert (ledger.decoded, ledger.lost, ledger.pending) == (total, 0, 0)
    assert vendor.samples[session] == total
    assert shown.text.split() == [f"w{n}." for n in range(round((60 * MINUTES + 1) / WORD))]
    if not spill_minutes:
        # All but what the ring and the kernel's buffers hold had to wait for the vendor.
        held = 16 + 10 * 1024 * 1024 / 2 / SAMPLE_RATE
        assert sent >= (60 * MINUTES - held) / SPEED


ABUSE = [
    ("an unmasked frame", frame(BINARY, b"abc", masked=False), 1002),
    ("a control frame that is too long", frame(PING, bytes(126)), 1002),
    ("a control frame in pieces", frame(PING, b"x", fin=False), 1002),
    ("an unknown opcode", frame(3, b"abc"), 1002),
    ("reserved bits", bytes([0xF2]) + frame(BINARY, b"abc")[1:], 1002),
    ("a continuation of nothing", frame(0, b"abc"), 1002),
    ("text that is not UTF-8", frame(TEXT, b"\xc3\x28"), 1007),
    ("a close code that may not be sent", frame(CLOSE, struct.pack("!H", 1005)), 1002),
    ("a close frame of one byte", frame(CLOSE, b"x"), 1002),
    ("a length of 2**63", bytes([0x82, 0xFF]) + b"\xff" * 8 + bytes(4), 1002),
]


@pytest.mark.parametrize(("data", "code"), [pytest.param(*rest, id=name) for name, *rest in ABUSE])
async def test_abuse_of_the_protocol_is_closed_with_its_code(tmp_path: Path, data: bytes, code: int) -> None:
    async with bearing(tmp_path) as server:
        async with websocket(server.port, path()) as client:
            await client.send(frame(BINARY, pcm(0.5)), data)
            assert (await read_until_close(client))[0] == code
            await client.read_end()
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
        assert ended["ledger"]["decoded"] == SAMPLE_RATE // 2


async def test_a_message_in_thousands_of_fragments_is_one_message(tmp_path: Path) -> None:
    async with bearing(tmp_path) as server:
        async with websocket(server.port, path()) as client:
            body = pcm(1.0)
            pieces = [body[at : at + 8] for at in range(0, len(body), 8)]
            await client.send(frame(BINARY, pieces[0], fin=False))
            await client.send(*[frame(0, piece, fin=False) for piece in pieces[1:]])
            await client.send(frame(0), frame(CLOSE, struct.pack("!H", 1000)))
            assert (await read_until_close(client))[0] == 1000
        with trio.fail_after(PATIENCE):
            (ended,) = await server.log.until("session.ended")
        assert ended["ledger"]["decoded"] == SAMPLE_RATE


async def test_a_client_over_the_limit_is_told_when_to_come_back(tmp_path: Path) -> None:
    settings = config(tmp_path, limits={"sessions_per_user": 1, "retry_after": 7.0})
    async with running(settings, ScriptedVendor(counted_words(WORD))) as server:
        async with talking(server.url, "one") as (client, shown):
            await shown.until_status("ready")
            async with open_listen(server.url, uid="one") as second:
                told = [event async for event in second.events()]
            await client.close()
        await server.all_ended(1)
        await serves_another(server, "one")
    assert second.close_code == 1013
    assert second.error is not None
    assert told == [second.error]
    assert second.error.retry_after == 7.0


async def test_a_client_that_waits_for_us_is_not_taken_for_inactive(tmp_path: Path) -> None:
    """It has much to say, but nobody reads its socket: no disk to spill to, and speech to text is late."""
    settings = config(tmp_path, spill_minutes=0.0, ring_seconds=2, inactivity_timeout=1.0, ping_interval=0.5)
    async with running(settings, ScriptedVendor(counted_words(WORD), ready_after=3.0)) as server:
        async with talking(server.url, "patient") as (client, shown):
            await hear_all(client, shown, packets(300.0))
            await client.close()
        await server.all_ended(1)
    assert len(shown.text.split()) == 3000
