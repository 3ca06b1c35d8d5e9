"""Summaries of users' days, and what keeps the schedule from making one twice.

    begin --> a lock for a while, and a job --keep_scheduled--> the summary of that day, marked `scheduled`

Operations: as `engine.store.owned`, and `dated` pages; for the schedule `covered` and `cover` (how far it has come),
`zones` and `due` (who is to have one), `begin`, `keep_scheduled`; `keep` for a summary that was asked for by hand.
Invariants: a user has one summary of a day. One that the schedule made is not made by it again. Of several processes
that begin with a user's day one gets it, and until its lock has run out none does; the job is added with the lock, so
what was begun is done though the process dies.
Bounded: a page has at most `PAGE` users; locks are forgotten once they have run out.
Cost: `zones` looks once into the index for each zone that users have; `due` at the users of one zone and hour.
Known doubts: `due` lists those who had a conversation in the day, also when nothing was said in any. What takes
longer to process than its summary waits, or is still in progress at the hour, is in none.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, false, func, select, true

from engine.moments import SECOND
from engine.store.database import Database, WallClock, upsert
from engine.store.errors import ClaimLost
from engine.store.jobs import Job, add, is_claimed
from engine.store.owned import Owned
from engine.store.records import COMPLETED, PROCESSING
from engine.store.tables import conversations, day_summaries, day_summary_locks, schedules, users
from engine.store.user_records import DaySummaryRow, UserRow

__all__ = ["PAGE", "SUMMARISE", "DaySummaries", "Due"]

SUMMARISE = "summarise"
"""The kind of job that makes the scheduled summary of the day that is its key."""

PAGE = 200
"""Users in one page."""


class Due(msgspec.Struct, frozen=True):
    """The day that is due: its date, and when it begins and the next one does (µs)."""

    date: str
    start: int
    end: int


_NAME = "day_summaries"
_DEFAULTS = UserRow(uid="")


class DaySummaries(Owned[DaySummaryRow]):
    """All of them."""

    def __init__(self, database: Database, now: WallClock) -> None:
        super().__init__(database, day_summaries, DaySummaryRow)
        self._now = now

    async def dated(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[DaySummaryRow]:
        """A page of a user's summaries, the latest day first."""
        return await self._database.read(_dated, uid, limit, offset)

    async def keep(self, row: DaySummaryRow) -> None:
        """Keep a summary, in the place of what there was of that day; `scheduled` stays once it was."""
        await self._database.write(_keep, row)

    async def keep_scheduled(self, job: Job, row: DaySummaryRow) -> DaySummaryRow:
        """Keep what the schedule's `job` made; what is kept: another's, if that was scheduled, too, and earlier.

        Raises `ClaimLost`, with nothing changed, when the job is somebody else's by now.
        """
        return await self._database.write(_keep_scheduled, job, row)

    async def covered(self) -> int | None:
        """Up to when (µs) the schedule has begun all that was due; None: it never ran."""
        return await self._database.read(_covered)

    async def cover(self, until: int) -> None:
        """The schedule has begun all that was due up to `until` (µs)."""
        await self._database.write(_cover, until, self._now())

    async def zones(self) -> Sequence[str]:
        """The names of the time zones that users have."""
        return await self._database.read(_zones)

    async def due(self, zone: str, hour: int, start: int, end: int, *, after: str = "") -> Sequence[str]:
        """The next `PAGE` users after the uid `after` who have that zone and want a summary at that hour.

        Only those with something to summarise: a conversation made from `start` up to `end` (µs), though it may be
        being processed yet.
        """
        return await self._database.read(_due, zone, hour, start, end, after)

    async def begin(self, uids: Sequence[str], day: Due, seconds: float, patience: float) -> Sequence[str]:
        """Have the schedule's summary of that day made for these users, and lock it for `seconds`.

        Those for whom it is not locked already, nor made. For those of whom a conversation of the day is being
        processed it is made `patience` seconds later.
        """
        now = self._now()
        until, later = now + round(seconds * SECOND), now + round(patience * SECOND)
        return await self._database.write(_begin, uids, day, now, until, later)


def _dated(connection: Connection, uid: str, limit: int, offset: int) -> list[DaySummaryRow]:
    query = select(day_summaries).where(day_summaries.c.uid == uid).order_by(day_summaries.c.date.desc())
    found = connection.execute(query.limit(limit).offset(offset)).mappings()
    return [DaySummaryRow(**row) for row in found]


def _keep(connection: Connection, row: DaySummaryRow) -> None:
    _insert(connection, row, {"created_at": row.created_at, "summary": row.summary}, true())


def _keep_scheduled(connection: Connection, job: Job, row: DaySummaryRow) -> DaySummaryRow:
    if not is_claimed(connection, job):
        raise ClaimLost(job.key)
    new = {"created_at": row.created_at, "summary": row.summary, "scheduled": True}
    _insert(connection, replace(row, scheduled=True), new, day_summaries.c.scheduled == false())
    there = and_(day_summaries.c.uid == row.uid, day_summaries.c.date == row.date)
    return DaySummaryRow(**connection.execute(select(day_summaries).where(there)).mappings().one())


def _insert(
    connection: Connection, row: DaySummaryRow, new: dict[str, Any], where: ColumnElement[bool]
) -> None:
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    insert = upsert(connection.dialect.name, day_summaries).values(values)
    connection.execute(insert.on_conflict_do_update(index_elements=["uid", "date"], set_=new, where=where))


def _covered(connection: Connection) -> int | None:
    query = select(schedules.c.covered_until).where(schedules.c.name == _NAME)
    return connection.execute(query).scalar()


def _cover(connection: Connection, until: int, now: int) -> None:
    insert = upsert(connection.dialect.name, schedules).values(name=_NAME, covered_until=until)
    new = {"covered_until": until}
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=new))
    connection.execute(delete(day_summary_locks).where(day_summary_locks.c.locked_until <= now))


def _zones(connection: Connection) -> list[str]:
    # From one zone to the next through the index, past all the users who share it.
    first = select(func.min(users.c.time_zone).label("zone"))
    found = first.cte("found", recursive=True)
    following = select(func.min(users.c.time_zone)).where(users.c.time_zone > found.c.zone).scalar_subquery()
    found = found.union_all(select(following).where(found.c.zone.is_not(None)))
    names = connection.execute(select(found.c.zone).where(found.c.zone.is_not(None))).scalars()
    return sorted({_DEFAULTS.time_zone, *names})


def _due(connection: Connection, zone: str, hour: int, start: int, end: int, after: str) -> list[str]:
    chosen = and_(
        users.c.time_zone == zone,
        users.c.daily_summary_hour == hour,
        users.c.daily_summary_enabled == true(),
        users.c.uid > after,
        exists().where(conversations.c.uid == users.c.uid, _is_of_day(start, end)),
    )
    found = list(
        connection.execute(select(users.c.uid).where(chosen).order_by(users.c.uid).limit(PAGE)).scalars()
    )
    if (zone, hour) == (_DEFAULTS.time_zone, _DEFAULTS.daily_summary_hour):
        found = sorted({*found, *_without_settings(connection, start, end, after)})[:PAGE]
    return found


def _without_settings(connection: Connection, start: int, end: int, after: str) -> list[str]:
    """Those who have set nothing at all."""
    nothing_set = ~exists().where(users.c.uid == conversations.c.uid)
    query = select(conversations.c.uid).distinct().order_by(conversations.c.uid).limit(PAGE)
    query = query.where(_is_of_day(start, end), conversations.c.uid > after, nothing_set)
    return list(connection.execute(query).scalars())


def _is_of_day(start: int, end: int, *statuses: str) -> ColumnElement[bool]:
    of = conversations.c
    return and_(
        of.created_at >= start,
        of.created_at < end,
        of.status.in_(statuses or (COMPLETED, PROCESSING)),
        of.discarded == false(),
        of.is_locked == false(),
        of.deleted_at.is_(None),
    )


def _begin(
    connection: Connection, uids: Sequence[str], day: Due, now: int, until: int, later: int
) -> list[str]:
    there = and_(day_summaries.c.uid.in_(uids), day_summaries.c.date == day.date)
    made = set(
        connection.execute(
            select(day_summaries.c.uid).where(there, day_summaries.c.scheduled == true())
        ).scalars()
    )
    begun = [uid for uid in uids if uid not in made and _lock(connection, uid, day.date, now, until)]
    unfinished = and_(conversations.c.uid.in_(begun), _is_of_day(day.start, day.end, PROCESSING))
    busy = set(connection.execute(select(conversations.c.uid).where(unfinished)).scalars())
    for uid in begun:
        due_at = later if uid in busy else now
        add(connection, Job(uid=uid, kind=SUMMARISE, key=day.date, created_at=now, due_at=due_at))
    return begun


def _lock(connection: Connection, uid: str, date: str, now: int, until: int) -> bool:
    insert = upsert(connection.dialect.name, day_summary_locks).values(uid=uid, date=date, locked_until=until)
    insert = insert.on_conflict_do_update(
        index_elements=["uid", "date"],
        set_={"locked_until": until},
        where=day_summary_locks.c.locked_until <= now,
    )
    return connection.execute(insert.returning(day_summary_locks.c.uid)).first() is not None
