"""What is to be done: action items, drawn from conversations or written by hand.

As `engine.store.indexed`; those of a conversation are ordered by `ordinal`, all others newest first. What its owner
wrote or changed (`by_owner`) is never replaced by processing.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Dialect, and_, bindparam, select, true, update

from engine.store.database import Database, WallClock
from engine.store.indexed import Indexed, forget_rows
from engine.store.keyed import Key, by_uid
from engine.store.owned import put_rows
from engine.store.prepared import PreparedQuery, is_listed, listed
from engine.store.tables import action_items
from engine.store.texts import index_ended
from engine.store.unwanted import unsaid
from engine.store.user_records import ActionItemRow

__all__ = ["ActionItems", "ItemFilter", "action_items_of", "adopt_action_items", "replace_action_items"]


class ItemFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which action items. Times in µs, both bounds inclusive; None asks for nothing."""

    completed: bool | None = None
    conversation_id: str | None = None
    start: int | None = None
    end: int | None = None
    due_start: int | None = None
    due_end: int | None = None


class ActionItems(Indexed[ActionItemRow]):
    """All action items."""

    def __init__(self, database: Database, now: WallClock) -> None:
        super().__init__(database, now, action_items, ActionItemRow, "action_item")

    async def find(
        self, uid: str, filter: ItemFilter, *, limit: int, offset: int = 0
    ) -> Sequence[ActionItemRow]:
        """A page of a user's action items, newest first."""
        return await self.list(uid, *_conditions(filter), limit=limit, offset=offset)

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[ActionItemRow]:
        """Those of one conversation, in order."""
        return (await self.of_conversations([(uid, conversation_id)])).get((uid, conversation_id), [])

    async def of_conversations(self, keys: Sequence[Key]) -> dict[Key, list[ActionItemRow]]:
        """Those of each conversation (uid, id), in order, read in one query; none where there are none."""
        return await self._database.read(action_items_of, keys)

    def _put(self, connection: Connection, rows: Sequence[ActionItemRow], now: int) -> None:
        super()._put(connection, rows, now)
        self._find_anew(connection, rows)

    def _change(
        self, connection: Connection, uid: str, id: str, values: dict[str, Any], now: int
    ) -> ActionItemRow | None:
        row = super()._change(connection, uid, id, values | {"by_owner": True}, now)
        self._find_anew(connection, () if row is None else (row,))
        return row

    def _delete(self, connection: Connection, uid: str, id: str) -> bool:
        rows = self._select(connection, uid, id)
        gone = super()._delete(connection, uid, id)
        self._find_anew(connection, rows)
        return gone

    def _find_anew(self, connection: Connection, rows: Sequence[ActionItemRow]) -> None:
        """The words of an action item are among those by which its conversation is found."""
        for uid, id in {(row.uid, row.conversation_id) for row in rows}:
            if id is not None:
                index_ended(connection, uid, id)


def action_items_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[ActionItemRow]]:
    """As `ActionItems.of_conversations`."""
    found: dict[Key, list[ActionItemRow]] = {}
    query, dialect = _query(connection.dialect), connection.dialect.name
    for uid, ids in by_uid(keys).items():
        for values in query.mappings(connection, {"uid": uid, "ids": listed(ids, dialect)}):
            found.setdefault((uid, values["conversation_id"]), []).append(ActionItemRow(**values))
    return found


@lru_cache(maxsize=8)
def _query(dialect: Dialect) -> PreparedQuery:
    of = action_items.c
    of_these = and_(of.uid == bindparam("uid"), is_listed(of.conversation_id, dialect.name))
    query = select(action_items).where(of_these).order_by(of.ordinal, of.created_at)
    return PreparedQuery(query, dialect)


def replace_action_items(
    connection: Connection, uid: str, conversation_id: str, rows: Sequence[ActionItemRow]
) -> list[ActionItemRow]:
    """Keep `rows` as the action items of a conversation; returns those of them that are kept.

    Those that were there go with their vectors, but for what the owner had a hand in, which is not joined by one that
    says the same. The vectors of `rows` are the caller's to keep.
    """
    of = action_items.c
    others = and_(
        of.uid == uid, of.conversation_id == conversation_id, of.id.not_in([row.id for row in rows])
    )
    there = connection.execute(select(of.id, of.description, of.by_owner).where(others)).all()
    forget_rows(connection, uid, "action_item", [row.id for row in there if not row.by_owner])
    kept = unsaid(rows, lambda row: row.description, [row.description for row in there if row.by_owner])
    put_rows(connection, action_items, kept)
    return kept


def adopt_action_items(
    connection: Connection, uid: str, sources: Sequence[str], conversation_id: str
) -> None:
    """What the owner had a hand in of `sources` is of a conversation that is made of them."""
    of = action_items.c
    theirs = and_(of.uid == uid, of.conversation_id.in_(sources), of.by_owner == true())
    connection.execute(update(action_items).where(theirs).values(conversation_id=conversation_id))


def _conditions(filter: ItemFilter) -> list[ColumnElement[bool]]:
    columns = action_items.c
    terms = [
        None if filter.completed is None else columns.completed.is_(filter.completed),
        None if filter.conversation_id is None else columns.conversation_id == filter.conversation_id,
        None if filter.start is None else columns.created_at >= filter.start,
        None if filter.end is None else columns.created_at <= filter.end,
        None if filter.due_start is None else columns.due_at >= filter.due_start,
        None if filter.due_end is None else columns.due_at <= filter.due_end,
    ]
    return [term for term in terms if term is not None]
