"""Conversations with all that is shown of them, read in one snapshot.

Bounded: at most `WHOLE_LIMIT` conversations at once, each with its segments and action items; pictures only where they
are asked for. Cost: one query for each kind of thing, however many conversations.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, Dialect, and_, bindparam, select

from engine.store.action_items import action_items_of
from engine.store.conversations import segments_of
from engine.store.database import Database
from engine.store.photos import Photos, photos_of
from engine.store.prepared import PreparedQuery, is_listed, listed
from engine.store.records import ConversationRow
from engine.store.tables import conversations
from engine.store.user_records import ActionItemRow, PhotoRow
from engine.wire.messages import Segment

__all__ = ["WHOLE_LIMIT", "Whole", "Wholes", "some_wholes"]

WHOLE_LIMIT = 100

T = TypeVar("T")


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, its segments by time, its action items and its photos in their order."""

    row: ConversationRow
    segments: Sequence[Segment] = ()
    action_items: Sequence[ActionItemRow] = ()
    photos: Sequence[PhotoRow] = ()


class Wholes:
    """All conversations of all users."""

    def __init__(self, database: Database, photos: Photos) -> None:
        self._database = database
        self._photos = photos

    async def get(self, uid: str, id: str, *, pictures: bool = True) -> Whole | None:
        """One conversation with its photos; None when there is none, or it was deleted.

        Not `pictures`: of those that are blobs, which may be far away, all but the picture itself.
        """
        whole = await self._database.read(_get, uid, id)
        if whole is None or not (pictures and whole.photos):
            return whole
        return msgspec.structs.replace(whole, photos=await self._photos.shown(whole.photos))

    async def some(self, uid: str, ids: Sequence[str]) -> list[Whole]:
        """Those of a user's conversations that have one of `ids`, in that order, without photos.

        Raises `ValueError` for more than `WHOLE_LIMIT`.
        """
        return await self._database.read(some_wholes, uid, tuple(ids)) if ids else []

    async def made_of_some(self, uid: str, ids: Sequence[str], make: Callable[[Sequence[Whole]], T]) -> T:
        """`make(wholes)` of what `some` gives, in the thread that reads them: it must not block."""
        return await self._database.read(_made_of_some, uid, tuple(ids), make)

    async def of(self, rows: Sequence[ConversationRow]) -> list[Whole]:
        """Each of `rows`, without photos. Raises `ValueError` for more than `WHOLE_LIMIT`."""
        return await self.made_of(rows, list)

    async def made_of(self, rows: Sequence[ConversationRow], make: Callable[[Sequence[Whole]], T]) -> T:
        """`make(wholes)` of what `of` gives, in the thread that reads them: it must not block, and takes its time."""
        if len(rows) > WHOLE_LIMIT:
            raise ValueError(f"rows: {len(rows)} given, at most {WHOLE_LIMIT} accepted")
        return await self._database.read(_made, tuple(rows), make)


def _made(connection: Connection, rows: Sequence[ConversationRow], make: Callable[[Sequence[Whole]], T]) -> T:
    return make(_of(connection, rows, False))


def _made_of_some(
    connection: Connection, uid: str, ids: Sequence[str], make: Callable[[Sequence[Whole]], T]
) -> T:
    return make(some_wholes(connection, uid, ids) if ids else [])


def _get(connection: Connection, uid: str, id: str) -> Whole | None:
    rows = _rows(connection, uid, [id])
    return _of(connection, rows, True)[0] if rows else None


def some_wholes(connection: Connection, uid: str, ids: Sequence[str]) -> list[Whole]:
    """As `Wholes.some`. For use in another's transaction."""
    if len(ids) > WHOLE_LIMIT:
        raise ValueError(f"ids: {len(ids)} given, at most {WHOLE_LIMIT} accepted")
    rows = {row.id: row for row in _rows(connection, uid, ids)}
    return _of(connection, [rows[id] for id in ids if id in rows], False)


def _rows(connection: Connection, uid: str, ids: Sequence[str]) -> list[ConversationRow]:
    values = {"uid": uid, "ids": listed(ids, connection.dialect.name)}
    return [ConversationRow(**row) for row in _query(connection.dialect).mappings(connection, values)]


@lru_cache(maxsize=8)
def _query(dialect: Dialect) -> PreparedQuery:
    of = conversations.c
    there = and_(of.uid == bindparam("uid"), is_listed(of.id, dialect.name), of.deleted_at.is_(None))
    return PreparedQuery(select(conversations).where(there), dialect)


def _of(connection: Connection, rows: Sequence[ConversationRow], pictures: bool) -> list[Whole]:
    keys = [(row.uid, row.id) for row in rows]
    said, to_do = segments_of(connection, keys), action_items_of(connection, keys)
    seen = photos_of(connection, keys) if pictures else {}
    return [
        Whole(row=row, segments=said.get(key, ()), action_items=to_do.get(key, ()), photos=seen.get(key, ()))
        for row, key in zip(rows, keys, strict=True)
    ]
