"""What processing does to conversations, each step one transaction.

    begin ------> processing, with its job --finish--> completed
    again ------>                          --fail----> failed, with a reason; the job is kept with its error
    merge ------> (a new conversation; its sources are `merging` until it is completed, then deleted)

Operations: `begin`, `again`, `merge`, `finish`, `fail`; `sweep` at start; `erase_due` ends an erasure.
Invariants: `finish` and `fail` take effect with the end of their job, so once, whoever else has claimed it meanwhile.
Everything that is made of a conversation is written by `finish`: killed before its commit there is nothing of it,
after it all, and the first time a job to tell others. A conversation that is `processing` has a job that will be done.
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, select, update

from engine.store.action_items import adopt_action_items, replace_action_items
from engine.store.apply import apply_batch
from engine.store.batch import Batch
from engine.store.database import Database, WallClock
from engine.store.erasing import erase, hide, release_sources
from engine.store.errors import ClaimLost
from engine.store.indexed import index_one, index_rows
from engine.store.jobs import PROCESS, TELL, Job, add, discard, payload_of
from engine.store.jobs import fail as fail_job
from engine.store.jobs import finish as finish_job
from engine.store.memories import replace_memories
from engine.store.records import (
    COMPLETED,
    FAILED,
    MERGING,
    PROCESSING,
    ConversationOpened,
    ConversationRow,
    SegmentsChanged,
    UsageAdded,
    UsageRow,
)
from engine.store.tables import conversations, jobs, memories, photos, recordings, segments, speaker_decisions
from engine.store.texts import index_conversation
from engine.store.unwanted import move_unwanted, unsaid, unwanted_of
from engine.store.usage import add_usage, hour_of
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vectors import VectorRow, delete_vectors, put_vectors
from engine.wire.messages import Segment

__all__ = ["Processed", "Processing"]


class Processed(msgspec.Struct, frozen=True, kw_only=True):
    """What is made of a conversation by its processing number `version` (1: the first).

    `changes` are columns of the conversation. `vectors` None: there was nobody to make them; then the conversation's
    own stays as it is, and with `vectors_later` all of them are made by jobs of their own.
    """

    version: int
    changes: Mapping[str, Any]
    action_items: Sequence[ActionItemRow] = ()
    memories: Sequence[MemoryRow] = ()
    vectors: Sequence[VectorRow] | None = ()
    vectors_later: bool = False


class Processing:
    """The steps. `uid` and the conversation's id are the job's owner and key."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def begin(
        self, row: ConversationRow, segments: Sequence[Segment], payload: Mapping[str, Any]
    ) -> bool:
        """Keep a new conversation that is `processing`, and its job; False when there is one of that id."""
        return await self._database.write(_begin, row, segments, _job(row, payload, self._now()))

    async def again(
        self, uid: str, id: str, payload: Mapping[str, Any], expected: Collection[str]
    ) -> ConversationRow | None:
        """Have a conversation processed again; None when it is not there, or in none of the statuses `expected`."""
        return await self._database.write(_again, uid, id, payload, tuple(expected), self._now())

    async def merge(
        self,
        row: ConversationRow,
        segments: Sequence[Segment],
        payload: Mapping[str, Any],
        sources: Sequence[str],
        expected: Collection[str],
    ) -> bool:
        """As `begin`, of one that is made of `sources`; False, with nothing changed, when one is not as `expected`."""
        job = _job(row, {**payload, "sources": list(sources)}, self._now())
        return await self._database.write(_merge, row, segments, job, tuple(expected))

    async def finish(self, job: Job, done: Processed, *, source_delay: float) -> bool:
        """Keep what was made of the conversation, which is `completed` now; False when it is not there any more.

        What it was merged from is deleted, and erased after `source_delay` seconds; its photos, memories, recordings
        and decisions on speakers are this one's, and those of its action items that their owner had a hand in. Raises
        `ClaimLost`, with nothing changed, when the job is somebody else's by now.
        """
        return await self._database.write(_finish, job, done, self._now(), source_delay)

    async def fail(self, job: Job, reason: str) -> None:
        """The conversation has `failed`, for `reason`. Raises `ClaimLost`."""
        await self._database.write(_fail, job, reason, self._now())

    async def erase_due(self, job: Job) -> None:
        """Remove the rows of a deleted conversation. Raises `ClaimLost`."""
        await self._database.write(_erase, job, self._now())

    async def sweep(self) -> int:
        """Give every conversation that is `processing` and has no job one; how many there were."""
        return await self._database.write(_sweep, self._now())


def _job(row: ConversationRow, payload: Mapping[str, Any], now: int) -> Job:
    return Job(uid=row.uid, kind=PROCESS, key=row.id, payload=dict(payload), created_at=now, due_at=now)


def _is(uid: str, *ids: str) -> ColumnElement[bool]:
    there = and_(conversations.c.uid == uid, conversations.c.deleted_at.is_(None))
    return and_(there, conversations.c.id.in_(ids))


def _begin(connection: Connection, row: ConversationRow, segments: Sequence[Segment], job: Job) -> bool:
    if connection.execute(select(conversations.c.id).where(_is(row.uid, row.id))).first():
        return False
    said = SegmentsChanged(row.uid, row.id, tuple(segments), row.finished_at, row.last_speech_at)
    apply_batch(connection, Batch.of([ConversationOpened(row), said]))
    return add(connection, job)


def _again(
    connection: Connection,
    uid: str,
    id: str,
    payload: Mapping[str, Any],
    expected: tuple[str, ...],
    now: int,
) -> ConversationRow | None:
    there = and_(_is(uid, id), conversations.c.status.in_(expected))
    changed = update(conversations).where(there).values(status=PROCESSING, failure=None)
    found = connection.execute(changed.returning(*conversations.c)).mappings().first()
    if found is None:
        return None
    row = ConversationRow(**found)
    discard(connection, uid, PROCESS, id)  # one that has failed
    add(connection, _job(row, payload, now))
    return row


def _merge(
    connection: Connection,
    row: ConversationRow,
    segments: Sequence[Segment],
    job: Job,
    expected: tuple[str, ...],
) -> bool:
    sources = job.payload["sources"]
    ready = and_(_is(row.uid, *sources), conversations.c.status.in_(expected))
    if len(connection.execute(select(conversations.c.id).where(ready)).all()) < len(sources):
        return False
    connection.execute(update(conversations).where(ready).values(status=MERGING))
    return _begin(connection, row, segments, job)


def _finish(connection: Connection, job: Job, done: Processed, now: int, source_delay: float) -> bool:
    told = payload_of(connection, job)
    _end(connection, job)
    uid, id, sources = job.uid, job.key, job.payload.get("sources", ())
    values = {**done.changes, "status": COMPLETED, "processing_version": done.version, "failure": None}
    if "structured" in values:
        values["structured"] = _as_marked(connection, uid, (id, *sources), values["structured"])
    if "title" in told:  # by its owner, meanwhile
        values |= {"structured": {**values["structured"], "title": told["title"]}, "discarded": False}
    there = and_(_is(uid, id), conversations.c.processing_version == done.version - 1)
    if not connection.execute(update(conversations).where(there).values(values)).rowcount:
        return False
    if sources:
        adopt_action_items(connection, uid, sources, id)
        move_unwanted(connection, uid, sources, id)
    _keep(connection, uid, id, done, now)
    if done.version == 1:
        add(connection, Job(uid=uid, kind=TELL, key=id, created_at=now, due_at=now))
    if done.version == 1 and not sources:
        counted = UsageRow(uid=uid, hour=hour_of(now), conversations=1)
        add_usage(connection, [UsageAdded(f"conversation:{id}", counted)])
    for source in sources:
        for table in (photos, memories, recordings):
            of_it = and_(table.c.uid == uid, table.c.conversation_id == source)
            connection.execute(update(table).where(of_it).values(conversation_id=id))
        _take_decisions(connection, uid, source, id)
        hide(connection, uid, source, now=now, cascade=False, delay=source_delay)
    return True


def _take_decisions(connection: Connection, uid: str, source: str, id: str) -> None:
    """Why segments have the speakers they have, of those that came into another conversation as they were."""
    of, there = speaker_decisions.c, select(segments.c.id)
    there = there.where(segments.c.uid == uid, segments.c.conversation_id == id)
    known = select(of.segment_id).where(of.uid == uid, of.conversation_id == id)
    moved = and_(of.segment_id.in_(there), of.segment_id.not_in(known))
    of_it = and_(of.uid == uid, of.conversation_id == source, moved)
    connection.execute(update(speaker_decisions).where(of_it).values(conversation_id=id))


def _as_marked(
    connection: Connection, uid: str, ids: Sequence[str], structured: Mapping[str, Any]
) -> dict[str, Any]:
    """`structured`, its events in the calendar if the owner said so of one at that time in conversations `ids`."""
    before = connection.execute(select(conversations.c.structured).where(_is(uid, *ids))).scalars()
    marked = {event["start"] for each in before for event in each.get("events", ()) if event.get("created")}
    events = [
        {**event, "created": True} if event["start"] in marked else event
        for event in structured.get("events", ())
    ]
    return {**structured, "events": events} if marked else dict(structured)


def _keep(connection: Connection, uid: str, id: str, done: Processed, now: int) -> None:
    unwanted = unwanted_of(connection, uid, id)
    wanted = unsaid(done.action_items, lambda row: row.description, unwanted)
    items = replace_action_items(connection, uid, id, wanted)
    facts = _new(connection, uid, id, unsaid(done.memories, lambda row: row.content, unwanted))
    facts = replace_memories(connection, uid, id, facts)
    index_conversation(connection, uid, id)
    if done.vectors_later:
        index_one(connection, "conversation", uid, id, now)
        index_rows(connection, "action_item", items, now)
        index_rows(connection, "memory", facts, now)
    if done.vectors is None:
        return
    if not any(row.kind == "conversation" for row in done.vectors):
        delete_vectors(connection, uid, "conversation", [id])
    dropped = {row.id for row in done.memories} - {row.id for row in facts}
    dropped |= {row.id for row in done.action_items} - {row.id for row in items}
    put_vectors(connection, [row for row in done.vectors if row.id not in dropped])


def _new(connection: Connection, uid: str, id: str, rows: Sequence[MemoryRow]) -> list[MemoryRow]:
    """Those of `rows` that no other memory says in the same words, whether there are vectors to tell or not."""
    others = and_(memories.c.uid == uid, memories.c.conversation_id.is_distinct_from(id))
    same = and_(others, memories.c.content.in_([row.content for row in rows]))
    known = set(connection.execute(select(memories.c.content).where(same)).scalars())
    return [row for row in rows if row.content not in known]


def _fail(connection: Connection, job: Job, reason: str, now: int) -> None:
    if not fail_job(connection, job, reason, now):
        raise ClaimLost(job.key)
    changed = update(conversations).where(_is(job.uid, job.key))
    connection.execute(changed.values(status=FAILED, failure=reason))
    index_conversation(connection, job.uid, job.key)
    release_sources(connection, job.uid, job.payload.get("sources", ()))


def _end(connection: Connection, job: Job) -> None:
    if not finish_job(connection, job):
        raise ClaimLost(job.key)


def _erase(connection: Connection, job: Job, now: int) -> None:
    _end(connection, job)
    deleted = and_(conversations.c.uid == job.uid, conversations.c.id == job.key)
    at = connection.execute(select(conversations.c.deleted_at).where(deleted)).scalar()
    if at is not None:
        erase(connection, job.uid, job.key, now)


def _sweep(connection: Connection, now: int) -> int:
    busy = select(jobs.c.key).where(
        jobs.c.uid == conversations.c.uid, jobs.c.kind == PROCESS, jobs.c.key == conversations.c.id
    )
    left = and_(conversations.c.status == PROCESSING, conversations.c.deleted_at.is_(None), ~busy.exists())
    rows = [
        ConversationRow(**row) for row in connection.execute(select(conversations).where(left)).mappings()
    ]
    return sum(add(connection, _job(row, {}, now)) for row in rows)
