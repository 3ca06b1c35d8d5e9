"""What each user has set: name, language, time zone and the like.

Operations: `get`, through a cache; `change`; `delete`.
Invariants: every statement names the user; one without a row has the defaults. What is changed through this object
is read by it at once; what another process changed, after at most the cache's age.
Bounded: the cache by `CACHE_USERS`, the least recently read going first.
Cancellation: a cancelled change may still have taken effect; calling again does no harm.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from engine.moments import SECOND
from engine.remembered import Remembered
from engine.store.database import Database, WallClock, upsert
from engine.store.tables import users
from engine.store.user_records import UserRow

__all__ = ["CACHE_SECONDS", "Users"]

CACHE_USERS = 10_000
CACHE_SECONDS = 5.0


class Users:
    """All users' settings. `cache_seconds`: how old what is read may be when another process changed it."""

    def __init__(self, database: Database, now: WallClock, cache_seconds: float = CACHE_SECONDS) -> None:
        self._database = database
        self._now = now
        self._cache: Remembered[UserRow] = Remembered(round(cache_seconds * SECOND), CACHE_USERS, now)

    async def get(self, uid: str) -> UserRow:
        """What the user has set, or the defaults."""
        return await self._cache.get(uid, lambda uid: self._database.read(_get, uid))

    async def change(self, uid: str, values: Mapping[str, Any]) -> UserRow:
        """Set these fields; what is set then."""
        try:
            return await self._database.write(_change, uid, dict(values), self._now())
        finally:
            self._cache.forget(uid)

    async def delete(self, uid: str) -> None:
        """Forget all that the user has set."""
        try:
            await self._database.write(_delete, uid)
        finally:
            self._cache.forget(uid)


def _get(connection: Connection, uid: str) -> UserRow:
    found = connection.execute(select(users).where(users.c.uid == uid)).mappings().first()
    return UserRow(uid=uid) if found is None else UserRow(**found)


def _change(connection: Connection, uid: str, values: dict[str, Any], now: int) -> UserRow:
    row = {name: getattr(_get(connection, uid), name) for name in UserRow.__struct_fields__}
    row |= values | {"updated_at": now}
    statement = upsert(connection.dialect.name, users).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["uid"], set_=row))
    return UserRow(**row)


def _delete(connection: Connection, uid: str) -> None:
    connection.execute(delete(users).where(users.c.uid == uid))
