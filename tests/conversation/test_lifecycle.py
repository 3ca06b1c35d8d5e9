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


async def test_posting_ends_a_conversation_at_once_with_all_that_was_said(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([word("Now.", 0.1, 0.95)]))) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        await socket.say(silence(0.96))
        await trio.testing.wait_all_tasks_blocked()
        row = await it.lifecycle.finish("ada")
        assert row is not None
        assert row.status == "completed"
        assert [s.text for s in await it.store.conversations.segments("ada", row.id)] == ["Now."]
        assert await it.lifecycle.finish("ada") is None
        assert len({e["conversation_id"] for e in socket.events("conversation_session")}) == 2
        await socket.leave()
        await it.idle()


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


async def test_deleting_the_conversation_in_progress_begins_a_new_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    script = script_of([word("Forget.", 0.1, 0.9), word("Keep.", 2.1, 2.9)])
    async with server(tmp_path, ScriptedVendor(script)) as it:
        socket = await it.connect()
        await talk(socket, 1.2)
        (first,) = socket.events("conversation_session")
        assert await it.lifecycle.delete("ada", first["conversation_id"])
        await talk(socket, 2)
        await socket.leave()
        await it.idle()
        ((_, segments),) = await it.conversations()
    assert [s.text for s in segments] == ["Keep."]


async def test_who_waits_for_a_conversation_to_end_is_told_when_it_is_deleted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    vendor = ScriptedVendor(script_of([word("Gone.", 0.1, 0.9)]), ready_after=5.0)
    ended: list[object] = []
    async with server(tmp_path, vendor) as it:
        socket = await it.connect()
        await talk(socket, 1)  # which waits for speech to text, and so does who ends the conversation
        (first,) = socket.events("conversation_session")
        async with trio.open_nursery() as nursery:

            async def finish() -> None:
                ended.append(await it.lifecycle.finish("ada"))

            nursery.start_soon(finish)
            await trio.testing.wait_all_tasks_blocked()
            assert await it.lifecycle.delete("ada", first["conversation_id"])
        await socket.leave()
        await it.idle()
        ((row, _),) = await it.conversations()
    assert ended == [None]
    assert row.id != first["conversation_id"]


async def test_a_conversation_that_was_to_be_deleted_is_gone_also_when_nobody_waits_for_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([word("Gone.", 0.1, 0.9)]))) as it:
        socket = await it.connect()
        await talk(socket, 1)
        (first,) = socket.events("conversation_session")
        with trio.CancelScope() as impatient:
            impatient.cancel()
            await it.lifecycle.delete("ada", first["conversation_id"])
        await socket.leave()
        await it.idle()
        await trio.testing.wait_all_tasks_blocked()
        ids = {row.id for row, _ in await it.conversations()}
    assert first["conversation_id"] not in ids
