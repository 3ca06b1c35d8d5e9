"""Writing a batch of changes: a handful of statements in one transaction, harmless to repeat.

What makes it harmless: a conversation is inserted once and never after it was deleted; a segment is replaced
only by one of the same or a higher revision and never after it was deleted; times and status move forward
only; a usage entry is added up once; a conversation that is to be processed has one job, made in the same transaction.

Each statement has one text, whatever is in the batch, and takes one set of values a row: it is compiled once, and
the database knows it after the first batch. What depends on the database (is the conversation there?) is
asked inside the statements for the same reason. Cost: `python -m bench.store`.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Connection,
    Dialect,
    Integer,
    String,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    update,
)

from engine.store.batch import Batch, Key, Times
from engine.store.database import upsert
from engine.store.jobs import PROCESS
from engine.store.prepared import Prepared
from engine.store.records import PROCESSING, STATUS_RANK, ConversationRow
from engine.store.tables import conversations, deleted_conversations, jobs, segments
from engine.store.usage import add_usage
from engine.wire.messages import Segment

CHANGING = (
    "start",
    "end",
    "text",
    "speaker",
    "is_user",
    "person_id",
    "translations",
    "speech_profile_processed",
    "stt_provider",
    "revision",
)
"""What a new revision of a segment replaces."""


def apply_batch(connection: Connection, batch: Batch) -> int:
    """Write `batch`; returns how many of its conversations are not there (deleted): theirs was dropped."""
    insert_conversations(
        connection, [changes.opened for changes in batch.conversations.values() if changes.opened is not None]
    )
    present = _move_times(connection, batch)
    _write_segments(connection, batch)
    _delete_segments(connection, batch)
    _close(connection, batch)
    add_usage(connection, list(batch.usage.values()))
    return len(batch.conversations) - present


def insert_conversations(connection: Connection, rows: Collection[ConversationRow]) -> None:
    """Insert those that are not there and have not been deleted."""
    values = [{f"new_{name}": value for name, value in msgspec.structs.asdict(row).items()} for row in rows]
    _statements(connection.dialect).insert.run(connection, values)


class _Statements:
    """All of them, in one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.insert = Prepared(_insertion(dialect.name), dialect)
        self.move = Prepared(_moving(), dialect)
        self.write = Prepared(_writing(dialect.name), dialect)
        self.delete = Prepared(_deleting(dialect.name), dialect)
        self.close = {status: Prepared(_closing(status), dialect) for status in STATUS_RANK}
        self.queue = Prepared(_queueing(dialect.name), dialect)


@lru_cache(maxsize=8)
def _statements(dialect: Dialect) -> _Statements:
    return _Statements(dialect)


def _insertion(dialect: str) -> Any:
    marks = deleted_conversations.c
    deleted = exists().where(marks.uid == bindparam("new_uid"), marks.id == bindparam("new_id"))
    row = select(*(_new(column) for column in conversations.c)).where(~deleted)
    names = [column.name for column in conversations.c]
    return upsert(dialect, conversations).from_select(names, row).on_conflict_do_nothing()


def _new(column: Any) -> Any:
    return bindparam(f"new_{column.name}", type_=column.type)


def _of_conversation() -> Any:
    return and_(conversations.c.uid == bindparam("of_uid"), conversations.c.id == bindparam("of_id"))


def _forward(name: str) -> dict[str, Any]:
    column, new = conversations.c[name], bindparam(f"new_{name}", type_=BigInteger)
    return {name: case((column < new, new), else_=column)}


def _moving() -> Any:
    forward = _forward("started_at") | _forward("finished_at") | _forward("last_speech_at")
    return update(conversations).where(_of_conversation()).values(forward)


_UNMOVED = Times()


def _move_times(connection: Connection, batch: Batch) -> int:
    """Returns how many of the conversations are there; hence also those whose times stay are asked for."""
    values = [
        {
            "of_uid": uid,
            "of_id": id,
            "new_started_at": times.started_at,
            "new_finished_at": times.finished_at,
            "new_last_speech_at": times.last_speech_at,
        }
        for (uid, id), changes in batch.conversations.items()
        for times in (changes.times or _UNMOVED,)
    ]
    return _statements(connection.dialect).move.run(connection, values)


def _writing(dialect: str) -> Any:
    """Of a segment whose conversation is there: insert it, or replace it by a newer revision."""
    insert = _segment_insertion(dialect)
    changed = {name: insert.excluded[name] for name in CHANGING}
    newer = and_(segments.c.deleted == false(), insert.excluded.revision >= segments.c.revision)
    return insert.on_conflict_do_update(index_elements=segments.primary_key, set_=changed, where=newer)


def _deleting(dialect: str) -> Any:
    """As `_writing`, for the empty row that is left of a deleted one."""
    gone = {"deleted": True, "text": "", "translations": []}
    insert = _segment_insertion(dialect)
    return insert.on_conflict_do_update(index_elements=segments.primary_key, set_=gone)


def _segment_insertion(dialect: str) -> Any:
    others = segments.alias()
    ordinal = select(func.coalesce(func.max(others.c.ordinal), 0) + 1).where(
        others.c.uid == bindparam("of_uid"), others.c.conversation_id == bindparam("of_id")
    )
    known = {
        "uid": conversations.c.uid,
        "conversation_id": conversations.c.id,
        "ordinal": ordinal.scalar_subquery(),
    }
    values = {column.name: known.get(column.name, _new(column)) for column in segments.c}
    row = select(*(value.label(name) for name, value in values.items())).where(_of_conversation())
    return upsert(dialect, segments).from_select(list(values), row)


def _write_segments(connection: Connection, batch: Batch) -> None:
    values = [
        _segment_values(key, segment)
        for key, changes in batch.conversations.items()
        for segment in changes.segments.values()
        if segment is not None
    ]
    _statements(connection.dialect).write.run(connection, values)


def _delete_segments(connection: Connection, batch: Batch) -> None:
    values = [
        _segment_values(key, Segment(id=id, text="", start=0.0, end=0.0), deleted=True)
        for key, changes in batch.conversations.items()
        for id, segment in changes.segments.items()
        if segment is None
    ]
    _statements(connection.dialect).delete.run(connection, values)


def _segment_values(key: Key, segment: Segment, *, deleted: bool = False) -> dict[str, Any]:
    return {
        "of_uid": key[0],
        "of_id": key[1],
        "new_id": segment.id,
        "new_start": segment.start,
        "new_end": segment.end,
        "new_text": segment.text,
        "new_speaker": segment.speaker,
        "new_is_user": segment.is_user,
        "new_person_id": segment.person_id,
        "new_translations": msgspec.to_builtins(segment.translations),
        "new_speech_profile_processed": segment.speech_profile_processed,
        "new_stt_provider": segment.stt_provider,
        "new_revision": segment.revision,
        "new_deleted": deleted,
    }


def _closing(status: str) -> Any:
    # Not `in_`: its parameters cannot be used with many rows.
    rank = STATUS_RANK[status]
    lower = or_(false(), *(conversations.c.status == s for s in STATUS_RANK if STATUS_RANK[s] < rank))
    return (
        update(conversations)
        .where(_of_conversation(), lower)
        .values(status=status, discarded=bindparam("new_discarded", type_=Boolean), **_forward("finished_at"))
    )


def _close(connection: Connection, batch: Batch) -> None:
    by_status: dict[str, list[dict[str, Any]]] = {}
    for (uid, id), changes in batch.conversations.items():
        if (closed := changes.closed) is not None:
            by_status.setdefault(closed.status, []).append(
                {
                    "of_uid": uid,
                    "of_id": id,
                    "new_finished_at": closed.finished_at,
                    "new_discarded": closed.discarded,
                }
            )
    for status, values in by_status.items():
        _statements(connection.dialect).close[status].run(connection, values)
    _queue(connection, batch)


def _queueing(dialect: str) -> Any:
    """The job that processes a conversation, if that is its status; nothing when it waits already or is done."""
    at = conversations.c.finished_at
    values = {
        "uid": conversations.c.uid,
        "kind": literal(PROCESS, String),
        "key": conversations.c.id,
        "payload": bindparam("new_payload", type_=JSON),
        "created_at": at,
        "due_at": at,
        "attempts": literal(0, Integer),
        "failures": literal(0, Integer),
    }
    row = select(*(value.label(name) for name, value in values.items()))
    there = and_(
        _of_conversation(), conversations.c.status == PROCESSING, conversations.c.deleted_at.is_(None)
    )
    return upsert(dialect, jobs).from_select(list(values), row.where(there)).on_conflict_do_nothing()


def _queue(connection: Connection, batch: Batch) -> None:
    values = [
        {"of_uid": uid, "of_id": id, "new_payload": {"force": changes.closed.forced}}
        for (uid, id), changes in batch.conversations.items()
        if changes.closed is not None and changes.closed.status == PROCESSING
    ]
    _statements(connection.dialect).queue.run(connection, values)
