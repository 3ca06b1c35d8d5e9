"""What users and the engine said to each other in chats.

As `engine.store.owned`. There is one chat of a user's for each app, and one without an app.
"""

from sqlalchemy import ColumnElement, and_

from engine.store.database import Database
from engine.store.owned import Owned, delete_rows
from engine.store.tables import messages
from engine.store.user_records import MessageRow

__all__ = ["Messages"]

Rows = list  # inside the class `list` is the method


class Messages(Owned[MessageRow]):
    """All messages of all chats."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, messages, MessageRow)

    async def history(self, uid: str, app_id: str | None, limit: int, offset: int = 0) -> Rows[MessageRow]:
        """A page of one chat, newest first. Raises `ValueError` as `list`."""
        return await self.list(uid, _chat(app_id), limit=limit, offset=offset)

    async def clear(self, uid: str, app_id: str | None) -> int:
        """Remove all of one chat; how many messages there were."""
        chosen = and_(messages.c.uid == uid, _chat(app_id))
        return await self._database.write(delete_rows, messages, chosen)


def _chat(app_id: str | None) -> ColumnElement[bool]:
    return messages.c.app_id.is_(None) if app_id is None else messages.c.app_id == app_id
