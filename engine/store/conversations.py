"""Conversations and their segments.

Invariants: every statement about one user's conversation names the uid. What is deleted stays deleted, also
when an older journal is replayed, and is read by nobody from then on, whether it is erased already or not.
Bounded: a page has at most `PAGE_LIMIT` conversations; the marks of deleted conversations go once no journal
is older (`forget_deleted`).
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, TypedDict, Unpack

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    false,
    func,
    select,
    true,
    type_coerce,
    update,
)

from engine.store.apply import apply_batch, insert_conversations
from engine.store.batch import Batch
from engine.store.database import Database, WallClock
from engine.store.erasing import hide
from engine.store.keyed import by_uid
from engine.store.prepared import PreparedQuery, is_listed, listed, whole_rows
from engine.store.records import (
    COMPLETED,
    IN_PROGRESS,
    STATUS_RANK,
    ConversationRow,
    JournalRecord,
)
from engine.store.tables import conversations, deleted_conversations, segments
from engine.wire.messages import Segment, Translation

PAGE_LIMIT = 1000
"""Most conversations in one page."""


class Chosen(TypedDict, total=False):
    """Which of a user's conversations; None, or a key that is not there, means any.

    `start` and `end` (µs, both inclusive) bound `created_at`.
    """

    statuses: Collection[str] | None
    sources: Collection[str] | None
    start: int | None
    end: int | None
    include_discarded: bool
    folder_id: str | None
    starred: bool | None
    categories: Collection[str] | None
    locked: bool | None


# Inside the class `list` is the method.
Rows = list[ConversationRow]
Segments = list[Segment]


class Conversations:
    """All conversations of all users."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def create(self, row: ConversationRow) -> None:
        """Insert `row`; nothing happens when the conversation is there or has been deleted."""
        await self._database.write(insert_conversations, [row])

    async def get(self, uid: str, id: str) -> ConversationRow | None:
        """The conversation, or None."""
        return await self._database.read(_first, select(conversations).where(_is(uid, id)))

    async def segments(self, uid: str, id: str) -> Segments:
        """Its segments by start time, equal ones in the order they first came."""
        return await self._database.read(_segments_unless_deleted, uid, id)

    async def with_segments(
        self, rows: Sequence[ConversationRow]
    ) -> Sequence[tuple[ConversationRow, Segments]]:
        """Each of `rows` (a page: at most `PAGE_LIMIT`) with its segments, read in one query."""
        if len(rows) > PAGE_LIMIT:
            raise ValueError(f"rows: {len(rows)} given, at most {PAGE_LIMIT} accepted")
        found = await self._database.read(segments_of, [(row.uid, row.id) for row in rows])
        return [(row, found.get((row.uid, row.id), [])) for row in rows]

    async def some(self, uid: str, ids: Collection[str]) -> Rows:
        """Those of a user's conversations that have one of `ids` (at most `PAGE_LIMIT`), in no order."""
        if len(ids) > PAGE_LIMIT:
            raise ValueError(f"ids: {len(ids)} given, at most {PAGE_LIMIT} accepted")
        there = and_(_filter(uid), conversations.c.id.in_(ids))
        return await self._database.read(_all, select(conversations).where(there))

    async def list(self, uid: str, *, limit: int = 100, offset: int = 0, **chosen: Unpack[Chosen]) -> Rows:
        """A page of a user's conversations, newest first.

        Raises `ValueError` for a limit outside 1 to `PAGE_LIMIT` or a negative offset.
        """
        if not 1 <= limit <= PAGE_LIMIT:
            raise ValueError(f"limit: {limit} given, 1 to {PAGE_LIMIT} accepted")
        if offset < 0:
            raise ValueError(f"offset: {offset} given, 0 or more accepted")
        return await self._database.read(_page, uid, limit, offset, chosen)

    async def count(self, uid: str, **chosen: Unpack[Chosen]) -> int:
        """How many conversations `list` would give without limit and offset."""
        return await self._database.read(_count, uid, chosen)

    async def latest_in_progress(self, uid: str) -> ConversationRow | None:
        """The user's newest conversation that is still going on."""
        return await self._latest(uid, IN_PROGRESS)

    async def latest_completed(self, uid: str) -> ConversationRow | None:
        """The user's newest completed conversation."""
        return await self._latest(uid, COMPLETED)

    async def _latest(self, uid: str, status: str) -> ConversationRow | None:
        return await self._database.read(_latest, uid, status)

    async def all_unfinished(self) -> Rows:
        """Every user's conversations that are in progress, oldest first."""
        return await self._database.read(_all, _unfinished())

    async def unfinished(self, uid: str) -> Rows:
        """One user's conversations that are in progress, oldest first."""
        return await self._database.read(_all, _unfinished().where(conversations.c.uid == uid))

    async def apply(self, records: Sequence[JournalRecord]) -> int:
        """Write journal records in one transaction; repeating them, or older ones, changes nothing.

        Returns how many conversations were not there (deleted since), whose records were dropped.
        """
        return await self.apply_batch(Batch.of(records))

    async def apply_batch(self, batch: Batch) -> int:
        """As `apply`, of records already folded together."""
        return await self._database.write(apply_batch, batch)

    async def resume(self, uid: str, id: str, timeout_seconds: int) -> ConversationRow | None:
        """Take up a conversation again under another timeout; None when it is not in progress any more."""
        return await self._database.write(_resume, uid, id, timeout_seconds)

    async def set_status(
        self,
        uid: str,
        id: str,
        status: str,
        finished_at: int | None = None,
        *,
        expected: Collection[str] | None = None,
    ) -> bool:
        """Set a conversation's status, and `finished_at` when given; False when nothing was changed.

        With `expected` only if its status is one of those: of several who want to finish a conversation,
        one gets True. Raises `ValueError` for a status that does not exist.
        """
        if status not in STATUS_RANK:
            raise ValueError(f"status: {status!r} given, one of {', '.join(STATUS_RANK)} accepted")
        statement = update(conversations).where(_is(uid, id)).values(status=status)
        if finished_at is not None:
            statement = statement.values(finished_at=finished_at)
        if expected is not None:
            statement = statement.where(conversations.c.status.in_(expected))
        return await self._database.write(_changed, statement)

    async def delete(self, uid: str, id: str, *, cascade: bool = False, delay: float = 0.0) -> bool:
        """Delete a conversation with its action items; False when there was none.

        `cascade`: also the memories that were made of it. Its rows are erased after `delay` seconds, now for 0.
        """
        return await self._database.write(_delete, uid, id, self._now(), cascade, delay)


NOT_DELETED = conversations.c.deleted_at.is_(None)


def _is(uid: str, id: str) -> ColumnElement[bool]:
    return and_(conversations.c.uid == uid, conversations.c.id == id, NOT_DELETED)


def _filter(uid: str, **chosen: Unpack[Chosen]) -> ColumnElement[bool]:
    of, terms = conversations.c, [conversations.c.uid == uid, NOT_DELETED]
    if (statuses := chosen.get("statuses")) is not None:
        terms.append(of.status.in_(statuses))
    if (sources := chosen.get("sources")) is not None:
        terms.append(of.source.in_(sources))
    if (start := chosen.get("start")) is not None:
        terms.append(of.created_at >= start)
    if (end := chosen.get("end")) is not None:
        terms.append(of.created_at <= end)
    if not chosen.get("include_discarded", True):
        terms.append(of.discarded == false())
    if (folder_id := chosen.get("folder_id")) is not None:
        terms.append(of.folder_id == folder_id)
    if (starred := chosen.get("starred")) is not None:
        terms.append(of.starred == (true() if starred else false()))
    if (locked := chosen.get("locked")) is not None:
        terms.append(of.is_locked == (true() if locked else false()))
    if (categories := chosen.get("categories")) is not None:
        terms.append(of.structured["category"].as_string().in_(categories))
    return and_(*terms)


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(conversations.c.created_at.desc(), conversations.c.id.desc())


def _latest(connection: Connection, uid: str, status: str) -> ConversationRow | None:
    """Every client that connects asks: the query is made here, not on the loop."""
    query = select(conversations).where(
        conversations.c.uid == uid, conversations.c.status == status, NOT_DELETED
    )
    return _first(connection, _newest_first(query).limit(1))


def _unfinished() -> Select[Any]:
    query = select(conversations).where(conversations.c.status == IN_PROGRESS, NOT_DELETED)
    return query.order_by(conversations.c.created_at, conversations.c.id)


def _all(connection: Connection, query: Select[Any]) -> list[ConversationRow]:
    return [ConversationRow(**row) for row in whole_rows(connection, query, conversations)]


def _first(connection: Connection, query: Select[Any]) -> ConversationRow | None:
    return next(iter(_all(connection, query)), None)


def _page(connection: Connection, uid: str, limit: int, offset: int, chosen: Chosen) -> list[ConversationRow]:
    """The query is made here, not on the loop, which it would hold for a quarter of a millisecond."""
    query = select(conversations).where(_filter(uid, **chosen))
    return _all(connection, _newest_first(query).limit(limit).offset(offset))


def _count(connection: Connection, uid: str, chosen: Chosen) -> int:
    query = select(func.count()).select_from(conversations).where(_filter(uid, **chosen))
    return int(connection.execute(query).scalar_one())


def _changed(connection: Connection, statement: Any) -> bool:
    return bool(connection.execute(statement).rowcount)


def _resume(connection: Connection, uid: str, id: str, timeout_seconds: int) -> ConversationRow | None:
    there = and_(_is(uid, id), conversations.c.status == IN_PROGRESS)
    connection.execute(update(conversations).where(there).values(timeout_seconds=timeout_seconds))
    return _first(connection, select(conversations).where(there))


def _segments_unless_deleted(connection: Connection, uid: str, id: str) -> list[Segment]:
    if connection.execute(select(conversations.c.id).where(_is(uid, id))).first() is None:
        return []
    return segments_of(connection, [(uid, id)]).get((uid, id), [])


def segments_of(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[Segment]]:
    """The segments of each conversation (uid, id) by start time, equal ones in the order they first came."""
    found: dict[tuple[str, str], list[Segment]] = {}
    dialect, query = connection.dialect.name, _segments_query(connection.dialect)
    for uid, ids in by_uid(keys).items():
        own: dict[str, list[Segment]] = {id: [] for id in ids}
        for values in query.rows(connection, {"uid": uid, "ids": listed(ids, dialect)}):
            own[values[0]].append(_segment(values))
        found.update(((uid, id), said) for id, said in own.items())
    return found


@lru_cache(maxsize=8)
def _segments_query(dialect: Dialect) -> PreparedQuery:
    of = segments.c
    query = (
        select(
            of.conversation_id,
            of.id,
            of.text,
            of.speaker,
            type_coerce(of.is_user, Integer),
            of.person_id,
            of.start,
            of.end,
            type_coerce(of.translations, Text),
            type_coerce(of.speech_profile_processed, Integer),
            of.stt_provider,
            of.revision,
        )
        .where(of.uid == bindparam("uid"), is_listed(of.conversation_id, dialect.name))
        .where(of.deleted == false())
        .order_by(of.start, of.ordinal)
    )
    return PreparedQuery(query, dialect)


def _segment(values: Sequence[Any]) -> Segment:
    # The types above leave values as the driver gives them: converting them one by one takes longer than reading them.
    _, id, text, speaker, is_user, person_id, start, end, translations, processed, provider, revision = values
    return Segment(
        id=id,
        text=text,
        speaker=speaker,
        is_user=bool(is_user),
        person_id=person_id,
        start=start,
        end=end,
        translations=() if translations in ("[]", []) else _translations(translations),
        speech_profile_processed=bool(processed),
        stt_provider=provider,
        revision=revision,
    )


def _translations(kept: str | list[Any]) -> tuple[Translation, ...]:
    plain = msgspec.json.decode(kept) if isinstance(kept, str) else kept
    return msgspec.convert(plain, tuple[Translation, ...])


def _delete(connection: Connection, uid: str, id: str, now: int, cascade: bool, delay: float) -> bool:
    return hide(connection, uid, id, now=now, cascade=cascade, delay=delay)


def forget_deleted(connection: Connection, before: int) -> None:
    """Forget the marks of conversations deleted before `before`."""
    connection.execute(delete(deleted_conversations).where(deleted_conversations.c.deleted_at < before))
