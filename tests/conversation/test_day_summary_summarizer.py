"""Days as they lie in a store, summarised by a model, or by rules where none answers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.config import Llm as LlmSettings
from engine.conversation.day_summary import Summarizer, summary_id
from engine.conversation.llm.port import (
    Completion,
    Llm,
    LlmContextExceeded,
    LlmError,
    LlmUnavailable,
    Message,
)
from engine.store import COMPLETED, ConversationOpened, ConversationRow, SegmentsChanged, Store
from engine.store.user_records import ActionItemRow, DaySummaryRow
from engine.wire.messages import Segment
from tests.databases import migrated
from tests.listen.harness import inline

from .models import CountingMeter
from .test_day_summary_notes import ANSWER

SECOND = 1_000_000
NINE = 1_763_712_000 * SECOND
"""2025-11-21T08:00Z: nine in the morning in Berlin."""
DAY = date(2025, 11, 21)
NOW = NINE + 13 * 3600 * SECOND
WAIT = 20.0


class Scripted:
    """A language model that answers what it is told to, and keeps what it was asked."""

    def __init__(self, *answers: str | Exception | float, context_tokens: int = 8000) -> None:
        self.context_tokens = context_tokens
        self.answers = list(answers)
        self.asked: list[str] = []

    async def complete(self, messages: Sequence[Message], **options: Any) -> Completion:
        self.asked.append(str(messages[1].content))
        answer = self.answers.pop(0)
        if isinstance(answer, float):
            await trio.sleep(answer)
            return Completion(text=msgspec.json.encode(ANSWER).decode())
        if isinstance(answer, Exception):
            raise answer
        return Completion(text=answer)

    def stream(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError


class Models:
    def __init__(self, llm: Llm | None) -> None:
        self.llm = llm


class Bench:
    """A summarizer over a real store, in which Ada lives in Berlin."""

    def __init__(self, store: Store, llm: Llm | None) -> None:
        self.store = store
        self.meter = CountingMeter()
        settings = LlmSettings(asks=2)
        self.summarizer = Summarizer(store, Models(llm), settings, lambda: NOW, self.meter, inline, WAIT)

    async def spoke(self, id: str, *texts: str, at: int = NINE, **changes: Any) -> ConversationRow:
        """A conversation of ten minutes, a sentence a minute."""
        row = ConversationRow(
            uid="ada",
            id=id,
            status=COMPLETED,
            created_at=at,
            started_at=at,
            finished_at=at + 600 * SECOND,
            last_speech_at=at,
            timeout_seconds=120,
            language="en",
            structured={"title": f"Title {id}", "overview": f"Overview {id}."},
        )
        row = msgspec.structs.replace(row, **changes)
        await self.store.conversations.create(row)
        if texts:
            said = tuple(
                Segment(id=str(n), text=text, start=60.0 * n, end=60.0 * n + 9)
                for n, text in enumerate(texts)
            )
            changed = SegmentsChanged("ada", id, said, row.finished_at, row.last_speech_at)
            await self.store.conversations.apply([changed])
        return row

    async def summary(self, *, plain: bool = False) -> DaySummaryRow:
        day = await self.summarizer.day("ada", DAY)
        assert day is not None
        return await self.summarizer.write("ada", day, plain=plain)


@asynccontextmanager
async def bench(folder: Path, llm: Llm | None = None) -> AsyncIterator[Bench]:
    store = await Store.open(migrated(folder), inline, now=lambda: NOW)
    await store.users.change("ada", {"time_zone": "Europe/Berlin", "name": "Ada"})
    yield Bench(store, llm)
    await store.close()


async def test_without_a_model_the_whole_document_is_there(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        place = {"latitude": 52.5, "longitude": 13.4, "address": "Unter den Linden"}
        await it.spoke("c1", "We decided to meet again on Friday.", geolocation=place)
        await it.spoke("c2", "Hello.", at=NINE + 3600 * SECOND)
        items = [
            ActionItemRow(
                uid="ada",
                id=f"i{n}",
                conversation_id="c1",
                ordinal=n,
                description=f"Do {n}",
                completed=n == 1,
                created_at=NINE,
                updated_at=NINE,
            )
            for n in range(2)
        ]
        await it.store.action_items.put(*items)
        row = await it.summary()
    assert (row.id, row.date, row.created_at) == (summary_id("ada", DAY), "2025-11-21", NOW)
    assert row.summary == {
        "id": row.id,
        "date": "2025-11-21",
        "created_at": "2025-11-21T21:00:00.000000",
        "headline": "Title c1 and Title c2",
        "overview": "You had 2 conversations today. Overview c1. Overview c2.",
        "day_emoji": "📅",
        "stats": {"total_conversations": 2, "total_duration_minutes": 20, "action_items_count": 2},
        "highlights": [
            {"topic": f"Title {c}", "emoji": "🧠", "summary": f"Overview {c}.", "conversation_ids": [c]}
            for c in ("c1", "c2")
        ],
        "action_items": [
            {
                "description": f"Do {n}",
                "priority": priority,
                "completed": completed,
                "source_conversation_id": "c1",
            }
            for n, priority, completed in ((0, "high", False), (1, "medium", True))
        ],
        "unresolved_questions": [],
        "decisions_made": [{"decision": "We decided to meet again on Friday.", "conversation_id": "c1"}],
        "knowledge_nuggets": [],
        "locations": [{**place, "conversation_id": "c1", "time": "09:00"}],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"is_locked": True},
        {"discarded": True},
        {"status": "processing"},
        {"at": NINE - 9 * 3600 * SECOND - 1},
        {"at": NINE + 15 * 3600 * SECOND},
    ],
    ids=["locked", "discarded", "unfinished", "yesterday", "tomorrow"],
)
async def test_conversations_that_are_not_of_the_day_or_not_to_be_read_make_no_day(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    async with bench(tmp_path) as it:
        await it.spoke("c1", "Hello.", **changes)
        assert await it.summarizer.day("ada", DAY) is None


async def test_conversations_without_speech_make_no_day_but_given_texts_do(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.spoke("c1")
        await it.spoke("c2", "  ")
        assert await it.summarizer.day("ada", DAY) is None
        await it.spoke("c3", external_data={"text": "Met Bob."})
        day = await it.summarizer.day("ada", DAY)
        assert day is not None
        assert [one.id for one in day.conversations] == ["c3"]


async def test_a_day_begins_and_ends_at_midnight_where_its_user_lives(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.spoke("first", "Hello.", at=NINE - 9 * 3600 * SECOND)
        await it.spoke("last", "Hello.", at=NINE + 15 * 3600 * SECOND - 1)
        day = await it.summarizer.day("ada", DAY)
        assert day is not None
        assert [(one.id, one.began) for one in day.conversations] == [("first", "00:00"), ("last", "23:59")]


async def test_a_day_of_very_many_conversations_is_read_in_pages(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        row = await it.spoke("c", external_data={"text": "Hello."})
        rows = [msgspec.structs.replace(row, id=f"c{n}", created_at=NINE + n) for n in range(102)]
        await it.store.conversations.apply([ConversationOpened(each) for each in rows])
        day = await it.summarizer.day("ada", DAY)
        assert day is not None
        assert day.stats.total_conversations == 103


async def test_a_model_writes_what_is_told_and_the_database_what_is_counted(tmp_path: Path) -> None:
    llm = Scripted("Sure! " + msgspec.json.encode(ANSWER).decode())
    async with bench(tmp_path, llm) as it:
        await it.spoke("c1", "We should buy the tent.")
        await it.spoke("c2", "The meeting moved.", at=NINE + 1)
        row = await it.summary()
        assert it.meter.doubts == {"prose": 1}
    assert row.summary["headline"] == "Plans for the tent"
    assert row.summary["knowledge_nuggets"] == [{"insight": "Meetings move", "conversation_id": "c2"}]
    assert row.summary["stats"]["total_conversations"] == 2
    assert "The person is Ada." in llm.asked[0]


async def test_a_model_that_talks_nonsense_is_done_without(tmp_path: Path) -> None:
    async with bench(tmp_path, Scripted("I cannot do that.", "{}")) as it:
        await it.spoke("c1", "Hello there.")
        row = await it.summary()
        assert it.meter.doubts["not_json"] == 1
    assert row.summary["overview"].startswith("You had 1 conversation today.")


async def test_a_model_that_finds_the_day_too_long_is_asked_about_less(tmp_path: Path) -> None:
    too_long = LlmContextExceeded("too long", "context_length")
    llm = Scripted(too_long, too_long, msgspec.json.encode(ANSWER).decode(), context_tokens=20_000)
    async with bench(tmp_path, llm) as it:
        await it.spoke("c1", *(f"Sentence {n} of a very long story." for n in range(4000)))
        assert (await it.summary()).summary["headline"] == "Plans for the tent"
    lengths = [len(question) for question in llm.asked]
    assert lengths[0] > 1.8 * lengths[1] > 3.2 * lengths[2]


async def test_a_model_with_no_room_for_the_question_is_not_asked(tmp_path: Path) -> None:
    llm = Scripted(context_tokens=300)
    async with bench(tmp_path, llm) as it:
        await it.spoke("c1", "Hello.")
        assert (await it.summary()).summary["headline"] == "Title c1"
    assert llm.asked == []


async def test_a_model_that_cannot_be_reached_is_told_to_who_asked_the_writer(tmp_path: Path) -> None:
    async with bench(tmp_path, Scripted(LlmUnavailable("nobody", "connect"))) as it:
        await it.spoke("c1", "Hello.")
        with pytest.raises(LlmError):
            await it.summary()
        assert (await it.summary(plain=True)).summary["headline"] == "Title c1"


@pytest.mark.parametrize(
    ("answer", "headline"),
    [
        (LlmUnavailable("nobody", "connect"), "Title c1"),
        (WAIT + 1, "Title c1"),
        (WAIT - 1, "Plans for the tent"),
    ],
    ids=["away", "slow", "in time"],
)
async def test_whoever_asks_for_a_summary_gets_one_in_time(
    tmp_path: Path, autojump_clock: MockClock, answer: Any, headline: str
) -> None:
    async with bench(tmp_path, Scripted(answer)) as it:
        await it.spoke("c1", "Hello.")
        assert await it.summarizer.summarise("ada", date(2025, 11, 20)) is None
        row = await it.summarizer.summarise("ada", DAY)
        assert row is not None
        assert row.summary["headline"] == headline
        assert await it.store.day_summaries.get("ada", row.id) == row
        assert not row.scheduled


async def test_nobody_elses_day_is_read(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.spoke("c1", "Hello.")
        assert await it.summarizer.day("bob", DAY) is None
