"""Conversations with all that is shown of them, read in one snapshot.

Bounded: at most `WHOLE_LIMIT` conversations at once, each with its segments and action items; pictures only where they
are asked for. Cost: one query for each kind of thing, however many conversations.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select

from engine.store.action_items import action_items_of
from engine.store.conversations import segments_of
from engine.store.database import Database
from engine.store.photos import photos_of
from engine.store.records import ConversationRow
from engine.store.tables import conversations
from engine.store.user_records import ActionItemRow, PhotoRow
from engine.wire.messages import Segment

__all__ = ["WHOLE_LIMIT", "Whole", "Wholes"]

WHOLE_LIMIT = 100


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, its segments by time, its action items and its photos in their order."""

    row: ConversationRow
    segments: Sequence[Segment] = ()
    action_items: Sequence[ActionItemRow] = ()
    photos: Sequence[PhotoRow] = ()


class Wholes:
    """All conversations of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, uid: str, id: str) -> Whole | None:
        """One conversation with its photos; None when there is none, or it was deleted."""
        return await self._database.read(_get, uid, id)

    async def of(self, rows: Sequence[ConversationRow]) -> list[Whole]:
        """Each of `rows`, without photos. Raises `ValueError` for more than `WHOLE_LIMIT`."""
        if len(rows) > WHOLE_LIMIT:
            raise ValueError(f"rows: {len(rows)} given, at most {WHOLE_LIMIT} accepted")
        return await self._database.read(_of, tuple(rows), False)


def _get(connection: Connection, uid: str, id: str) -> Whole | None:
    of = conversations.c
    query = select(conversations).where(of.uid == uid, of.id == id, of.deleted_at.is_(None))
    found = connection.execute(query).mappings().first()
    return None if found is None else _of(connection, [ConversationRow(**found)], True)[0]


def _of(connection: Connection, rows: Sequence[ConversationRow], pictures: bool) -> list[Whole]:
    keys = [(row.uid, row.id) for row in rows]
    said, to_do = segments_of(connection, keys), action_items_of(connection, keys)
    seen = photos_of(connection, keys) if pictures else {}
    return [
        Whole(row=row, segments=said.get(key, ()), action_items=to_do.get(key, ()), photos=seen.get(key, ()))
        for row, key in zip(rows, keys, strict=True)
    ]
