"""Conversations begin, are resumed, and end after their silence, whoever is connected."""

from pathlib import Path

import trio
from trio.testing import MockClock

from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from tests.listen.harness import parameters, server, silence
from tests.listen.test_session import talk


def word(text: str, start: float, end: float) -> Word:
    return Word(text=text, start=round(start * SAMPLE_RATE), end=round(end * SAMPLE_RATE))


SHORT = parameters(conversation_timeout=2)


async def test_silence_ends_a_conversation_while_the_client_listens(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    script = script_of([word("One.", 0.2, 1.0), word("Two.", 6.0, 7.0)])
    async with server(tmp_path, ScriptedVendor(script)) as it:
        socket = await it.connect(SHORT)
        await talk(socket, 10)
        await socket.leave()
        await it.idle()
        await trio.sleep(3)
        rows = await it.conversations()
    assert [[s.text for s in segments] for _, segments in rows] == [["Two."], ["One."]]
    assert {row.status for row, _ in rows} == {"completed"}
    assert [e["memory"]["transcript_segments"][0]["text"] for e in socket.events("memory_created")] == [
        "One.",
        "Two.",
    ]


async def test_silence_ends_a_conversation_whose_client_left_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([word("Bye.", 0.1, 0.9)]))) as it:
        socket = await it.connect(SHORT)
        await talk(socket, 1)
        await socket.leave()
        await it.idle()
        ended = trio.current_time()
        ((before, _),) = await it.conversations()
        assert before.status == "in_progress"
        await trio.sleep(ended + 2.0 - trio.current_time())
        ((after, segments),) = await it.conversations()
    assert after.status == "completed"
    assert [s.text for s in segments] == ["Bye."]


async def test_a_silence_inside_audio_that_comes_faster_than_time_parts_two_conversations(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    script = script_of([word("One.", 0.2, 1.0), word("Two.", 6.0, 7.0)])
    async with server(tmp_path, ScriptedVendor(script)) as it:
        socket = await it.connect(SHORT)
        await socket.say(silence(8))
        await socket.leave()
        await it.idle()
        await trio.sleep(3)
        rows = await it.conversations()
    assert sorted(s.text for _, segments in rows for s in segments) == ["One.", "Two."]
    assert len(rows) == 2


async def test_a_client_that_comes_back_in_time_goes_on_where_it_was(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([word("Again.", 0.2, 0.8)]))) as it:
        for _ in range(2):
            socket = await it.connect(parameters(conversation_timeout=60))
            await talk(socket, 1)
            await socket.leave()
            await it.idle()
            await trio.sleep(10)
        ((row, segments),) = await it.conversations()
    assert row.status == "in_progress"
    first, second = segments
    assert (first.start, first.end) == (0.2, 0.8)
    assert abs(second.start - (0.2 + 11.0)) < 0.1


async def test_a_stub_in_which_nothing_was_said_is_removed(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it:
        socket = await it.connect(SHORT)
        await talk(socket, 9)
        assert len(await it.conversations()) == 1
        await socket.leave()
        await it.idle()
        await trio.sleep(3)
        assert await it.conversations() == []


async def test_what_an_earlier_process_left_open_ends_at_its_timeout(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([word("Left.", 0.1, 0.9)]))) as it:
        socket = await it.connect(SHORT)
        await talk(socket, 1)
        await socket.until(lambda s: s.segments())
    async with server(tmp_path) as it:
        await trio.sleep(2.1)
        ((row, segments),) = await it.conversations()
    assert row.status == "completed"
    assert [s.text for s in segments] == ["Left."]
