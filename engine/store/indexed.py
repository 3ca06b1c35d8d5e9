"""Rows that are found by their meaning: memories and action items; and conversations whose vector could not be made.

Operations: those of `engine.store.owned`; and for whoever computes vectors, `index_text` and `keep_vector`.
Invariants: a change of a row's text and the job (kind `INDEX`) that brings its vector up to date are one commit; a row
and its vector go together. A vector is kept only for the row as it is: one that was computed of an older text, or an
earlier processing of a conversation, is dropped, for the newer one has a job of its own.
Cost: one job a changed text.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Table, and_, false, select

from engine.store import jobs
from engine.store.database import Database, WallClock
from engine.store.jobs import Job
from engine.store.owned import Owned, change_row, delete_rows, put_rows
from engine.store.tables import action_items, conversations, memories
from engine.store.unwanted import leave_out
from engine.store.vector_records import VectorKind, VectorRow
from engine.store.vectors import delete_vectors, put_vectors

__all__ = [
    "INDEX",
    "IndexText",
    "Indexed",
    "Indexing",
    "forget_rows",
    "index_one",
    "index_rows",
]

INDEX = "index"
"""The kind of the jobs."""

Row = TypeVar("Row", bound=msgspec.Struct)

_TABLES: Mapping[str, tuple[Table, str]] = {
    "memory": (memories, "content"),
    "action_item": (action_items, "description"),
}


class IndexText(msgspec.Struct, frozen=True, kw_only=True):
    """What a vector is to be made of. `created_at`: µs since the epoch.

    `labels`: what the vector may be asked for by; those of the conversation that it is, or that the text was drawn
    from. Of a conversation `structured`, its action items with it; `text` then says which processing that is the
    result of.
    """

    text: str
    created_at: int
    structured: Mapping[str, Any] | None = None
    labels: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)


class Indexed(Owned[Row]):
    """Rows of `kind` things. `what` they are among vectors."""

    def __init__(
        self, database: Database, now: WallClock, table: Table, kind: type[Row], what: VectorKind
    ) -> None:
        super().__init__(database, table, kind)
        self._now = now
        self._what = what
        self._tell: Callable[[], None] | None = None

    def when_text_changes(self, tell: Callable[[], None]) -> None:
        """Call `tell` when there is a job, which may also be found without."""
        self._tell = tell

    async def put(self, *rows: Row) -> None:
        """As `Owned.put`."""
        await self._database.write(self._put, rows, self._now())
        if self._tell is not None:
            self._tell()

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> Row | None:
        """As `Owned.change`."""
        row = await self._database.write(self._change, uid, id, dict(values), self._now())
        if self._tell is not None:
            self._tell()
        return row

    async def delete(self, uid: str, id: str) -> bool:
        """As `Owned.delete`."""
        return await self._database.write(self._delete, uid, id)

    async def delete_all(self, uid: str) -> int:
        """As `Owned.delete_all`."""
        return await self._database.write(_forget_all, uid, self._what)

    def _put(self, connection: Connection, rows: Sequence[Row], now: int) -> None:
        put_rows(connection, self._table, rows)
        index_rows(connection, self._what, rows, now)

    def _delete(self, connection: Connection, uid: str, id: str) -> bool:
        leave_out(connection, *_TABLES[self._what], self._is(uid, id))
        return forget_rows(connection, uid, self._what, [id]) > 0

    def _select(self, connection: Connection, uid: str, id: str) -> Sequence[Row]:
        found = connection.execute(select(self._table).where(self._is(uid, id))).mappings()
        return [self._kind(**row) for row in found]

    def _change(
        self, connection: Connection, uid: str, id: str, values: dict[str, Any], now: int
    ) -> Row | None:
        if _TABLES[self._what][1] in values:
            leave_out(connection, *_TABLES[self._what], self._is(uid, id))
        row = change_row(connection, self._table, self._kind, self._is(uid, id), values)
        if row is not None and _TABLES[self._what][1] in values:
            index_rows(connection, self._what, [row], now)
        return row


class Indexing:
    """What whoever computes vectors does besides claiming and ending jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def text(self, uid: str, what: VectorKind, id: str) -> IndexText | None:
        """Of which text the row's vector is to be made; None when the row is gone."""
        return await self._database.read(_text, uid, what, id)

    async def keep(self, job: Job, row: VectorRow, text: str) -> bool:
        """Keep the vector if the row's text is still `text`, and end the job; False when the claim was lost."""
        return await self._database.write(_keep, job, row, text)


def index_rows(connection: Connection, what: VectorKind, rows: Sequence[Any], now: int) -> None:
    """Have the vectors of `rows` made."""
    for row in rows:
        index_one(connection, what, row.uid, row.id, now)


def index_one(connection: Connection, what: VectorKind, uid: str, id: str, now: int) -> None:
    """Have the vector of what has this id made."""
    # The time makes the job another one than that of an older text, which may be under way.
    key = f"{what}:{id}:{now}"
    payload = {"what": what, "id": id}
    jobs.add(connection, Job(uid=uid, kind=INDEX, key=key, payload=payload, created_at=now, due_at=now))


def forget_rows(connection: Connection, uid: str, what: VectorKind, ids: Sequence[str]) -> int:
    """Remove these of a user's rows with their vectors; how many there were."""
    table, _ = _TABLES[what]
    if not ids:  # as of what is processed for the first time
        return 0
    delete_vectors(connection, uid, what, ids)
    return delete_rows(connection, table, and_(table.c.uid == uid, table.c.id.in_(ids)))


def _forget_all(connection: Connection, uid: str, what: VectorKind) -> int:
    table, text = _TABLES[what]
    leave_out(connection, table, text, table.c.uid == uid)
    ids = [id for (id,) in connection.execute(select(table.c.id).where(table.c.uid == uid))]
    delete_vectors(connection, uid, what, ids)
    return delete_rows(connection, table, table.c.uid == uid)


def _text(connection: Connection, uid: str, what: VectorKind, id: str) -> IndexText | None:
    if what == "conversation":
        return _of_conversation(connection, uid, id)
    table, text = _TABLES[what]
    of, conversation = table.c, conversations.c
    whose = and_(conversation.uid == of.uid, conversation.id == of.conversation_id)
    columns = of[text].label("text"), of.created_at, conversation.labels
    query = select(*columns).outerjoin_from(table, conversations, whose)
    row = connection.execute(query.where(of.uid == uid, of.id == id)).first()
    return (
        None if row is None else IndexText(text=row.text, created_at=row.created_at, labels=row.labels or {})
    )


def _of_conversation(connection: Connection, uid: str, id: str) -> IndexText | None:
    of = conversations.c
    there = and_(of.uid == uid, of.id == id, of.deleted_at.is_(None), of.discarded == false())
    columns = of.structured, of.labels, of.created_at, of.processing_version
    row = connection.execute(select(*columns).where(there)).first()
    if row is None:
        return None
    to_do = action_items.c
    of_it = select(to_do.description).where(to_do.uid == uid, to_do.conversation_id == id)
    items = [{"description": text} for text in connection.execute(of_it.order_by(to_do.ordinal)).scalars()]
    return IndexText(
        text=str(row.processing_version),
        created_at=row.created_at,
        structured={**row.structured, "action_items": items},
        labels=row.labels,
    )


def _keep(connection: Connection, job: Job, row: VectorRow, text: str) -> bool:
    current = _text(connection, row.uid, row.kind, row.id)
    if not jobs.finish(connection, job):
        return False
    if current is not None and current.text == text:
        put_vectors(connection, [row])
    return True
