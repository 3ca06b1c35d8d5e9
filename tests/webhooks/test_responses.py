"""What is done about what endpoints answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Apps
from engine.store import Store
from engine.store.webhook_records import DeliveryRow
from engine.webhooks.notices import LONGEST, Notices
from engine.webhooks.ports import Endpoint
from engine.webhooks.responses import NOTIFY, Responses
from engine.webhooks.triggers import Trigger

from .hosting import NOW, LiveSockets, add_app, kept, stored

ASKED = {
    "prompt": "Help {{user_name}}.",
    "params": ["user_name", 7, "user_facts"],
    "context": {"question": "the trip", "filters": {"people": ["Ann"], "topics": None, "entities": ["x"]}},
}


class Listening:
    """Acts on the answers of an app and of a user's own endpoint."""

    def __init__(self, store: Store, sockets: LiveSockets, **limits: Any) -> None:
        self.store = store
        self.sockets = sockets
        self.woken = 0
        notices = Notices(sockets, store.messages, lambda: NOW)
        self.responses = Responses(store.app_registry, notices, store.jobs, Apps(**limits), self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def answered(
        self,
        said: Any,
        *,
        name: str = "app:notes",
        trigger: Trigger = "realtime_transcript",
        delivery: str = "d1",
        status: int = 200,
        body: bytes = b"{}",
    ) -> None:
        endpoint = Endpoint(uid="u1", name=name, trigger=trigger, url="https://app.example/hook")
        row = DeliveryRow(uid="u1", id=delivery, endpoint=name, trigger=trigger, body=body, created_at=NOW)
        text = said if isinstance(said, bytes) else msgspec.json.encode(said)
        await self.responses.answered(endpoint, row, status, text)


@asynccontextmanager
async def listening(folder: Path, *live: str, **limits: Any) -> AsyncIterator[Listening]:
    async with stored(folder) as store:
        await add_app(store, capabilities=["external_integration", "proactive_notification"])
        yield Listening(store, LiveSockets(*live), **limits)


async def test_a_message_about_live_speech_reaches_live_sessions(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1") as it:
        await it.answered({"message": " Slow down. "})
        ((uid, told),) = it.sockets.told
        assert (uid, told.app_id, told.title, told.message) == ("u1", "notes", "App notes", "Slow down.")
        assert await kept(it.store) == []


async def test_without_one_it_is_kept_once_however_often_it_is_acted_upon(tmp_path: Path) -> None:
    async with listening(tmp_path) as it:
        for _ in range(2):
            await it.answered({"message": "Slow down."})
        await it.answered({"message": "Go on now."}, delivery="d2")
        assert sorted(await kept(it.store)) == ["Go on now.", "Slow down."]


async def test_a_users_own_endpoint_may_say_something_too(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1") as it:
        await it.answered({"message": "Slow down.", "notification": ASKED}, name="developer")
        ((_, told),) = it.sockets.told
        assert (told.app_id, told.title) == ("", "Webhook")
        await it.answered({"message": "Slow down."}, name="developer", trigger="memory_created")
        assert len(it.sockets.told) == 1
        assert await it.store.jobs.find("u1", NOTIFY, "d1") is None


async def test_an_app_that_was_told_of_a_conversation_writes_into_its_chat(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1") as it:
        await it.answered({"message": "Noted"}, trigger="memory_created", body=b'{"id": "c1", "x": [1]}')
        assert it.sockets.told == []
        (row,) = await it.store.messages.history("u1", "notes", 10)
        assert (row.text, row.citations) == ("Noted", ["c1"])
        await it.answered({"message": "Again"}, trigger="memory_created", delivery="d2", body=b"no JSON")
        assert await kept(it.store) == ["Again", "Noted"] or await kept(it.store) == ["Noted", "Again"]


@pytest.mark.parametrize("message", ["", "short", "     ", None, 7, ["long enough"]])
async def test_what_is_no_message_is_ignored(tmp_path: Path, message: Any) -> None:
    async with listening(tmp_path, "u1") as it:
        await it.answered({"message": message})
        assert it.sockets.told == []


async def test_only_an_answer_of_200_to_words_counts(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1") as it:
        for status in (201, 204, 500):
            await it.answered({"message": "Slow down."}, status=status)
        for trigger in ("audio_bytes", "day_summary"):
            await it.answered({"message": "Slow down."}, trigger=trigger)
        assert it.sockets.told == []
        assert await kept(it.store) == []


async def test_an_app_that_its_user_has_disabled_is_not_heard(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1") as it:
        await it.store.apps.disable("u1", "notes")
        await it.answered({"message": "Slow down.", "notification": ASKED})
        assert it.sockets.told == []
        assert it.woken == 0


async def test_of_too_many_messages_some_are_dropped(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1", answers_per_minute=2) as it:
        for number in range(5):
            await it.answered({"message": f"Message {number}"}, delivery=f"d{number}")
        assert [told.message for _, told in it.sockets.told] == ["Message 0", "Message 1"]
        await it.answered({"message": "Something else"}, name="developer", delivery="d9")
        assert len(it.sockets.told) == 3


async def test_a_notification_is_written_by_a_model_later_and_once(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1") as it:
        await it.answered({"notification": ASKED})
        job = await it.store.jobs.find("u1", NOTIFY, "d1")
        assert job is not None
        assert job.payload == {
            "app_id": "notes",
            "prompt": "Help {{user_name}}.",
            "params": ["user_name", "user_facts"],
            "question": "the trip",
            "people": ["Ann"],
            "topics": [],
        }
        assert it.woken == 1
        await it.answered({"notification": ASKED}, delivery="d2")  # within apps.prompt_pause
        assert await it.store.jobs.find("u1", NOTIFY, "d2") is None
        assert it.sockets.told == []


async def test_an_app_without_the_capability_has_nothing_written(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        await add_app(store, capabilities=["external_integration"])
        it = Listening(store, LiveSockets("u1"))
        await it.answered({"notification": ASKED})
        assert await store.jobs.find("u1", NOTIFY, "d1") is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


SAID = st.fixed_dictionaries({}, optional={"message": ANYTHING, "notification": ANYTHING})


@settings(max_examples=5, deadline=None)
@given(answers=st.lists(st.binary(max_size=60) | SAID.map(msgspec.json.encode), max_size=50))
async def test_whatever_is_answered_nothing_breaks(answers: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        async with listening(Path(folder), "u1", prompt_pause=1e-6) as it:
            for number, said in enumerate(answers):
                await it.answered(said, delivery=f"d{number}")
                await it.answered(said, delivery=f"c{number}", trigger="memory_created", body=said)
            assert len(it.sockets.told) <= len(answers), "what is about a conversation goes to the chat"
            assert all(0 < len(told.message) <= LONGEST for _, told in it.sockets.told)


async def test_a_long_message_is_cut(tmp_path: Path) -> None:
    async with listening(tmp_path, "u1") as it:
        await it.answered({"message": "x" * 2 * LONGEST})
        await it.answered(b'{"message": "' + b"[" * 5000)
        ((_, told),) = it.sockets.told
        assert len(told.message) == LONGEST
