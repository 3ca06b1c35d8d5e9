"""Notifications that a model writes for apps."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.config import Embedding
from engine.config import Llm as Settings
from engine.conversation.chat.search import StoreSearch
from engine.conversation.llm.metrics import NoMeter
from engine.conversation.llm.port import Completion, LlmAnswerError, LlmUnavailable, Message
from engine.conversation.models import Models
from engine.off_loop import worker_threads
from engine.store import Store
from engine.store.database import wall_clock
from engine.store.jobs import Job
from engine.store.user_records import MemoryRow, MessageRow
from engine.webhooks.notices import Notices
from engine.webhooks.prompted import LATEST, PromptedNotifications
from engine.webhooks.responses import NOTIFY
from tests.web.serving import add, row

from .hosting import LiveSockets, add_app, kept, stored

ALL = ["user_name", "user_facts", "user_context", "user_chat"]
SCENE = "I am {{user_name}}. Facts: {{user_facts}} Before: {{user_context}} Chat: {{user_chat}} {{other}}"


class Writing:
    """A language model that says what it is told to, and remembers what it was asked."""

    context_tokens = 8000

    def __init__(self) -> None:
        self.says: str | Exception = "Take a break."
        self.asked: list[str] = []

    async def complete(self, messages: Sequence[Message], **options: Any) -> Completion:
        await trio.lowlevel.checkpoint()
        self.asked.append(str(messages[-1].content))
        if isinstance(self.says, Exception):
            raise self.says
        return Completion(text=self.says)


class Site:
    """What a job of an app's is done with."""

    def __init__(
        self, store: Store, model: Writing, sockets: LiveSockets, work: PromptedNotifications
    ) -> None:
        self.store = store
        self.model = model
        self.sockets = sockets
        self.work = work

    async def do(self, *, age: int = 0, **payload: Any) -> str:
        """Have a notification written; the outcome."""
        asked = {
            "app_id": "notes",
            "prompt": SCENE,
            "params": ALL,
            "question": "",
            "people": [],
            "topics": [],
        }
        assert await self.store.jobs.add("u1", NOTIFY, "d1", {**asked, **payload})
        (job,) = await self.store.jobs.claim("me", [NOTIFY], 30.0, 1)
        job = Job(
            **{name: getattr(job, name) for name in job.__struct_fields__}
            | {"created_at": job.created_at - age}
        )
        outcome = await self.work.do(job)
        assert await self.store.jobs.find("u1", NOTIFY, "d1") is None
        return outcome


@asynccontextmanager
async def at_work(folder: Path, *live: str, **fields: Any) -> AsyncIterator[Site]:
    async with stored(folder) as store:
        app = {"capabilities": ["proactive_notification"], "scopes": ALL, **fields}
        await add_app(store, **app)
        models = Models(Settings(), Embedding(provider="off"), worker_threads(1), NoMeter())
        models.llm = model = Writing()  # type: ignore[assignment]
        sockets = LiveSockets(*live)
        notices = Notices(sockets, store.messages, wall_clock)
        search = StoreSearch(store, models)
        work = PromptedNotifications(store, store.app_registry, models, search, notices, wall_clock)
        yield Site(store, model, sockets, work)


async def test_what_the_model_writes_is_what_the_user_is_told(tmp_path: Path) -> None:
    async with at_work(tmp_path, "u1") as it:
        assert await it.do(prompt="Say something kind.") == "completed"
        ((uid, told),) = it.sockets.told
        assert (uid, told.app_id, told.title, told.message) == ("u1", "notes", "App notes", "Take a break.")
        assert it.model.asked == ["Say something kind."]


async def test_without_a_live_session_it_is_kept_once(tmp_path: Path) -> None:
    async with at_work(tmp_path) as it:
        for _ in range(2):
            assert await it.do(prompt="Say something kind.") == "completed"
        assert await kept(it.store) == ["Take a break."]


async def test_the_users_data_is_filled_in(tmp_path: Path) -> None:
    async with at_work(tmp_path, "u1") as it:
        store = it.store
        await store.users.change("u1", {"name": "Ada"})
        for id, locked in (("m1", False), ("m2", True)):
            fact = MemoryRow(
                uid="u1", id=id, content=f"Fact {id}.", created_at=1, updated_at=1, is_locked=locked
            )
            await store.memories.put(fact)
        await store.messages.put(
            MessageRow(uid="u1", id="x", app_id="notes", sender="human", text="Hi!", created_at=1)
        )
        said = {"title": "Sailing", "overview": "The trip to the sea."}
        await add(store, row("c1", uid="u1", structured=said))
        assert await it.do(question="") == "completed"
        assert it.model.asked == ["I am Ada. Facts: - Fact m1. Before:  Chat: human: Hi! {{other}}"]


async def test_only_what_is_asked_for_and_allowed_is_filled_in(tmp_path: Path) -> None:
    async with at_work(tmp_path, scopes=["user_name"]) as it:
        await it.store.users.change("u1", {"name": "{{user_facts}}"})
        await it.do(params=["user_name", "user_facts"])
        (asked,) = it.model.asked
        assert asked.startswith("I am {{user_facts}}. Facts: {{user_facts}}")
    async with at_work(tmp_path / "2", scopes=ALL) as it:
        await it.do(params=[])
        assert it.model.asked == [SCENE]


@pytest.mark.parametrize("says", ["", "No.", LlmAnswerError("empty", "unusable")])
async def test_a_model_that_has_nothing_to_say_says_nothing(tmp_path: Path, says: str | Exception) -> None:
    async with at_work(tmp_path, "u1") as it:
        it.model.says = says
        assert await it.do() == "nothing"
        assert it.sockets.told == []


async def test_a_model_that_cannot_be_asked_now_is_asked_later(tmp_path: Path) -> None:
    async with at_work(tmp_path, "u1") as it:
        it.model.says = LlmUnavailable("busy", "overloaded")
        assert await it.store.jobs.add("u1", NOTIFY, "d1", {"app_id": "notes", "prompt": "x"})
        (job,) = await it.store.jobs.claim("me", [NOTIFY], 30.0, 1)
        with pytest.raises(LlmUnavailable):
            await it.work.do(job)
        assert await it.store.jobs.find("u1", NOTIFY, "d1") is not None
        await it.work.give_up(job, "busy")
        await it.work.after(job)
        assert await it.store.jobs.find("u1", NOTIFY, "d1") is None
        assert it.sockets.told == []


async def test_what_is_too_late_or_not_wanted_any_more_is_not_written(tmp_path: Path) -> None:
    async with at_work(tmp_path, "u1") as it:
        assert await it.do(age=LATEST + 1) == "late"
        assert await it.do(app_id="other") == "gone"
        await it.store.apps.disable("u1", "notes")
        assert await it.do() == "gone"
        assert it.model.asked == []
    async with at_work(tmp_path / "2", "u1", capabilities=["chat"]) as it:
        assert await it.do() == "gone"
