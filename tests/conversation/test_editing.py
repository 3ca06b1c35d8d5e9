"""Edits of a conversation that goes on, with scripted words on the virtual clock."""

from pathlib import Path

from trio.testing import MockClock

from engine.store.edits import SegmentEdit, Speaker
from engine.testing import ScriptedVendor, script_of
from tests.listen.harness import Server, parameters, server
from tests.listen.test_session import talk, word

HEARD = [word("We meat", 0.1, 0.9), word("again.", 2.1, 2.9)]


async def said(it: Server) -> list[tuple[str, int, bool]]:
    ((_, segments),) = await it.conversations()
    return [(segment.text, segment.revision, segment.is_user) for segment in segments]


async def test_what_is_said_next_is_joined_to_the_edited_words(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(HEARD))) as it:
        socket = await it.connect()
        await talk(socket, 1.2)
        await socket.until(lambda s: s.segments())
        ((row, (segment,)),) = await it.conversations()
        edit = SegmentEdit(ids=(segment.id,), text="We meet", speaker=Speaker(is_user=True))
        assert await it.lifecycle.edit_live("ada", row.id, edit) == []
        assert await said(it) == [("We meet", 2, True)]
        await talk(socket, 2)
        await socket.until(lambda s: "again" in s.text())
        assert socket.text() == "We meet again."
        assert await said(it) == [("We meet again.", 3, True)]
        await socket.leave()
        await it.idle()


async def test_a_segment_that_is_not_there_leaves_all_as_it_is(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(HEARD))) as it:
        socket = await it.connect()
        await talk(socket, 1.2)
        await socket.until(lambda s: s.segments())
        ((row, (segment,)),) = await it.conversations()
        edit = SegmentEdit(ids=(segment.id, "gone"), text="No.")
        assert await it.lifecycle.edit_live("ada", row.id, edit) == ["gone"]
        assert await said(it) == [("We meat", 1, False)]
        assert await it.lifecycle.edit_live("bob", row.id, edit) is None
        await socket.leave()
        await it.idle()


async def test_once_it_has_ended_nobody_holds_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(HEARD[:1]))) as it:
        socket = await it.connect(parameters(conversation_timeout=2))
        await talk(socket, 1.2)
        await socket.until(lambda s: s.segments())
        ((row, (segment,)),) = await it.conversations()
        await socket.leave()
        await it.idle()
        await it.lifecycle.finish("ada")
        assert await it.lifecycle.edit_live("ada", row.id, SegmentEdit(ids=(segment.id,), text="No.")) is None
