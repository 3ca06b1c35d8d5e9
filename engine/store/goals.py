"""What each user wants to reach, and how far they are, day by day.

As `engine.store.owned`. A goal's history has one row a day (UTC): the last value of that day.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, select, true, update

from engine.moments import DAY
from engine.store.database import Database, upsert
from engine.store.owned import Owned, delete_rows, put_rows
from engine.store.tables import goal_progress, goals
from engine.store.user_records import GoalRow

__all__ = ["ACTIVE_LIMIT", "DAY", "GoalDay", "Goals"]

ACTIVE_LIMIT = 3
"""Goals of one user that are active at once, as with the Omi backend."""


class GoalDay(msgspec.Struct, frozen=True, kw_only=True):
    """A goal's last value of `day`, which counts days (UTC) since the epoch."""

    day: int
    value: float
    recorded_at: int


class Goals(Owned[GoalRow]):
    """All goals."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, goals, GoalRow)

    async def active(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[GoalRow]:
        """A page of a user's active goals, newest first."""
        return await self.list(uid, goals.c.is_active == true(), limit=limit, offset=offset)

    async def add(self, row: GoalRow) -> None:
        """Keep a new goal. Of more than `ACTIVE_LIMIT` active ones the oldest are so no more."""
        await self._database.write(_add, row)

    async def progress(self, uid: str, id: str, values: Mapping[str, Any], now: int) -> GoalRow | None:
        """Set these columns of a goal and note its value of today; None when there is none."""
        return await self._database.write(_progress, uid, id, dict(values), now)

    async def history(self, uid: str, id: str, since: int) -> Sequence[GoalDay]:
        """The days of a goal from that of `since` (µs) on, latest first."""
        return await self._database.read(_history, uid, id, since)

    async def remove(self, uid: str, id: str) -> bool:
        """Remove a goal with its history; False when there is none."""
        return await self._database.write(_remove, uid, id)


def _add(connection: Connection, row: GoalRow) -> None:
    put_rows(connection, goals, [row])
    active = goals.c.uid == row.uid, goals.c.is_active == true()
    newest = select(goals.c.id).where(*active).order_by(goals.c.created_at.desc(), goals.c.id.desc())
    kept = list(connection.execute(newest.limit(ACTIVE_LIMIT)).scalars())
    connection.execute(update(goals).where(*active, goals.c.id.not_in(kept)).values(is_active=False))


def _progress(
    connection: Connection, uid: str, id: str, values: Mapping[str, Any], now: int
) -> GoalRow | None:
    there = goals.c.uid == uid, goals.c.id == id
    changed = connection.execute(update(goals).where(*there).values(dict(values)).returning(*goals.c))
    found = changed.mappings().first()
    if found is None:
        return None
    row = GoalRow(**found)
    new = {"value": row.current_value, "recorded_at": now}
    statement = upsert(connection.dialect.name, goal_progress)
    statement = statement.values(uid=uid, goal_id=id, day=now // DAY, **new)
    connection.execute(statement.on_conflict_do_update(index_elements=goal_progress.primary_key, set_=new))
    return row


def _history(connection: Connection, uid: str, id: str, since: int) -> list[GoalDay]:
    columns = goal_progress.c
    query = select(columns.day, columns.value, columns.recorded_at)
    query = query.where(columns.uid == uid, columns.goal_id == id, columns.day >= since // DAY)
    return [GoalDay(**row) for row in connection.execute(query.order_by(columns.day.desc())).mappings()]


def _remove(connection: Connection, uid: str, id: str) -> bool:
    history = and_(goal_progress.c.uid == uid, goal_progress.c.goal_id == id)
    delete_rows(connection, goal_progress, history)
    return delete_rows(connection, goals, and_(goals.c.uid == uid, goals.c.id == id)) > 0
