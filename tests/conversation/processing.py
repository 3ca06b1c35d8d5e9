"""A processor at work over a real store, on the virtual clock; only models are the test's."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import trio
import trio.testing
from numpy.typing import NDArray

from engine.config import Config, Conversation
from engine.config import Quota as Limit
from engine.conversation.chat.ports import NoApps, Persona
from engine.conversation.given import Given, transcript_row
from engine.conversation.llm.metrics import NoMeter
from engine.conversation.llm.port import Completion, LlmUnavailable, Message
from engine.conversation.models import Models
from engine.conversation.processor import Processor
from engine.conversation.quota import Quota
from engine.conversation.requests import Requests
from engine.conversation.structured import Extraction, Extractor, Transcript
from engine.metrics import Metrics
from engine.store import ConversationRow, Store
from engine.wire.messages import Segment
from tests.databases import migrated
from tests.listen.harness import inline, wall_clock

TALK = (
    ("SPEAKER_00", True, "I am allergic to peanuts, so please tell the caterer about it."),
    (
        "SPEAKER_01",
        False,
        "I will call the caterer tomorrow and send you the menu for the wedding by Friday.",
    ),
    ("SPEAKER_00", True, "Great, the wedding budget is fine and the caterer knows the venue."),
)
SEGMENTS = tuple(
    Segment(id=f"s{n}", text=text, speaker=speaker, is_user=is_user, start=5.0 * n, end=5.0 * n + 4)
    for n, (speaker, is_user, text) in enumerate(TALK)
)


class Letters:
    """An embedder whose vectors count letters: texts of the same letters are near."""

    model = "letters"
    dimensions = 26

    def __init__(self) -> None:
        self.failures = 0

    async def embed(self, texts: Any) -> NDArray[np.float32]:
        if self.failures:
            self.failures -= 1
            raise LlmUnavailable("nobody there", "connect")
        counts = np.array(
            [[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], np.float32
        )
        unit: NDArray[np.float32] = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return unit


class Planned:
    """An extractor that fails as planned, then does what `extractor` does."""

    def __init__(self, extractor: Extractor, *failures: Exception) -> None:
        self.extractor = extractor
        self.failures = list(failures)
        self.read: list[Transcript] = []

    @property
    def asked(self) -> int:
        return len(self.read)

    async def extract(self, transcript: Transcript) -> Extraction:
        self.read.append(transcript)
        if self.failures:
            raise self.failures.pop(0)
        return await self.extractor.extract(transcript)


class Fixed:
    """An extractor that always finds the same."""

    def __init__(self, found: Extraction) -> None:
        self.found = found

    async def extract(self, transcript: Transcript) -> Extraction:
        await trio.lowlevel.checkpoint()
        return self.found


class TestModels(Models):
    """With an extractor and an embedder of the test's."""

    __test__ = False

    def __init__(self, extractor: Any = None, embedder: Any = None) -> None:
        config = Config()
        super().__init__(config.llm, config.embedding, inline, NoMeter())
        self.embedder = embedder
        self._extractor = extractor
        self.plain = self._counted = Planned(self.plain)

    @property
    def extractor(self) -> Extractor:
        return self._extractor or self.plain

    @property
    def plain_asked(self) -> int:
        return self._counted.asked


async def left(store: Store) -> ConversationRow:
    """Ada's, given to a process that does nothing with it."""
    row = transcript_row(wall_clock(), "ada", SEGMENTS, Given())
    assert await store.processing.begin(row, SEGMENTS, {})
    return row


class Poet(NoApps):
    """An app that everybody has enabled."""

    def __init__(self) -> None:
        self.asked_always = False

    async def prompts(self, uid: str) -> Sequence[Persona]:
        poet = await self.prompt(uid, "poet")
        return [poet] if poet and self.asked_always else []

    async def prompt(self, uid: str, app_id: str) -> Persona | None:
        return Persona(app_id="poet", name="Poet", prompt="Make a rhyme.") if app_id == "poet" else None


class Rhymes:
    """A language model that says what it was asked last."""

    context_tokens = 8000

    async def complete(self, messages: Sequence[Message], **options: Any) -> Completion:
        await trio.lowlevel.checkpoint()
        return Completion(text=f"Rhyme: {messages[-1].content}")


class Silent(Rhymes):
    """A language model that has nothing to say."""

    async def complete(self, messages: Sequence[Message], **options: Any) -> Completion:
        await trio.lowlevel.checkpoint()
        return Completion(text="")


class Site:
    """A processor at work over a real store."""

    def __init__(self, store: Store, models: "TestModels", metrics: Metrics, **settings: Any) -> None:
        self.store = store
        self.models = models
        self.metrics = metrics
        self.done: list[tuple[str, str]] = []
        self.poet = Poet()
        quota = Quota(settings.pop("quota", Limit()), store.usage, wall_clock)
        self.processor = Processor(
            store, models, Conversation(**settings), wall_clock, metrics, quota, apps=self.poet
        )
        self.processor.when_done(self._told)
        self.requests = Requests(store, self.processor, wall_clock, 10_000.0)

    async def _told(self, uid: str, id: str) -> None:
        self.done.append((uid, id))

    async def given(self, uid: str = "ada", **fields: Any) -> ConversationRow:
        """A conversation of `SEGMENTS` that has just ended."""
        return await self.requests.from_segments(uid, SEGMENTS, **fields)

    async def finished(self, row: ConversationRow) -> ConversationRow:
        self.processor.wake()
        await self.processor.wait(row.uid, row.id, 10_000)
        await trio.testing.wait_all_tasks_blocked()
        return await self.row(row)

    async def row(self, row: ConversationRow) -> ConversationRow:
        found = await self.store.conversations.get(row.uid, row.id)
        assert found is not None
        return found


@asynccontextmanager
async def site(
    folder: Path, extractor: Any = None, embedder: Any = None, **settings: Any
) -> AsyncIterator[Site]:
    store = await Store.open(migrated(folder), inline, now=wall_clock)
    async with trio.open_nursery() as nursery:
        it = Site(store, TestModels(extractor, embedder), Metrics(), **settings)
        await nursery.start(it.processor.run)
        yield it
        nursery.cancel_scope.cancel()
    await store.close()


class Held(Planned):
    """An extractor that waits."""

    def __init__(self, extractor: Extractor) -> None:
        super().__init__(extractor)
        self.begun, self.go = trio.Event(), trio.Event()

    async def extract(self, transcript: Transcript) -> Extraction:
        self.begun.set()
        await self.go.wait()
        return await super().extract(transcript)
