"""How often somebody may do something, counted for all processes together.

Operations: `take` counts once, or says how long there is no room.
Invariants: as `engine.rate_limit`: who waited for the whole span may do it `count` times at once; within any span it is
never more than twice as many. Of several who count at the same moment each is counted.
Bounded: one row for each whose bucket was not full when it was last counted.
Cost: a transaction for each `take`, which also forgets the user's buckets that are full.
"""

from sqlalchemy import Connection, delete, select

from engine.moments import SECOND
from engine.store.database import Database, WallClock, upsert
from engine.store.tables import allowances

__all__ = ["Allowances"]


class Allowances:
    """Of all users."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def take(self, uid: str, what: str, count: int, seconds: float) -> float:
        """Count once, and give 0; seconds until there is room when there is none, and then nothing is counted.

        `what` is done at most `count` times in `seconds`.
        """
        return await self._database.write(_take, uid, what, count, round(seconds * SECOND), self._now())


def _take(connection: Connection, uid: str, what: str, count: int, span: int, now: int) -> float:
    of = allowances.c
    connection.execute(delete(allowances).where(of.uid == uid, of.full_at <= now))
    mine = select(of.full_at).where(of.uid == uid, of.what == what).with_for_update()
    full_at = max(now, connection.execute(mine).scalar() or 0) + span // count
    if full_at - now > span:
        return (full_at - now - span) / SECOND
    row = upsert(connection.dialect.name, allowances).values(uid=uid, what=what, full_at=full_at)
    changed = {"full_at": row.excluded.full_at}
    connection.execute(row.on_conflict_do_update(index_elements=allowances.primary_key, set_=changed))
    return 0.0
