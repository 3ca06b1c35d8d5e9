"""What sessions and REST ask of conversations in progress: end one, delete one, be told."""

from pathlib import Path

import trio
from trio.testing import MockClock

from engine.conversation.llm.port import LlmRefused
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from tests.conversation.processing import Planned
from tests.listen.harness import parameters, server, silence
from tests.listen.test_session import talk


def word(text: str, start: float, end: float) -> Word:
    return Word(text=text, start=round(start * SAMPLE_RATE), end=round(end * SAMPLE_RATE))


SHORT = parameters(conversation_timeout=2)


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


async def test_a_conversation_that_could_not_be_processed_is_told_of_with_the_reason(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([word("Hello.", 0.1, 0.9)]))) as it:
        socket = await it.connect()
        await talk(socket, 1.2)
        refused = LlmRefused("the key is not accepted", "auth")
        it.models.plain = Planned(it.models.plain, refused)
        row = await it.lifecycle.finish("ada")
        assert row is not None
        assert (row.status, row.failure) == ("failed", "the key is not accepted")
        await socket.until(lambda socket: socket.events("memory_created"))
        (told,) = socket.events("memory_created")
        assert (told["memory"]["id"], told["memory"]["status"]) == (row.id, "failed")
        assert len(socket.events("memory_processing_started")) == 1
        await socket.leave()
        await it.idle()


async def test_events_carry_what_was_made_of_the_conversation(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = [
        word(w, 0.1 * n, 0.1 * n + 0.1)
        for n, w in enumerate(["I", "will", "call", "the", "lawyer", "tomorrow."])
    ]
    async with server(tmp_path, ScriptedVendor(script_of(said))) as it:
        socket = await it.connect()
        await talk(socket, 2)
        row = await it.lifecycle.finish("ada")
        assert row is not None
        await socket.until(lambda socket: socket.events("memory_processing_started"))
        (started,) = socket.events("memory_processing_started")
        assert (started["memory"]["status"], started["memory"]["structured"]["title"]) == ("processing", "")
        await socket.until(lambda socket: socket.events("memory_created"))
        (made,) = socket.events("memory_created")
        assert made["memory"]["status"] == "completed"
        (item,) = made["memory"]["structured"]["action_items"]
        assert "lawyer" in item["description"]
        assert item["due_at"] is not None
        await socket.leave()
        await it.idle()
