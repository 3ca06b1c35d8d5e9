"""Writing a batch of changes: a handful of statements in one transaction, harmless to repeat.

What makes it harmless: a conversation is inserted once and never after it was deleted; a segment is replaced
only by one of the same or a higher revision and never after it was deleted; times and status move forward
only; a usage entry is added up once.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    update,
)

from engine.store.batch import Batch, Key
from engine.store.database import upsert
from engine.store.records import STATUS_RANK, ConversationRow
from engine.store.tables import conversations, deleted_conversations, segments
from engine.store.usage import add_usage
from engine.wire.messages import Segment

KEYS_PER_QUERY = 500
"""Two parameters each; databases limit the parameters of one statement."""

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
    present = _matching(connection, batch.conversations, conversations)
    _write_segments(connection, batch, present)
    _delete_segments(connection, batch, present)
    _move_times(connection, batch, present)
    _close(connection, batch, present)
    add_usage(connection, list(batch.usage.values()))
    return len(batch.conversations) - len(present)


def insert_conversations(connection: Connection, rows: Collection[ConversationRow]) -> None:
    """Insert those that are not there and have not been deleted."""
    if not rows:
        return
    deleted = _matching(connection, [(row.uid, row.id) for row in rows], deleted_conversations)
    values = [msgspec.structs.asdict(row) for row in rows if (row.uid, row.id) not in deleted]
    if values:
        connection.execute(upsert(connection, conversations).on_conflict_do_nothing(), values)


def _matching(connection: Connection, keys: Iterable[Key], table: Any) -> set[Key]:
    found: set[Key] = set()
    for some in _chunks(keys, KEYS_PER_QUERY):
        query = select(table.c.uid, table.c.id).where(one_of(table.c.uid, table.c.id, some))
        found.update((uid, id) for uid, id in connection.execute(query))
    return found


def one_of(uid: ColumnElement[str], id: ColumnElement[str], keys: Iterable[Key]) -> ColumnElement[bool]:
    """Whether (`uid`, `id`) is one of `keys`. Not a list of pairs: SQLite would scan the table."""
    by_uid: dict[str, list[str]] = {}
    for owner, own in keys:
        by_uid.setdefault(owner, []).append(own)
    return or_(false(), *(and_(uid == owner, id.in_(own)) for owner, own in by_uid.items()))


def _chunks(keys: Iterable[Key], size: int) -> Iterator[list[Key]]:
    iterator = iter(keys)
    while some := list(islice(iterator, size)):
        yield some


def _next_ordinal() -> Any:
    others = segments.alias()
    highest = select(func.coalesce(func.max(others.c.ordinal), 0) + 1).where(
        others.c.uid == bindparam("of_uid"), others.c.conversation_id == bindparam("of_id")
    )
    return highest.scalar_subquery()


def _write_segments(connection: Connection, batch: Batch, present: set[Key]) -> None:
    values = [
        _segment_values(key, segment)
        for key, changes in batch.conversations.items()
        if key in present
        for segment in changes.segments.values()
        if segment is not None
    ]
    if not values:
        return
    insert = upsert(connection, segments).values(ordinal=_next_ordinal())
    changed = {name: insert.excluded[name] for name in CHANGING}
    newer = and_(segments.c.deleted == false(), insert.excluded.revision >= segments.c.revision)
    connection.execute(
        insert.on_conflict_do_update(index_elements=segments.primary_key, set_=changed, where=newer), values
    )


def _segment_values(key: Key, segment: Segment) -> dict[str, Any]:
    return {
        "of_uid": key[0],
        "of_id": key[1],
        "uid": key[0],
        "conversation_id": key[1],
        "id": segment.id,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "speaker": segment.speaker,
        "is_user": segment.is_user,
        "person_id": segment.person_id,
        "translations": msgspec.to_builtins(segment.translations),
        "speech_profile_processed": segment.speech_profile_processed,
        "stt_provider": segment.stt_provider,
        "revision": segment.revision,
        "deleted": False,
    }


def _delete_segments(connection: Connection, batch: Batch, present: set[Key]) -> None:
    values = [
        _segment_values(key, Segment(id=id, text="", start=0.0, end=0.0)) | {"deleted": True}
        for key, changes in batch.conversations.items()
        if key in present
        for id, segment in changes.segments.items()
        if segment is None
    ]
    if not values:
        return
    insert = upsert(connection, segments).values(ordinal=_next_ordinal())
    gone = {"deleted": True, "text": "", "translations": []}
    connection.execute(insert.on_conflict_do_update(index_elements=segments.primary_key, set_=gone), values)


def _of_conversation() -> Any:
    return and_(conversations.c.uid == bindparam("of_uid"), conversations.c.id == bindparam("of_id"))


def _forward(name: str) -> dict[str, Any]:
    column, new = conversations.c[name], bindparam(f"new_{name}", type_=BigInteger)
    return {name: case((column < new, new), else_=column)}


def _move_times(connection: Connection, batch: Batch, present: set[Key]) -> None:
    values = [
        {
            "of_uid": key[0],
            "of_id": key[1],
            "new_started_at": times.started_at,
            "new_finished_at": times.finished_at,
            "new_last_speech_at": times.last_speech_at,
        }
        for key, changes in batch.conversations.items()
        if key in present and (times := changes.times) is not None
    ]
    if values:
        moved = _forward("started_at") | _forward("finished_at") | _forward("last_speech_at")
        connection.execute(update(conversations).where(_of_conversation()).values(moved), values)


def _close(connection: Connection, batch: Batch, present: set[Key]) -> None:
    by_status: dict[str, list[dict[str, Any]]] = {}
    for key, changes in batch.conversations.items():
        if key in present and (closed := changes.closed) is not None:
            by_status.setdefault(closed.status, []).append(
                {
                    "of_uid": key[0],
                    "of_id": key[1],
                    "new_finished_at": closed.finished_at,
                    "new_discarded": closed.discarded,
                }
            )
    for status, values in by_status.items():
        # Not `in_`: its parameters cannot be used with many rows.
        lower = or_(
            *(conversations.c.status == s for s in STATUS_RANK if STATUS_RANK[s] < STATUS_RANK[status])
        )
        statement = (
            update(conversations)
            .where(_of_conversation(), lower)
            .values(status=status, discarded=bindparam("new_discarded"), **_forward("finished_at"))
        )
        connection.execute(statement, values)
