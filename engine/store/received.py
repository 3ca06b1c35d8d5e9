"""What other servers' webhooks sent: files, of which the bytes are in the blob store, and messages.

Operations: `files` and `messages` are tables as `engine.store.owned` has them; `known` says which deliveries of a user
are there; `totals`, and what to erase first: `expired`, `oldest`, `over_quota`.
Invariants: a message whose id is there is not replaced: the first attempt of a delivery is kept.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Select, Table, func, literal, select, union_all

from engine.store.database import Database, upsert
from engine.store.owned import Owned
from engine.store.received_records import ReceivedFileRow, ReceivedMessageRow, ReceivedTotals
from engine.store.tables import received_files, received_messages

__all__ = ["Aged", "Received", "ReceivedFiles", "ReceivedMessages"]


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """One file (which has a `name` in the blob store) or message."""

    uid: str
    id: str
    name: str | None
    size: int
    created_at: int


class ReceivedFiles(Owned[ReceivedFileRow]):
    """Files of all users."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, received_files, ReceivedFileRow)

    async def of_kind(self, uid: str, kind: str, *, limit: int, offset: int = 0) -> Sequence[ReceivedFileRow]:
        """A page of a user's, newest first."""
        return await self.list(uid, received_files.c.kind == kind, limit=limit, offset=offset)

    async def known(self, uid: str, limit: int) -> list[str]:
        """The ids of a user's latest deliveries that became files, the latest last."""
        return await self._database.read(_known, uid, limit)


class ReceivedMessages(Owned[ReceivedMessageRow]):
    """Messages of all users."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, received_messages, ReceivedMessageRow)

    async def of_trigger(
        self, uid: str, trigger: str | None, *, limit: int, offset: int = 0
    ) -> Sequence[ReceivedMessageRow]:
        """A page of a user's, newest first, of one trigger or of all."""
        where = () if trigger is None else (received_messages.c.trigger == trigger,)
        return await self.list(uid, *where, limit=limit, offset=offset)

    async def add(self, row: ReceivedMessageRow) -> bool:
        """Keep a message; False, and nothing is changed, when one with its id is there."""
        return await self._database.write(_add, row)


class Received:
    """All that was received."""

    def __init__(self, database: Database) -> None:
        self.files = ReceivedFiles(database)
        self.messages = ReceivedMessages(database)
        self._database = database

    async def totals(self, uid: str | None = None) -> ReceivedTotals:
        """What is kept of one user, or of all."""
        return await self._database.read(_totals, uid)

    async def expired(self, before: int, limit: int) -> list[Aged]:
        """The oldest of what came before `before` (µs), of all users."""
        return await self._database.read(_expired, before, limit)

    async def oldest(self, uid: str | None, limit: int) -> list[Aged]:
        """The oldest there is, of one user or of all."""
        return await self._database.read(_oldest, uid, limit)

    async def over_quota(self, size: int) -> list[tuple[str, int]]:
        """The users of whom more than `size` bytes are kept, and how many are."""
        return await self._database.read(_over_quota, size)


def _known(connection: Connection, uid: str, limit: int) -> list[str]:
    table = received_files.c
    query = select(table.delivery_id).where(table.uid == uid, table.delivery_id.is_not(None))
    found = connection.execute(query.order_by(table.created_at.desc()).limit(limit)).scalars()
    return list(dict.fromkeys(reversed(list(found))))


def _add(connection: Connection, row: ReceivedMessageRow) -> bool:
    insert = upsert(connection.dialect.name, received_messages).values(msgspec.structs.asdict(row))
    added = insert.on_conflict_do_nothing().returning(received_messages.c.id)
    return connection.execute(added).first() is not None


def _aged(table: Table) -> Select[tuple[str, str, str | None, int, int]]:
    name = table.c.name if table is received_files else literal(None)
    return select(table.c.uid, table.c.id, name.label("name"), table.c.size, table.c.created_at)


def _expired(connection: Connection, before: int, limit: int) -> list[Aged]:
    return _first(connection, None, limit, before)


def _oldest(connection: Connection, uid: str | None, limit: int) -> list[Aged]:
    return _first(connection, uid, limit, None)


def _first(connection: Connection, uid: str | None, limit: int, before: int | None) -> list[Aged]:
    found: list[Aged] = []
    for table in (received_files, received_messages):
        query = _aged(table).order_by(table.c.created_at, table.c.id).limit(limit)
        if uid is not None:
            query = query.where(table.c.uid == uid)
        if before is not None:
            query = query.where(table.c.created_at < before)
        found += [Aged(**row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda one: (one.created_at, one.id))[:limit]


def _totals(connection: Connection, uid: str | None) -> ReceivedTotals:
    counts, sizes, times = [], 0, []
    for table in (received_files, received_messages):
        query = select(func.count(), func.coalesce(func.sum(table.c.size), 0), func.min(table.c.created_at))
        if uid is not None:
            query = query.where(table.c.uid == uid)
        count, size, oldest = connection.execute(query).one()
        counts.append(int(count))
        sizes += int(size)
        times += [] if oldest is None else [int(oldest)]
    return ReceivedTotals(
        files=counts[0], messages=counts[1], bytes=sizes, oldest_at=min(times, default=None)
    )


def _over_quota(connection: Connection, size: int) -> list[tuple[str, int]]:
    each = union_all(*(select(table.c.uid, table.c.size) for table in (received_files, received_messages)))
    sizes = each.subquery()
    total = func.sum(sizes.c.size)
    query = select(sizes.c.uid, total).group_by(sizes.c.uid).having(total > size)
    return [(uid, int(kept)) for uid, kept in connection.execute(query)]
