"""Conversations that have ended are processed: by a job that is done once, whatever goes wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import trio
import trio.testing
from numpy.typing import NDArray
from trio.testing import MockClock

from engine.config import Config, Conversation
from engine.conversation.given import create_from_segments, create_from_text
from engine.conversation.llm import LlmRefused, LlmUnavailable
from engine.conversation.llm_metrics import NoMeter
from engine.conversation.models import Models
from engine.conversation.processor import Processor
from engine.conversation.structured import Extraction, Extractor, Memory, Structured, Transcript
from engine.metrics import Metrics
from engine.store import ConversationRow, Store
from engine.store.jobs import PROCESS
from engine.wire.messages import Segment
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
        self.asked = 0

    async def extract(self, transcript: Transcript) -> Extraction:
        self.asked += 1
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

    @property
    def extractor(self) -> Extractor:
        return self._extractor or self.plain


class Site:
    """A processor at work over a real store."""

    def __init__(self, store: Store, models: Models, metrics: Metrics, **settings: Any) -> None:
        self.store = store
        self.metrics = metrics
        self.done: list[tuple[str, str]] = []
        self.processor = Processor(store, models, Conversation(**settings), wall_clock, metrics)
        self.processor.when_done(self._told)

    async def _told(self, uid: str, id: str) -> None:
        self.done.append((uid, id))

    async def given(self, uid: str = "ada", **fields: Any) -> ConversationRow:
        """A conversation of `SEGMENTS` that has just ended."""
        return await create_from_segments(self.store.processing, wall_clock, uid, SEGMENTS, **fields)

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
    store = await Store.open(folder, inline, now=wall_clock)
    async with trio.open_nursery() as nursery:
        it = Site(store, TestModels(extractor, embedder), Metrics(), **settings)
        await nursery.start(it.processor.run)
        yield it
        nursery.cancel_scope.cancel()
    await store.close()


async def test_a_conversation_becomes_title_overview_items_memories_and_vectors(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, embedder=Letters()) as it:
        row = await it.given()
        assert row.status == "processing"
        done = await it.finished(row)
        assert (done.status, done.processing_version, done.discarded) == ("completed", 1, False)
        assert done.structured["title"]
        assert done.structured["overview"]
        assert "action_items" not in done.structured
        items = await it.store.action_items.of_conversation("ada", row.id)
        assert any("caterer" in item.description for item in items)
        assert any(item.due_at is not None for item in items)
        (memory,) = await it.store.memories.list("ada")
        assert "peanuts" in memory.content
        assert memory.conversation_id == row.id
        (vector,) = await Letters().embed(["caterer wedding"])
        for kind, ids in (
            ("conversation", {row.id}),
            ("memory", {memory.id}),
            ("action_item", {item.id for item in items}),
        ):
            hits = await it.store.vectors.query_vectors("ada", kind, "letters", vector, 10)  # type: ignore[arg-type]
            assert {hit.id for hit in hits} == ids
        assert await it.store.jobs.find("ada", PROCESS, row.id) is None
        assert it.done == [("ada", row.id)]
        (hour,) = await it.store.usage.read("ada")
        assert hour.conversations == 1


async def test_a_text_becomes_a_conversation_by_the_same_path(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    text = "Anna: I will send the contract to the lawyer by Monday.\nBen: Good, the contract is urgent."
    async with site(tmp_path) as it:
        row = await create_from_text(it.store.processing, wall_clock, "ada", text)
        done = await it.finished(row)
        assert done.status == "completed"
        (item,) = await it.store.action_items.of_conversation("ada", row.id)
        assert "contract" in item.description
        assert done.external_data == {
            "text": text,
            "text_source": "audio_transcript",
            "text_source_spec": None,
        }


async def test_without_an_embedder_it_is_completed_without_vectors(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        done = await it.finished(await it.given())
        assert done.status == "completed"
        assert await it.store.jobs.next_due(["process", "index"]) is None


async def test_what_a_service_that_is_away_does_not_do_is_tried_again_later(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    away = LlmUnavailable("nobody there", "connect", retry_after=7.0)
    planned = Planned(TestModels().plain, away, away, RuntimeError("never mind what was said"))
    async with site(tmp_path, planned, claim_time=3.0, retry_limit=60.0) as it:
        began = trio.current_time()
        done = await it.finished(await it.given())
        assert done.status == "completed"
        assert planned.asked == 4
        assert trio.current_time() - began >= 14
        assert len(it.done) == 1


async def test_what_never_works_has_failed_with_a_reason_and_can_be_processed_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    planned = Planned(TestModels().plain, LlmRefused("the key is not accepted", "auth"))
    async with site(tmp_path, planned) as it:
        failed = await it.finished(await it.given())
        assert (failed.status, failed.failure) == ("failed", "the key is not accepted")
        assert it.processor.statistics().failed == 1
        (job,) = await it.store.jobs.list_failed("ada")
        assert job.key == failed.id
        again = await it.store.processing.again("ada", failed.id, {"force": True}, ["completed", "failed"])
        assert again is not None
        done = await it.finished(again)
        assert (done.status, done.failure, done.processing_version) == ("completed", None, 1)
        assert await it.store.jobs.list_failed("ada") == []


async def test_an_error_nobody_foresaw_is_no_reason_to_show_what_was_said(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    planned = Planned(TestModels().plain, *[RuntimeError("a secret")] * 2)
    async with site(tmp_path, planned, tries=2) as it:
        failed = await it.finished(await it.given())
        assert (failed.status, failed.failure) == ("failed", "internal error: RuntimeError")


async def test_vectors_that_cannot_be_had_are_left_out_at_the_last_try(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    letters = Letters()
    letters.failures = 2
    async with site(tmp_path, embedder=letters, tries=2) as it:
        done = await it.finished(await it.given())
        assert done.status == "completed"
        items = await it.store.action_items.of_conversation("ada", done.id)
        assert await it.store.jobs.next_due(["index"]) is not None, "those that can be made later, are"
        assert items


async def test_a_second_processing_takes_the_place_of_the_first(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, embedder=Letters()) as it:
        done = await it.finished(await it.given())
        items = {item.id for item in await it.store.action_items.of_conversation("ada", done.id)}
        again = await it.store.processing.again("ada", done.id, {"force": True}, ["completed"])
        assert again is not None
        assert again.status == "processing"
        second = await it.finished(again)
        assert (second.status, second.processing_version) == ("completed", 2)
        replaced = {item.id for item in await it.store.action_items.of_conversation("ada", done.id)}
        assert len(replaced) == len(items)
        assert replaced.isdisjoint(items)
        assert len(await it.store.memories.list("ada")) == 1
        (hour,) = await it.store.usage.read("ada")
        assert hour.conversations == 1
        (vector,) = await Letters().embed(["caterer"])
        hits = await it.store.vectors.query_vectors("ada", "action_item", "letters", vector, 10)
        assert {hit.id for hit in hits} == replaced


async def test_a_memory_that_is_known_is_not_kept_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    known = (Memory(content="Ada plays the cello."), Memory(content="Ada plays a cello"))
    fixed = Fixed(Extraction(structured=Structured(title="Music"), memories=known))
    async with site(tmp_path, fixed, Letters()) as it:
        for _ in range(3):
            await it.finished(await it.given())
        (memory,) = await it.store.memories.list("ada")
        assert memory.content == "Ada plays the cello."
        await it.finished(await it.given(uid="bob"))
        assert len(await it.store.memories.list("bob")) == 1


async def test_nothing_worth_keeping_is_discarded_unless_its_owner_wants_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, Fixed(Extraction(structured=Structured())), Letters()) as it:
        row = await it.finished(await it.given())
        assert (row.status, row.discarded, row.structured["emoji"]) == ("completed", True, "🧠")
        assert await it.store.action_items.of_conversation("ada", row.id) == []
        again = await it.store.processing.again("ada", row.id, {"force": True}, ["completed"])
        assert again is not None
        kept = await it.finished(again)
        assert not kept.discarded
        assert kept.structured["title"]


async def test_more_than_a_hundred_words_are_always_kept(tmp_path: Path, autojump_clock: MockClock) -> None:
    text = " ".join(["The garden needs water every morning."] * 20)
    async with site(tmp_path, Fixed(Extraction(structured=Structured()))) as it:
        row = await create_from_text(it.store.processing, wall_clock, "ada", text)
        done = await it.finished(row)
        assert not done.discarded
        assert done.structured["title"]


async def test_what_a_process_that_died_had_begun_is_done_by_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = await Store.open(tmp_path, inline, now=wall_clock)
    row = await create_from_segments(store.processing, wall_clock, "ada", SEGMENTS)
    (job,) = await store.jobs.claim("dead", [PROCESS], 5.0, 1)
    await store.close()
    async with site(tmp_path, claim_time=5.0) as it:
        began = trio.current_time()
        done = await it.finished(row)
        assert done.status == "completed"
        assert trio.current_time() - began >= 4.9
        assert not await it.store.jobs.done(job)


async def test_a_conversation_that_kills_every_process_has_failed_in_the_end(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = await Store.open(tmp_path, inline, now=wall_clock)
    row = await create_from_segments(store.processing, wall_clock, "ada", SEGMENTS)
    for n in range(3):
        assert await store.jobs.claim(f"dead{n}", [PROCESS], 1.0, 1)
        await trio.sleep(1.1)
    await store.close()
    async with site(tmp_path, tries=3) as it:
        failed = await it.finished(row)
        assert failed.status == "failed"
        assert failed.failure == "the process ended 3 times while this was being done"


async def test_a_conversation_that_is_deleted_while_it_is_processed_stays_deleted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        row = await it.given()
        held = Held(TestModels().plain)
        it.processor._models._extractor = held  # type: ignore[attr-defined]
        it.processor.wake()
        await held.begun.wait()
        assert await it.store.conversations.delete("ada", row.id)
        held.go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert await it.store.conversations.get("ada", row.id) is None
        assert await it.store.action_items.list("ada") == []
        assert it.done == []


class Held(Planned):
    """An extractor that waits."""

    def __init__(self, extractor: Extractor) -> None:
        super().__init__(extractor)
        self.begun, self.go = trio.Event(), trio.Event()

    async def extract(self, transcript: Transcript) -> Extraction:
        self.begun.set()
        await self.go.wait()
        return await super().extract(transcript)


async def test_a_conversation_left_in_processing_without_a_job_gets_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = await Store.open(tmp_path, inline, now=wall_clock)
    row = await create_from_segments(store.processing, wall_clock, "ada", SEGMENTS)
    assert await store.jobs.discard("ada", PROCESS, row.id)
    await store.close()
    async with site(tmp_path) as it:
        await trio.testing.wait_all_tasks_blocked()
        assert (await it.finished(row)).status == "completed"


async def test_deleted_ones_are_hidden_at_once_and_erased_later(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        row = await it.finished(await it.given())
        assert await it.store.conversations.delete("ada", row.id, delay=60.0)
        it.processor.wake()
        assert await it.store.conversations.get("ada", row.id) is None
        assert await it.store.conversations.segments("ada", row.id) == []
        assert await it.store.conversations.list("ada") == []
        assert not await it.store.conversations.delete("ada", row.id)
        assert await it.store.jobs.find("ada", "erase", row.id) is not None
        await trio.sleep(61)
        await trio.testing.wait_all_tasks_blocked()
        assert await it.store.jobs.find("ada", "erase", row.id) is None
        assert len(await it.store.memories.list("ada")) == 1
