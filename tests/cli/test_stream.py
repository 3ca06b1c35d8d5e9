"""`listen stream` against scripted servers in the same process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import trio
import trio_websocket

from engine.audio import Ring, create_decoder, read_wav, write_wav
from engine.cli.status import FAILED, USAGE
from engine.wire.messages import (
    ErrorEvent,
    InterimSegments,
    Segment,
    SegmentsDeleted,
    ServiceStatus,
    encode,
    encode_segments,
)
from tests.cli.conftest import AUDIO, Listen, Outcome

Socket = trio_websocket.WebSocketConnection
FLUSH = '{"type":"flush"}'


class Server:
    """Takes audio until flush, then does what the test wants."""

    def __init__(self, then: Callable[[Socket], Awaitable[None]]) -> None:
        self.then = then
        self.packets: list[bytes] = []
        self.query: dict[str, list[str]] = {}
        self.headers: dict[bytes, bytes] = {}
        self.closed: int | None = None
        self.url = ""

    async def accept(self, request: trio_websocket.WebSocketRequest) -> None:
        self.query = parse_qs(urlsplit(request.path).query)
        self.headers = dict(request.headers)
        socket = await request.accept()
        try:
            await socket.send_message(encode(ServiceStatus("ready")))
            while (message := await socket.get_message()) != FLUSH:
                assert isinstance(message, bytes)
                self.packets.append(message)
            await self.then(socket)
            await socket.get_message()
        except trio_websocket.ConnectionClosed as closed:
            self.closed = closed.reason.code if closed.reason else None


async def say(socket: Socket) -> None:
    """Two segments, one of them merged away, the other one changed; then all is transcribed."""
    first = Segment(id="a", text="Ever tried.", start=0.5, end=1.0)
    await socket.send_message(encode_segments([first, Segment(id="b", text="Ever", start=1.2, end=1.4)]))
    await socket.send_message(encode(SegmentsDeleted(("b",))))
    await socket.send_message(encode(InterimSegments((Segment(id="i", text="fai", start=2, end=3),))))
    await socket.send_message(
        encode_segments(
            [
                Segment(id="a", text="Ever tried. Ever failed.", start=0.5, end=2.0, revision=2),
                Segment(id="c", text="No matter.", speaker="SPEAKER_01", start=3.0, end=4.0),
            ]
        )
    )
    await socket.send_message(encode(ServiceStatus("flushed")))


@asynccontextmanager
async def serving(then: Callable[[Socket], Awaitable[None]] = say) -> AsyncIterator[Server]:
    server = Server(then)
    async with trio.open_nursery() as nursery:
        running = await nursery.start(trio_websocket.serve_websocket, server.accept, "127.0.0.1", 0, None)
        server.url = f"ws://127.0.0.1:{running.port}"
        yield server
        nursery.cancel_scope.cancel()


async def stream(
    listen: Listen, server: Server, *arguments: str | Path, file: Path = AUDIO / "beckett.wav"
) -> Outcome:
    command = ("stream", file, "--url", server.url, "--fast", *arguments)
    return await trio.to_thread.run_sync(listen, *command)


def lines(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.out.splitlines()]


async def test_json_has_a_line_per_message_with_audio_time_wall_time_and_latency(listen: Listen) -> None:
    async with serving() as server:
        outcome = await stream(listen, server, "--json")
    assert outcome.status == 0
    rows = lines(outcome)
    assert [row["type"] for row in rows] == [
        "event",
        "segments",
        "event",
        "event",
        "segments",
        "event",
        "done",
    ]
    seconds = len(read_wav(AUDIO / "beckett.wav")[0]) / 16000
    for row in rows[1:]:
        assert row["sent"] == pytest.approx(seconds, abs=0.03)
        assert row["wall"] > 0
    for segment in rows[4]["segments"]:
        assert 0 <= segment["latency_ms"] <= rows[4]["wall"] * 1000 + 1
    done = rows[-1]
    assert (done["complete"], done["flushed"], done["close_code"]) == (True, True, 1000)
    assert (done["segments"], done["text"]) == (2, "Ever tried. Ever failed. No matter.")
    assert server.closed == 1000


async def test_off_a_terminal_each_segment_is_a_line_with_time_and_speaker(listen: Listen) -> None:
    async with serving() as server:
        outcome = await stream(listen, server)
    assert outcome.status == 0
    # The first line was final when the second segment came, until that one was merged into it.
    assert outcome.out.splitlines() == [
        "[00:00.5 - 00:01.0] SPEAKER_00: Ever tried.",
        "[00:00.5 - 00:02.0] SPEAKER_00: Ever tried. Ever failed.",
        "[00:03.0 - 00:04.0] SPEAKER_01: No matter.",
    ]
    assert outcome.err == ""


async def test_who_is_found_to_speak_just_after_the_last_word_is_shown(listen: Listen) -> None:
    async def decide_late(socket: Socket) -> None:
        said = Segment(id="a", text="Ever tried.", start=0.5, end=1.0, speech_profile_processed=False)
        await socket.send_message(encode_segments([said]))
        await socket.send_message(encode(ServiceStatus("flushed")))
        with trio.move_on_after(0.2):
            await socket.get_message()  # a client that leaves
        mine = Segment(id="a", text="Ever tried.", start=0.5, end=1.0, is_user=True, revision=2)
        await socket.send_message(encode_segments([mine]))

    async with serving(decide_late) as server:
        outcome = await stream(listen, server)
    assert outcome.status == 0
    assert outcome.out.splitlines()[-1] == "[00:00.5 - 00:01.0] you: Ever tried."
    assert server.closed == 1000


async def test_options_become_parameters_and_the_token_takes_the_place_of_the_user(listen: Listen) -> None:
    options = (
        "--language",
        "de",
        "--interim",
        "--conversation-timeout",
        "2",
        "--codec",
        "opus",
        "--rate",
        "8000",
    )
    async with serving() as server:
        assert (await stream(listen, server, *options)).status == 0
        assert server.query == {
            "uid": ["demo"],
            "language": ["de"],
            "codec": ["opus"],
            "sample_rate": ["8000"],
            "channels": ["1"],
            "interim_results": ["true"],
            "conversation_timeout": ["2"],
        }
        assert (await stream(listen, server, "--token", "omi_dev_x")).status == 0
        assert "uid" not in server.query
        assert server.headers[b"authorization"] == b"Bearer omi_dev_x"


@pytest.mark.parametrize(
    ("codec", "rate", "channels"),
    [
        ("pcm16", 16000, 1),
        ("pcm16", 8000, 1),
        ("pcm16", 44100, 1),
        ("pcm16", 48000, 2),
        ("pcm8", 8000, 1),
        ("opus", 16000, 1),
        ("opus_fs320", 48000, 2),
        ("lc3", 16000, 1),
        ("lc3_fs1030", 16000, 1),
        ("aac", 16000, 1),
    ],
)
async def test_what_is_sent_decodes_to_the_recording(
    listen: Listen, codec: str, rate: int, channels: int
) -> None:
    async with serving() as server:
        options = ("--codec", codec, "--rate", str(rate), "--channels", str(channels))
        assert (await stream(listen, server, *options)).status == 0
    original = read_wav(AUDIO / "beckett.wav")[0].astype(float)
    ring = Ring(60 * 16000)
    decoder = create_decoder(codec, rate, channels)
    assert not any(decoder.decode(packet, ring).rejected for packet in server.packets)
    decoder.flush(ring)
    decoded = np.array(ring.window(0, ring.write_position), dtype=float)
    # Frames are filled up, codecs and resamplers delay: the length is right to 100 ms, the loudness to 2 dB.
    assert len(decoded) == pytest.approx(len(original), abs=1600)
    assert 20 * abs(np.log10(decoded.std() / original.std())) < 2


async def test_a_server_that_knows_no_flush_is_waited_for_and_then_left(listen: Listen) -> None:
    async def ignore(socket: Socket) -> None:
        await socket.send_message(encode_segments([Segment(id="a", text="Late.", start=0, end=1)]))

    async with serving(ignore) as server:
        outcome = await stream(listen, server, "--tail", "1")
    assert outcome.status == 0
    assert outcome.out == "[00:00.0 - 00:01.0] SPEAKER_00: Late.\n"
    assert "the server did not say that all is transcribed; waited 1 s for more" in outcome.err


async def test_a_refusal_is_status_1_and_told_in_the_servers_words(listen: Listen) -> None:
    async def refuse(request: trio_websocket.WebSocketRequest) -> None:
        socket = await request.accept()
        await socket.send_message(encode(ErrorEvent(code=1008, message="language=xx is not spoken here")))
        await socket.aclose(1008, "language=xx is not spoken here")

    server = Server(say)
    async with trio.open_nursery() as nursery:
        running = await nursery.start(trio_websocket.serve_websocket, refuse, "127.0.0.1", 0, None)
        server.url = f"ws://127.0.0.1:{running.port}"
        outcome = await stream(listen, server, "--json")
        nursery.cancel_scope.cancel()
    assert outcome.status == FAILED
    assert "the connection is closed (1008: language=xx is not spoken here)" in outcome.err
    assert lines(outcome)[-1]["close_code"] == 1008


async def test_a_server_that_leaves_before_the_last_words_is_status_1(listen: Listen) -> None:
    async def leave(socket: Socket) -> None:
        await socket.aclose(1001, "going away")

    async with serving(leave) as server:
        outcome = await stream(listen, server)
    assert outcome.status == FAILED
    assert "the connection is closed (1001: going away); 10.0 of 10.0 s had been sent" in outcome.err


async def test_trouble_on_the_servers_side_is_shown(listen: Listen) -> None:
    async def degrade(socket: Socket) -> None:
        await socket.send_message(encode(ServiceStatus("stt_degraded", "the machine is too slow")))
        await say(socket)

    async with serving(degrade) as server:
        outcome = await stream(listen, server)
    assert outcome.err == "stt_degraded: the machine is too slow\n"


async def test_on_a_terminal_the_transcript_grows_above_a_progress_bar(
    listen: Listen, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("FORCE_COLOR", "1")
    environment.delenv("NO_COLOR")
    async with serving() as server:
        outcome = await stream(listen, server, "--interim")
    assert outcome.status == 0
    assert "waiting for the last words" in outcome.out
    assert "fai" in outcome.out
    assert "Ever tried. Ever failed." in outcome.out.splitlines()[-2]
    assert "No matter." in outcome.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file or directory"), (b"no wav", "no wav"), (b"", "WAV")],
)
def test_a_file_that_is_no_recording_is_wrong_usage(
    listen: Listen, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "speech.wav"
    if content is not None:
        path.write_bytes(content)
    outcome = listen("stream", path)
    assert outcome.status == USAGE
    assert str(path) in outcome.err


def test_a_recording_without_audio_is_wrong_usage(listen: Listen, tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", np.empty(0, np.int16), 16000)
    outcome = listen("stream", tmp_path / "empty.wav")
    assert outcome.status == USAGE
    assert "empty.wav holds no audio" in outcome.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--codec", "mp3"), "mp3"),
        (("--codec", "opus", "--rate", "44100"), "44100"),
        (("--url", "nowhere"), "nowhere"),
    ],
)
def test_wrong_options_are_named_with_what_is_accepted(
    listen: Listen, options: tuple[str, ...], named: str
) -> None:
    outcome = listen("stream", AUDIO / "beckett.wav", *options)
    assert outcome.status == USAGE
    assert named in outcome.err
    assert "Traceback" not in outcome.err
