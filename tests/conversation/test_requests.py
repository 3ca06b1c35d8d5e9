"""Conversations that are given whole, processed again, merged."""

from pathlib import Path

import pytest
import trio.testing
from trio.testing import MockClock

from engine.conversation.given import Given
from engine.conversation.llm.port import LlmRefused
from engine.conversation.requests import NotPossible
from engine.store.user_records import PhotoRow
from engine.wire.messages import Segment
from tests.conversation.processing import SEGMENTS, Held, Letters, Planned, TestModels, left, site
from tests.listen.harness import wall_clock

SECOND = 1_000_000


def segments(prefix: str, *texts: str) -> tuple[Segment, ...]:
    return tuple(
        Segment(id=f"{prefix}{n}", text=text, start=10.0 * n, end=10.0 * n + 5)
        for n, text in enumerate(texts)
    )


async def test_a_given_transcript_lies_where_its_times_say(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with site(tmp_path) as it:
        began = wall_clock() - 3600 * SECOND
        given = Given(started_at=began, source="phone", language="en")
        row = await it.requests.from_segments("ada", SEGMENTS, given=given, wait=True)
        assert (row.status, row.source, row.language) == ("completed", "phone", "en")
        assert (row.started_at, row.finished_at) == (began, began + 14 * SECOND)
        assert await it.store.conversations.segments("ada", row.id) == list(SEGMENTS)
        undated = await it.requests.from_segments("ada", SEGMENTS)
        assert undated.finished_at - undated.started_at == 14 * SECOND
        assert undated.finished_at == wall_clock()


async def test_a_text_is_read_line_by_line(tmp_path: Path, autojump_clock: MockClock) -> None:
    text = "Anna: I will send the contract to the lawyer by Monday.\n\nBen: Good, the contract is urgent."
    async with site(tmp_path) as it:
        row = await it.requests.from_text("ada", text, wait=True)
        assert row.status == "completed"
        (item,) = await it.store.action_items.of_conversation("ada", row.id)
        assert "contract" in item.description
        assert row.external_data == {
            "text": text,
            "text_source": "audio_transcript",
            "text_source_spec": None,
        }


async def test_who_does_not_wait_is_answered_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    held = Held(TestModels().plain)
    async with site(tmp_path, held) as it:
        row = await it.requests.from_segments("ada", SEGMENTS)
        await held.begun.wait()
        assert row.status == "processing"
        row, job = await it.requests.progress("ada", row.id)
        assert job is not None
        assert (row.status, job.attempts) == ("processing", 1)
        with pytest.raises(NotPossible, match="is processing"):
            await it.requests.reprocess("ada", row.id)
        with pytest.raises(NotPossible, match="is processing"):
            await it.requests.merge("ada", [row.id, row.id])
        held.go.set()
        assert (await it.finished(row)).status == "completed"


async def test_what_has_failed_is_processed_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    planned = Planned(TestModels().plain, LlmRefused("no such model", "refused"))
    async with site(tmp_path, planned) as it:
        failed = await it.requests.from_segments("ada", SEGMENTS, wait=True)
        assert failed.failure == "no such model"
        done = await it.requests.reprocess("ada", failed.id, language="de")
        assert (done.status, done.failure) == ("completed", None)
        assert [transcript.language for transcript in planned.read] == ["en", "de"]


async def test_what_is_somebody_elses_is_not_there(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with site(tmp_path) as it:
        rows = [await it.finished(await it.given()) for _ in range(2)]
        with pytest.raises(KeyError):
            await it.requests.reprocess("bob", rows[0].id)
        with pytest.raises(KeyError):
            await it.requests.merge("bob", [row.id for row in rows])
        with pytest.raises(KeyError):
            await it.requests.progress("bob", rows[0].id)
        assert {(await it.row(row)).status for row in rows} == {"completed"}


async def test_merged_conversations_become_one_in_the_order_of_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    began = wall_clock() - 7200 * SECOND
    async with site(tmp_path, embedder=Letters()) as it:
        later = await it.requests.from_segments(
            "ada",
            segments("s", "I will paint the fence on Sunday.", "The fence needs two coats of paint."),
            given=Given(started_at=began + 60 * SECOND),
            wait=True,
        )
        first = await it.requests.from_segments(
            "ada", SEGMENTS, given=Given(started_at=began, source="phone"), wait=True
        )
        picture = PhotoRow(uid="ada", conversation_id=later.id, id="p1", image=b"p", created_at=began)
        await it.store.photos.put(picture)
        known = {memory.id for memory in await it.store.memories.list("ada")}
        row = await it.requests.merge("ada", [later.id, first.id])
        assert row.status == "processing"
        done = await it.finished(row)
        assert (done.status, done.started_at, done.source) == ("completed", began, "phone")
        said = await it.store.conversations.segments("ada", done.id)
        assert [segment.text for segment in said][-2:] == [
            "I will paint the fence on Sunday.",
            "The fence needs two coats of paint.",
        ]
        assert [segment.start for segment in said] == [0.0, 5.0, 10.0, 60.0, 70.0]
        assert len({segment.id for segment in said}) == 5
        assert [each.id for each in await it.store.conversations.list("ada")] == [done.id]
        assert {memory.id for memory in await it.store.memories.list("ada")} == known
        assert {item.conversation_id for item in await it.store.action_items.list("ada")} == {done.id}
        assert [photo.id for photo in await it.store.photos.of_conversation("ada", done.id)] == ["p1"]
        (hour,) = await it.store.usage.read("ada")
        assert hour.conversations == 2


async def test_merged_without_reading_again_they_keep_their_summaries(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        sources = [await it.finished(await it.given()) for _ in range(2)]
        items = await it.store.action_items.list("ada")
        asked = it.models.plain_asked
        row = await it.finished(await it.requests.merge("ada", [row.id for row in sources], reprocess=False))
        assert row.structured["title"] == sources[0].structured["title"]
        assert row.structured["overview"].count(sources[1].structured["overview"]) == 2
        assert len(await it.store.action_items.list("ada")) == len(items)
        assert it.models.plain_asked == asked


async def test_what_could_not_be_merged_is_as_it_was(tmp_path: Path, autojump_clock: MockClock) -> None:
    planned = Planned(TestModels().plain)
    async with site(tmp_path, planned) as it:
        rows = [await it.finished(await it.given()) for _ in range(2)]
        planned.failures.append(LlmRefused("no such model", "refused"))
        failed = await it.finished(await it.requests.merge("ada", [row.id for row in rows]))
        assert failed.status == "failed"
        assert {(await it.row(row)).status for row in rows} == {"completed"}


async def test_deleting_the_one_that_others_are_merged_into_leaves_them_as_they_were(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    planned = Planned(TestModels().plain)
    async with site(tmp_path, planned) as it:
        rows = [await it.finished(await it.given()) for _ in range(2)]
        held = planned.extractor = Held(TestModels().plain)
        row = await it.requests.merge("ada", [row.id for row in rows])
        await held.begun.wait()
        assert {(await it.row(row)).status for row in rows} == {"merging"}
        assert await it.store.conversations.delete("ada", row.id)
        held.go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert {(await it.row(row)).status for row in rows} == {"completed"}
        assert len(await it.store.conversations.list("ada")) == 2


async def test_a_conversation_of_a_process_that_died_is_told_of(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        row = await left(it.store)
        found, job = await it.requests.progress("ada", row.id)
        assert found.status == "processing"
        assert job is not None
