"""Secrets that all processes of a server sign with, each made when the first of them needs it.

Operations: `get`. Bounded by the names in use; each is read once by a process.
"""

import secrets

from sqlalchemy import Connection, select

from engine.store.database import Database, WallClock, upsert
from engine.store.tables import signing_keys

__all__ = ["SigningKeys"]

KEY_BYTES = 32


class SigningKeys:
    """All keys, by what they are for."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now
        self._known: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes:
        """The key of this name, the same in every process."""
        if name not in self._known:
            made = secrets.token_bytes(KEY_BYTES)
            self._known[name] = await self._database.write(_get, name, made, self._now())
        return self._known[name]


def _get(connection: Connection, name: str, made: bytes, now: int) -> bytes:
    insert = upsert(connection.dialect.name, signing_keys).values(name=name, key=made, made_at=now)
    connection.execute(insert.on_conflict_do_nothing())
    kept: bytes = connection.execute(
        select(signing_keys.c.key).where(signing_keys.c.name == name)
    ).scalar_one()
    return kept
