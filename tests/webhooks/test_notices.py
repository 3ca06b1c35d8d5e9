"""What apps tell users by themselves."""

from pathlib import Path

from engine.webhooks.notices import LONGEST, Notices
from engine.wire.messages import ProactiveMessage

from .hosting import NOW, LiveSockets, kept, stored

HELLO = ProactiveMessage("notes", "Notes", "Hello there.")


async def test_live_sessions_are_told_and_nothing_is_kept(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        sockets = LiveSockets("u1")
        assert await Notices(sockets, store.messages, lambda: NOW).tell("u1", HELLO)
        assert sockets.told == [("u1", HELLO)]
        assert await kept(store) == []


async def test_without_a_live_session_it_is_a_message_of_the_apps_chat(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        notices = Notices(LiveSockets("u2"), store.messages, lambda: NOW)
        for _ in range(2):
            assert not await notices.tell("u1", HELLO, id="m1")
        (row,) = await store.messages.history("u1", "notes", 10)
        assert (row.id, row.sender, row.text, row.created_at) == ("m1", "ai", "Hello there.", NOW)
        await notices.keep("u1", None, "x" * (LONGEST + 1), citations=["c1"])
        (row,) = await store.messages.history("u1", None, 10)
        assert (len(row.text), row.citations) == (LONGEST, ["c1"])


async def test_a_user_hears_of_an_endpoint_that_was_turned_off(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        notices = Notices(LiveSockets(), store.messages, lambda: NOW)
        await notices.disabled("u1", "developer", "audio_bytes", "100 failures")
        await notices.disabled("u1", "app:notes", "memory_created", "it answered 410")
        (own,), (of_app,) = await kept(store, None), await kept(store)
        assert "audio_bytes" in own
        assert "100 failures" in own
        assert "memory_created" in of_app
        assert "it answered 410" in of_app
