"""One session from greeting to goodbye, on the virtual clock."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words, script_of
from engine.transcript.words import Word
from tests.listen.harness import frames, parameters, server, silence


def word(text: str, start: float, end: float) -> Word:
    return Word(text=text, start=round(start * SAMPLE_RATE), end=round(end * SAMPLE_RATE))


async def talk(socket: Any, seconds: float) -> None:
    """Audio in real time."""
    began = trio.current_time()
    for n, frame in enumerate(frames(silence(seconds))):
        await trio.sleep_until(began + n * 0.02)
        await socket.say(frame)


async def test_a_client_is_greeted_hears_pings_and_gets_its_words(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    vendor = ScriptedVendor(script_of([word("Hello", 0.2, 0.5), word("there.", 0.6, 0.9)]))
    async with server(tmp_path, vendor) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        await talk(socket, 25)
        await socket.leave()
        await it.idle()
    order = [m["status"] for m in socket.messages if isinstance(m, dict) and m["type"] == "service_status"]
    assert order == ["initiating", "in_progress_conversations_processing", "stt_initiating", "ready"]
    assert socket.pings == 3
    (segment,) = socket.segments().values()
    assert segment["text"] == "Hello there."
    assert (segment["start"], segment["end"]) == (0.2, 0.9)
    assert (segment["speaker"], segment["speaker_id"], segment["stt_provider"]) == (
        "SPEAKER_00",
        0,
        "scripted",
    )


async def test_audio_waits_for_a_slow_speech_to_text_and_nothing_is_lost(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    vendor = ScriptedVendor(counted_words(0.5), ready_after=3.0)
    async with server(tmp_path, vendor) as it:
        socket = await it.connect()
        await talk(socket, 5)
        await socket.leave()
        await it.idle()
        ((_, segments),) = await it.conversations()
    assert " ".join(s.text for s in segments).split() == [f"w{n}." for n in range(10)]
    assert list(vendor.samples.values()) == [5 * SAMPLE_RATE]


async def test_a_client_that_only_keeps_alive_stays_and_one_that_says_nothing_is_sent_away(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it:
        quiet, alive = await it.connect(), await it.connect()
        for _ in range(12):
            await trio.sleep(10)
            await alive.say(b"\x8a\x00")
        assert quiet.closed == (1001, "no message for 90 s")
        assert alive.closed is None
        await alive.leave()
        await it.idle()


async def test_a_flush_is_answered_when_all_before_it_is_transcribed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(counted_words(0.5))) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        await socket.say(silence(1.0))
        await socket.say(json.dumps({"type": "flush"}))
        await socket.until_status("flushed")
        assert socket.text() == "w0. w1."
        await socket.leave()
        await it.idle()


async def test_a_client_that_stops_sending_without_leaving_gets_its_last_words(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    script = script_of([word("late.", 0.2, 0.95)])
    async with server(tmp_path, ScriptedVendor(script)) as it:
        socket = await it.connect()
        await socket.say(silence(0.97))
        await socket.until(lambda s: s.text() == "late.")
        assert trio.current_time() < 5
        await socket.leave()
        await it.idle()


async def test_a_client_that_does_not_read_is_dropped_and_its_words_are_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(counted_words(0.5))) as it:
        socket = await it.connect()
        socket.reads = False
        with trio.move_on_after(60):
            await talk(socket, 100)
        await it.idle()
        ((_, segments),) = await it.conversations()
    assert len(" ".join(s.text for s in segments).split()) >= 58


async def test_custom_transcripts_are_merged_kept_and_sent_back_before_any_audio(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path) as it:
        socket = await it.connect(parameters(custom_stt=True))
        await socket.until_status("ready")
        segment = {"text": "Bring milk.", "start": 1.0, "end": 2.0, "is_user": True, "id": "a"}
        await socket.say(
            json.dumps({"type": "suggested_transcript", "stt_provider": "apple", "segments": [segment]})
        )
        await socket.until(lambda s: s.segments())
        changed = segment | {"text": "Bring some milk."}
        await socket.say(
            json.dumps({"type": "suggested_transcript", "stt_provider": "apple", "segments": [changed]})
        )
        await socket.until(lambda s: s.text() == "Bring some milk.")
        await socket.say(silence(1.0))
        await socket.leave()
        await it.idle()
        ((_, segments),) = await it.conversations()
    (kept,) = segments
    assert (kept.text, kept.revision, kept.stt_provider, kept.is_user) == (
        "Bring some milk.",
        2,
        "apple",
        True,
    )


async def test_a_drain_lets_last_words_through_and_closes_with_going_away(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(counted_words(0.5))) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        await socket.say(silence(2.0))
        await trio.testing.wait_all_tasks_blocked()
        it.service.start_drain()
        await it.idle()
        assert socket.text() == "w0. w1. w2. w3."
        assert socket.closed is not None
        assert socket.closed[0] == 1001
        assert socket.statuses("draining")


@pytest.mark.parametrize("times", [1, 3])
async def test_packets_that_are_not_the_codec_are_counted_and_told_once(
    tmp_path: Path, autojump_clock: MockClock, times: int
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it:
        socket = await it.connect(parameters(codec="lc3_fs1030"))
        await socket.until_status("ready")
        for _ in range(50 * times):
            await socket.say(b"\xff" * 31)
        await socket.until_status("audio_undecodable")
        await socket.leave()
        await it.idle()
        assert len(socket.statuses("audio_undecodable")) == 1


async def test_a_call_is_heard_channel_by_channel(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Byte 0 of each message is the channel; each has its own stream, label and owner flag."""
    async with server(tmp_path, ScriptedVendor(script_of([word("Hello.", 0.2, 0.8)]))) as it:
        socket = await it.connect(parameters(channels=2, multi_channel=True, source="phone_call"))
        await socket.until_status("ready")
        for channel in (0, 1, 7):
            await socket.say(bytes([channel]) + silence(1.0))
        await socket.leave()
        await it.idle()
        ((row, segments),) = await it.conversations()
    assert sorted((s.speaker, s.is_user, s.text) for s in segments) == [
        ("SPEAKER_00", True, "Hello."),
        ("SPEAKER_01", False, "Hello."),
    ]
    assert row.timeout_seconds == 14400


async def test_a_client_that_the_server_keeps_waiting_is_not_taken_for_inactive(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    vendor = ScriptedVendor(counted_words(0.5), ready_after=200.0)
    async with server(tmp_path, vendor, session={"spill_minutes": 0}) as it:
        socket = await it.connect()
        with trio.move_on_after(190):
            await talk(socket, 60)
        assert socket.closed is None
        await socket.leave()
        await it.idle()
        ((_, segments),) = await it.conversations()
    words = " ".join(s.text for s in segments).split()
    assert words == [f"w{n}." for n in range(len(words))]
    assert len(words) > 25


async def test_a_client_that_says_too_much_is_made_to_wait_and_nothing_of_it_is_lost(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    asking = json.dumps({"type": "suggested_transcript", "segments": []})
    vendor = ScriptedVendor(script_of([word("Hello.", 0.2, 0.5)]))
    async with server(tmp_path, vendor) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        began = trio.current_time()
        for _ in range(500):
            await socket.say(asking)
        await talk(socket, 1)
        await socket.leave()
        await it.idle()
    notices = [m for m in socket.messages if isinstance(m, dict) and m.get("status") == "notice"]
    assert len(notices) == 500
    assert socket.segments()
    assert trio.current_time() - began >= 300 / 100
