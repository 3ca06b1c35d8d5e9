"""The pictures of conversations.

As `engine.store.owned`, oldest first within a conversation. Bounded: a conversation is read as a whole, and has as
many photos as sessions were allowed to add.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from engine.store.database import Database
from engine.store.keyed import Key, one_of
from engine.store.owned import Owned
from engine.store.tables import photos
from engine.store.user_records import PhotoRow

__all__ = ["Photos", "photos_of"]


class Photos(Owned[PhotoRow]):
    """All photos."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, photos, PhotoRow)

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[PhotoRow]:
        """Those of one conversation, oldest first."""
        return (await self.of_conversations([(uid, conversation_id)])).get((uid, conversation_id), [])

    async def of_conversations(self, keys: Sequence[Key]) -> dict[Key, list[PhotoRow]]:
        """Those of each conversation (uid, id), oldest first, read in one query."""
        return await self._database.read(photos_of, keys)

    async def count_of(self, uid: str, conversation_id: str) -> int:
        """How many photos a conversation has."""
        return await self._database.read(_count_of, uid, conversation_id)


def photos_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[PhotoRow]]:
    """As `Photos.of_conversations`."""
    query = select(photos).where(one_of(photos.c.uid, photos.c.conversation_id, keys))
    found: dict[Key, list[PhotoRow]] = {}
    for values in connection.execute(query.order_by(photos.c.created_at, photos.c.id)).mappings():
        row = PhotoRow(**values)
        found.setdefault((row.uid, row.conversation_id), []).append(row)
    return found


def _count_of(connection: Connection, uid: str, conversation_id: str) -> int:
    there = photos.c.uid == uid, photos.c.conversation_id == conversation_id
    return int(connection.execute(select(func.count()).select_from(photos).where(*there)).scalar_one())
