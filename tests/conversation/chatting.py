"""A chat over a real store, with a model and an embedding model behind real sockets."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from engine._config_models import Chat as Settings
from engine.config import Embedding
from engine.conversation.chat.answering import Chat
from engine.conversation.chat.ports import AppTools, Persona
from engine.conversation.chat.reply import ChatDone, ChatEvent, ChatText, ChatThought, Kept
from engine.conversation.chat.search import StoreSearch
from engine.conversation.embedding.openai import OpenAiEmbedder
from engine.conversation.embedding.port import Embedder
from engine.conversation.llm.port import Llm
from engine.store import SegmentsChanged, Store
from engine.store.records import COMPLETED, ConversationRow
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vector_records import VectorKind, VectorRow
from engine.testing import LlmFaultPlan, LlmMishap, LlmRequest, OpenAiStandIn, Reply, SaidCall, Wrong
from engine.wire.messages import Segment
from tests.conversation.models import CountingMeter, asked
from tests.web.serving import T0, open_store

DAY = 86_400_000_000
EMBEDDING = Embedding(provider="openai", dimensions=64)


class Clock:
    """Every look at it is a second later."""

    def __init__(self) -> None:
        self.now = T0 + 10 * DAY

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now


class SomeModels:
    def __init__(self, llm: Llm | None, embedder: Embedder | None) -> None:
        self.llm = llm
        self.embedder = embedder


class Talk:
    """A chat, and what was said in its last answer."""

    def __init__(
        self, chat: Chat, store: Store, embedder: Embedder, meter: CountingMeter, embedding: OpenAiStandIn
    ) -> None:
        self.chat = chat
        self.store = store
        self.llm: Llm | None = None
        self.embedder = embedder
        self.meter = meter
        self.events: list[ChatEvent] = []
        self._embedding = embedding

    def fail_embedding(self) -> None:
        """From now on the embedding model does not answer."""
        self._embedding.follow(LlmFaultPlan(always=LlmMishap(wrong=Wrong.STATUS, status=401)))

    async def ask(self, text: str, uid: str = "alice", persona: Persona | None = None) -> Kept:
        self.events.clear()
        await self.chat.answer(uid, text, persona, self._say)
        last = self.events[-1]
        assert isinstance(last, ChatDone)
        assert (
            "".join(event.text for event in self.events if isinstance(event, ChatText))
            == last.answer.row.text
        )
        return last.answer

    @property
    def thoughts(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, ChatThought)]

    async def _say(self, event: ChatEvent) -> None:
        await trio.lowlevel.checkpoint()
        self.events.append(event)

    async def keep(
        self, id: str, title: str, *said: str, uid: str = "alice", days: int = 1, **more: Any
    ) -> None:
        """A conversation, `days` before now, with its vector."""
        at = T0 + (10 - days) * DAY
        times: dict[str, Any] = {"created_at": at, "started_at": at, "finished_at": at, "last_speech_at": at}
        labels = {name: more.pop(name, []) for name in ("people", "topics")}
        structured = {"title": title, "overview": more.pop("overview", title), "emoji": "⛵"}
        row = ConversationRow(
            uid=uid,
            id=id,
            status=COMPLETED,
            timeout_seconds=120,
            structured=structured,
            labels=labels,
            **times,
            **more,
        )
        await self.store.conversations.create(row)
        spoken = tuple(
            Segment(id=f"{id}{n}", text=text, start=float(n), end=n + 1.0) for n, text in enumerate(said)
        )
        await self.store.conversations.apply([SegmentsChanged(uid, id, spoken, at, at)])
        await self.store.texts.index(uid, id)
        await self._embed(uid, "conversation", id, " ".join([title, *said]), **labels)

    async def know(
        self, id: str, content: str, uid: str = "alice", people: Sequence[str] = (), **more: Any
    ) -> None:
        row = MemoryRow(uid=uid, id=id, content=content, created_at=T0, updated_at=T0, **more)
        await self.store.memories.put(row)
        await self._embed(uid, "memory", id, content, people)

    async def todo(
        self, id: str, description: str, uid: str = "alice", people: Sequence[str] = (), **more: Any
    ) -> None:
        row = ActionItemRow(uid=uid, id=id, description=description, created_at=T0, updated_at=T0, **more)
        await self.store.action_items.put(row)
        await self._embed(uid, "action_item", id, description, people)

    async def _embed(
        self,
        uid: str,
        kind: VectorKind,
        id: str,
        text: str,
        people: Sequence[str] = (),
        topics: Sequence[str] = (),
    ) -> None:
        (vector,) = await self.embedder.embed([text])
        row = VectorRow(
            uid=uid,
            kind=kind,
            id=id,
            model=self.embedder.model,
            created_at=T0,
            vector=vector,
            people=tuple(people),
            topics=tuple(topics),
        )
        await self.store.vectors.upsert_vector(row)


@asynccontextmanager
async def chatting(
    data_dir: Path,
    standin: OpenAiStandIn | None = None,
    *,
    apps: AppTools | None = None,
    settings: Settings | None = None,
    with_embedder: bool = True,
    small: bool = False,
    **changes: Any,
) -> AsyncIterator[Talk]:
    """A chat with the model `standin`, or with none."""
    async with AsyncExitStack() as stack:
        embedding = OpenAiStandIn()
        embedder_of = await stack.enter_async_context(asked(embedding, retries=0))
        embedder = OpenAiEmbedder(embedder_of.server, EMBEDDING)
        meter, llm = CountingMeter(), None
        if standin is not None:
            model = await stack.enter_async_context(asked(standin, **changes))
            meter, llm = model.meter, model.llm
        store = await open_store(data_dir)
        stack.push_async_callback(store.close)
        models = SomeModels(llm, embedder if with_embedder else None)
        chat = Chat(
            messages=store.messages,
            users=store.users,
            search=StoreSearch(store, models),
            models=models,
            settings=settings or Settings(),
            now=Clock(),
            small=small,
            apps=apps,
            meter=meter,
        )
        yield Talk(chat, store, embedder, meter, embedding)


class Model:
    """Answers of a model in a chat: what it needs, then what it says in each of its turns."""

    def __init__(self, *turns: Reply, need: dict[str, Any] | str | None = None) -> None:
        self.turns = list(turns)
        self.need = need
        self.seen: list[LlmRequest] = []

    def __call__(self, request: LlmRequest) -> Reply:
        if request.schema is not None:
            if isinstance(self.need, str):
                return Reply(self.need)
            return Reply(msgspec.json.encode(NEEDS | (self.need or {})).decode())
        self.seen.append(request)
        return self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]


NEEDS: dict[str, Any] = {
    "needs_context": True,
    "question": "When is the boat trip?",
    "people": [],
    "topics": [],
    "start": None,
    "end": None,
}


def calls(name: str, **arguments: Any) -> Reply:
    """A reply that is a tool call."""
    return Reply(calls=(SaidCall(name, msgspec.json.encode(arguments).decode()),))
