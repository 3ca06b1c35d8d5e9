import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy
import trio
from sqlalchemy import event, text

from engine.store import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    PROCESSING,
    ConversationClosed,
    ConversationRestarted,
    JournalRecord,
    SegmentsDeleted,
    Store,
)
from engine.store.apply import apply_batch
from engine.store.batch import Batch
from engine.store.prepared import PreparedQuery
from engine.wire.messages import Translation

from .conftest import on_sqlite
from .making import NOW, changed, conversation, opened, segment


async def test_a_conversation_comes_back_as_it_went_in(store: Store) -> None:
    row = conversation(
        structured={"title": "Größe", "events": [1]}, discarded=True, starred=True, language=None
    )
    await store.conversations.create(row)
    assert await store.conversations.get("u1", "c1") == row


async def test_another_user_sees_nothing(store: Store) -> None:
    await store.conversations.apply([opened(), changed(segment())])
    assert await store.conversations.get("u2", "c1") is None
    assert await store.conversations.segments("u2", "c1") == []
    assert await store.conversations.list("u2") == []
    assert not await store.conversations.delete("u2", "c1")
    assert not await store.conversations.set_status("u2", "c1", COMPLETED)
    assert await store.conversations.resume("u2", "c1", 5) is None
    assert await store.conversations.get("u1", "c1") is not None


async def test_creating_twice_changes_nothing(store: Store) -> None:
    await store.conversations.create(conversation())
    await store.conversations.create(conversation(source="phone"))
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert row.source == "omi"


async def test_a_segment_comes_back_as_it_went_in(store: Store) -> None:
    full = segment(
        speaker="SPEAKER_03",
        is_user=True,
        person_id="p1",
        start=1.25,
        end=2.5,
        translations=(Translation(lang="de", text="Hallo"),),
        speech_profile_processed=False,
        stt_provider="local",
        revision=7,
    )
    await store.conversations.apply([opened(), changed(full)])
    assert await store.conversations.segments("u1", "c1") == [full]


async def test_segments_are_ordered_by_start_then_by_arrival(store: Store) -> None:
    await store.conversations.apply([opened(), changed(segment("z", start=1.0), segment("b", start=1.0))])
    await store.conversations.apply([changed(segment("a", start=1.0), segment("m", start=0.5))])
    await store.conversations.apply([changed(segment("z", start=1.0, revision=2))])
    assert [s.id for s in await store.conversations.segments("u1", "c1")] == ["m", "z", "b", "a"]


async def test_a_stale_revision_is_ignored(store: Store) -> None:
    await store.conversations.apply([opened(), changed(segment(text="new", revision=3))])
    await store.conversations.apply([changed(segment(text="old", revision=2))])
    assert [s.text for s in await store.conversations.segments("u1", "c1")] == ["new"]
    await store.conversations.apply([changed(segment(text="same", revision=3))])
    assert [s.text for s in await store.conversations.segments("u1", "c1")] == ["same"]


async def test_a_deleted_segment_does_not_come_back(store: Store) -> None:
    await store.conversations.apply([opened(), changed(segment("a"), segment("b"))])
    await store.conversations.apply([SegmentsDeleted("u1", "c1", ("a", "never-seen"))])
    await store.conversations.apply([changed(segment("a", revision=9), segment("never-seen"))])
    assert [s.id for s in await store.conversations.segments("u1", "c1")] == ["b"]
    kept = await store._database.read(
        lambda c: c.execute(text("SELECT text FROM segments ORDER BY id")).all()
    )
    assert [row.text for row in kept] == ["", "Text of b.", ""]


async def test_times_never_move_back(store: Store) -> None:
    await store.conversations.apply([opened(), changed(at=NOW + 5)])
    await store.conversations.apply([changed(at=NOW + 3)])
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert (row.finished_at, row.last_speech_at) == (NOW + 5, NOW + 5)


async def test_a_journal_moves_the_status_forward_only(store: Store) -> None:
    await store.conversations.create(conversation())
    for status, outcome in [(PROCESSING, PROCESSING), (COMPLETED, COMPLETED), (PROCESSING, COMPLETED)]:
        await store.conversations.apply([ConversationClosed("u1", "c1", status, NOW + 1, discarded=True)])
        row = await store.conversations.get("u1", "c1")
        assert row is not None
        assert (row.status, row.discarded, row.finished_at) == (outcome, True, NOW + 1)


async def test_a_deleted_conversation_does_not_come_back(store: Store) -> None:
    records: list[JournalRecord] = [opened(), changed(segment())]
    await store.conversations.apply(records)
    assert await store.conversations.delete("u1", "c1")
    assert not await store.conversations.delete("u1", "c1")
    assert await store.conversations.apply(records) == 1
    await store.conversations.create(conversation())
    assert await store.conversations.get("u1", "c1") is None
    assert await store.conversations.segments("u1", "c1") == []


async def test_marks_of_deleted_conversations_are_forgotten_when_told(store: Store) -> None:
    await store.conversations.create(conversation())
    await store.conversations.delete("u1", "c1")
    await store.forget(NOW)
    await store.conversations.create(conversation())
    assert await store.conversations.get("u1", "c1") is None
    await store.forget(NOW + 1)
    await store.conversations.create(conversation())
    assert await store.conversations.get("u1", "c1") is not None


async def test_segments_of_an_unknown_conversation_are_dropped_and_counted(store: Store) -> None:
    assert await store.conversations.apply([changed(segment(), id="gone"), opened("c2")]) == 1
    assert await store.conversations.segments("u1", "gone") == []
    assert await store.conversations.get("u1", "c2") is not None


async def test_the_list_is_newest_first_in_pages(store: Store) -> None:
    await store.conversations.apply([opened(f"c{n}", created_at=NOW + n) for n in range(5)])
    pages = [await store.conversations.list("u1", limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[row.id for row in page] for page in pages] == [["c4", "c3"], ["c2", "c1"], ["c0"], []]
    assert await store.conversations.count("u1") == 5


async def test_the_list_is_filtered_by_status_time_and_discarding(store: Store) -> None:
    await store.conversations.apply(
        [
            opened("a", created_at=NOW + 1, status=COMPLETED),
            opened("b", created_at=NOW + 2, status=COMPLETED, discarded=True),
            opened("c", created_at=NOW + 3, status=PROCESSING),
            opened("d", created_at=NOW + 4),
        ]
    )

    async def ids(**filters: object) -> str:
        rows = await store.conversations.list("u1", **filters)  # type: ignore[arg-type]
        assert len(rows) == await store.conversations.count("u1", **filters)  # type: ignore[arg-type]
        return "".join(row.id for row in rows)

    assert await ids() == "dcba"
    assert await ids(statuses=[COMPLETED, PROCESSING]) == "cba"
    assert await ids(statuses=[]) == ""
    assert await ids(include_discarded=False) == "dca"
    assert await ids(start=NOW + 2, end=NOW + 3) == "cb"
    assert await ids(statuses=[COMPLETED], include_discarded=False, start=NOW, end=NOW + 9) == "a"


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (1001, 0), (-1, 0), (10, -1)])
async def test_a_page_outside_the_limits_is_refused(store: Store, limit: int, offset: int) -> None:
    with pytest.raises(ValueError, match="accepted"):
        await store.conversations.list("u1", limit=limit, offset=offset)


def watch(
    store: Store, monkeypatch: pytest.MonkeyPatch, seen: Callable[[sqlalchemy.Connection, str, Any], None]
) -> None:
    """Have `seen` called with the connection, text and parameters of each statement, also those that are prepared."""

    def executed(connection: Any, _: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        seen(connection, statement, values[0] if many else values)

    def fetched(query: PreparedQuery, connection: sqlalchemy.Connection, given: Any) -> Any:
        seen(connection, query._text, given)
        return fetch(query, connection, given)

    fetch = PreparedQuery._fetched
    event.listen(store._database._engine, "before_cursor_execute", executed)
    monkeypatch.setattr(PreparedQuery, "_fetched", fetched)


async def test_a_page_with_its_segments_is_one_query(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.conversations.apply(
        [record for n in range(1000) for record in (opened(f"c{n}"), changed(segment(f"s{n}"), id=f"c{n}"))]
    )
    rows = await store.conversations.list("u1", limit=1000)
    statements: list[str] = []
    watch(store, monkeypatch, lambda _, statement, __: statements.append(statement))
    page = await store.conversations.with_segments(rows)
    assert len([text for text in statements if not text.startswith("BEGIN")]) == 1
    assert [(row, [s.id for s in segments]) for row, segments in page] == [
        (row, [row.id.replace("c", "s")]) for row in rows
    ]


@on_sqlite  # it asks how SQLite goes about it
async def test_no_statement_scans_a_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[str] = []

    def explain(connection: sqlalchemy.Connection, statement: str, values: Any) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(step[3] for step in cursor.fetchall())

    watch(store, monkeypatch, explain)
    conversations = store.conversations
    records: list[JournalRecord] = [opened(), opened(uid="u2"), changed(segment())]
    records += [SegmentsDeleted("u2", "c1", ("s1",)), ConversationClosed("u1", "c1", COMPLETED, NOW)]
    await conversations.apply(records)
    rows = await conversations.list("u1", start=NOW - 1)
    await conversations.with_segments([*rows, conversation(uid="u2")])
    await conversations.count("u1", statuses=[COMPLETED])
    await conversations.latest_completed("u1")
    await conversations.latest_in_progress("u1")
    await conversations.all_unfinished()
    await conversations.delete("u1", "c1")
    await store.forget(NOW)
    assert len(plans) > 10
    assert [
        plan for plan in plans if plan.startswith("SCAN") and not re.search("CONSTANT|given_ids", plan)
    ] == []


@on_sqlite  # it asks how SQLite goes about it
async def test_the_newest_of_a_status_is_found_without_sorting(store: Store) -> None:
    def plan(connection: sqlalchemy.Connection) -> str:
        query = "SELECT * FROM conversations WHERE uid='u' AND status='s' ORDER BY created_at DESC LIMIT 1"
        return str(connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).all())

    explained = await store._database.read(plan)
    assert "conversations_by_status" in explained


async def test_a_restarted_conversation_counts_from_later_never_from_earlier(store: Store) -> None:
    await store.conversations.apply([opened(), ConversationRestarted("u1", "c1", NOW + 7)])
    await store.conversations.apply([ConversationRestarted("u1", "c1", NOW + 5)])
    row = await store.conversations.get("u1", "c1")
    assert row == conversation(started_at=NOW + 7)


async def test_the_latest_ones_and_the_unfinished_ones_are_found(store: Store) -> None:
    assert await store.conversations.latest_in_progress("u1") is None
    await store.conversations.apply(
        [
            opened("old", created_at=NOW + 1),
            opened("new", created_at=NOW + 2),
            opened("done", created_at=NOW + 3, status=COMPLETED),
            opened("later", created_at=NOW + 4, status=COMPLETED),
            opened("bad", created_at=NOW + 5, status=FAILED),
            opened("ended", created_at=NOW + 6, status=PROCESSING),
            opened("theirs", uid="u2", created_at=NOW + 7),
        ]
    )
    in_progress = await store.conversations.latest_in_progress("u1")
    completed = await store.conversations.latest_completed("u1")
    assert in_progress is not None
    assert completed is not None
    assert (in_progress.id, completed.id) == ("new", "later")
    assert [row.id for row in await store.conversations.all_unfinished()] == ["old", "new", "theirs"]


async def test_of_several_who_finish_a_conversation_one_succeeds(store: Store) -> None:
    await store.conversations.create(conversation())
    outcomes: list[bool] = []

    async def finish() -> None:
        outcomes.append(
            await store.conversations.set_status("u1", "c1", PROCESSING, NOW + 9, expected=[IN_PROGRESS])
        )

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(finish)
    assert sorted(outcomes) == [False, False, False, False, True]
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert (row.status, row.finished_at) == (PROCESSING, NOW + 9)


async def test_a_status_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match=r"status: 'done' given.*in_progress.*accepted"):
        await store.conversations.set_status("u1", "c1", "done")


async def test_only_a_conversation_in_progress_is_resumed(store: Store) -> None:
    await store.conversations.create(conversation())
    row = await store.conversations.resume("u1", "c1", 7)
    assert row is not None
    assert row.timeout_seconds == 7
    await store.conversations.set_status("u1", "c1", PROCESSING)
    assert await store.conversations.resume("u1", "c1", 9) is None
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert row.timeout_seconds == 7


async def test_a_batch_is_a_handful_of_statements(store: Store) -> None:
    records = [
        record
        for n in range(200)
        for record in (
            opened(f"c{n}"),
            changed(segment("a"), segment("b"), id=f"c{n}"),
            SegmentsDeleted("u1", f"c{n}", ("b",)),
            ConversationClosed("u1", f"c{n}", COMPLETED, NOW),
        )
    ]
    statements: list[str] = []
    listener = lambda *args: statements.append(args[2])  # noqa: E731
    event.listen(store._database._engine, "before_cursor_execute", listener)
    assert await store._database.write(apply_batch, Batch.of(records)) == 0
    assert len(statements) <= 9
    assert await store.conversations.count("u1", statuses=[COMPLETED]) == 200


async def test_the_text_of_its_statements_does_not_depend_on_what_is_in_a_batch(store: Store) -> None:
    def texts(users: int) -> set[str]:
        statements.clear()
        records = [
            record
            for n in range(users)
            for record in (
                opened(f"c{n}", uid=f"u{n}"),
                changed(*(segment(f"s{k}") for k in range(users)), id=f"c{n}", uid=f"u{n}"),
                SegmentsDeleted(f"u{n}", f"c{n}", ("gone",)),
            )
        ]
        with store._database._engine.begin() as connection:
            assert apply_batch(connection, Batch.of(records)) == 0
        return set(statements)

    statements: list[str] = []
    listener = lambda *args: statements.append(args[2])  # noqa: E731
    event.listen(store._database._engine, "before_cursor_execute", listener)
    assert texts(1) == texts(2) == texts(7)
    assert len([text for text in statements if not text.startswith("BEGIN")]) == 4
