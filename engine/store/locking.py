"""Locked conversations and what was drawn from them."""

from sqlalchemy import Connection, true, update

from engine.store.database import Database
from engine.store.tables import action_items, conversations, memories

__all__ = ["Locking"]


class Locking:
    """Everything of a user that is locked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unlock(self, uid: str) -> int:
        """Unlock all that is locked of a user; how many conversations that were."""
        return await self._database.write(_unlock, uid)


def _unlock(connection: Connection, uid: str) -> int:
    for table in (memories, action_items):
        there = table.c.uid == uid, table.c.is_locked == true()
        connection.execute(update(table).where(*there).values(is_locked=False))
    there = conversations.c.uid == uid, conversations.c.is_locked == true()
    return connection.execute(update(conversations).where(*there).values(is_locked=False)).rowcount
