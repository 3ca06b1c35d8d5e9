"""What each user used, per hour.

Invariants: an entry id is added up once, however often it is replayed.
Bounded: one row per user and hour (and vendor); entry ids are forgotten once no journal can hold them
(`forget_entries`).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from engine.moments import HOUR
from engine.store.database import Database, upsert
from engine.store.records import UsageAdded, UsageRow
from engine.store.tables import usage, usage_entries, vendor_usage

SUMS = ("audio_seconds", "speech_seconds", "words", "segments", "conversations", "sessions")


def hour_of(time: int) -> int:
    """The beginning (µs) of the UTC hour that `time` (µs) lies in."""
    return time - time % HOUR


class Usage:
    """Usage rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, id: str, row: UsageRow) -> None:
        """Add `row` to its user and hour, once per (user, `id`)."""
        await self._database.write(add_usage, [UsageAdded(id, row)])

    async def read(
        self,
        uid: str | None = None,
        start: int | None = None,
        end: int | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[UsageRow]:
        """Rows of one user (or all), of hours that begin in `start` ≤ hour < `end`, oldest first."""
        return await self._database.read(_read, uid, start, end, limit, offset)


def add_usage(connection: Connection, entries: Sequence[UsageAdded]) -> None:
    """Add up those entries that have not been added before."""
    if not entries:
        return
    insert = upsert(connection.dialect.name, usage_entries).on_conflict_do_nothing()
    added = connection.execute(
        insert.returning(usage_entries.c.uid, usage_entries.c.id),
        [{"uid": entry.row.uid, "id": entry.id, "hour": entry.row.hour} for entry in entries],
    )
    new = {(uid, id) for uid, id in added}
    rows = [entry.row for entry in entries if (entry.row.uid, entry.id) in new]
    _add(
        connection,
        usage,
        [{"uid": row.uid, "hour": row.hour} | {name: getattr(row, name) for name in SUMS} for row in rows],
        SUMS,
    )
    _add(
        connection,
        vendor_usage,
        [
            {"uid": row.uid, "hour": row.hour, "vendor": vendor, "seconds": seconds}
            for row in rows
            for vendor, seconds in row.vendor_seconds.items()
        ],
        ("seconds",),
    )


def _add(connection: Connection, table: Any, values: list[dict[str, Any]], sums: Sequence[str]) -> None:
    if not values:
        return
    insert = upsert(connection.dialect.name, table)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=table.primary_key,
            set_={name: table.c[name] + insert.excluded[name] for name in sums},
        ),
        values,
    )


def forget_entries(connection: Connection, before: int) -> None:
    """Forget the ids of entries of hours that began before `before`."""
    connection.execute(delete(usage_entries).where(usage_entries.c.hour < before))


def _read(
    connection: Connection,
    uid: str | None,
    start: int | None,
    end: int | None,
    limit: int | None,
    offset: int,
) -> list[UsageRow]:
    page = _within(usage, uid, start, end).limit(limit).offset(offset)
    rows = connection.execute(page).mappings().all()
    if not rows:
        return []
    vendors: dict[tuple[str, int], dict[str, float]] = {}
    for row in connection.execute(_within(vendor_usage, uid, rows[0]["hour"], rows[-1]["hour"] + HOUR)):
        vendors.setdefault((row.uid, row.hour), {})[row.vendor] = row.seconds
    return [UsageRow(**row, vendor_seconds=vendors.get((row["uid"], row["hour"]), {})) for row in rows]


def _within(table: Any, uid: str | None, start: int | None, end: int | None) -> Any:
    query = select(table).order_by(table.c.hour, table.c.uid)
    if uid is not None:
        query = query.where(table.c.uid == uid)
    if start is not None:
        query = query.where(table.c.hour >= start)
    if end is not None:
        query = query.where(table.c.hour < end)
    return query
