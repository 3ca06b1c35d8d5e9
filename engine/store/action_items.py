"""What is to be done: action items, drawn from conversations or written by hand.

As `engine.store.owned`; those of a conversation are ordered by `ordinal`, all others newest first.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, select

from engine.store.database import Database
from engine.store.keyed import Key, one_of
from engine.store.owned import Owned, delete_rows, put_rows
from engine.store.tables import action_items
from engine.store.user_records import ActionItemRow

__all__ = ["ActionItems", "action_items_of", "replace_action_items"]


class ActionItems(Owned[ActionItemRow]):
    """All action items."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, action_items, ActionItemRow)

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[ActionItemRow]:
        """Those of one conversation, in order."""
        return (await self.of_conversations([(uid, conversation_id)])).get((uid, conversation_id), [])

    async def of_conversations(self, keys: Sequence[Key]) -> dict[Key, list[ActionItemRow]]:
        """Those of each conversation (uid, id), in order, read in one query; none where there are none."""
        return await self._database.read(action_items_of, keys)

    async def delete_of_conversation(self, uid: str, conversation_id: str) -> Sequence[str]:
        """Remove those of one conversation; their ids."""
        return await self._database.write(_delete_of, uid, conversation_id)


def action_items_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[ActionItemRow]]:
    """As `ActionItems.of_conversations`."""
    of_these = one_of(action_items.c.uid, action_items.c.conversation_id, keys)
    query = select(action_items).where(of_these).order_by(action_items.c.ordinal, action_items.c.created_at)
    found: dict[Key, list[ActionItemRow]] = {}
    for values in connection.execute(query).mappings():
        row = ActionItemRow(**values)
        assert row.conversation_id is not None, "it was found by it"
        found.setdefault((row.uid, row.conversation_id), []).append(row)
    return found


def replace_action_items(
    connection: Connection, uid: str, conversation_id: str, rows: Sequence[ActionItemRow]
) -> list[str]:
    """Keep `rows` as the action items of a conversation; returns the ids of those that are gone for it."""
    others = and_(
        action_items.c.uid == uid,
        action_items.c.conversation_id == conversation_id,
        action_items.c.id.not_in([row.id for row in rows]),
    )
    gone = [id for (id,) in connection.execute(select(action_items.c.id).where(others))]
    delete_rows(connection, action_items, others)
    put_rows(connection, action_items, rows)
    return gone


def _delete_of(connection: Connection, uid: str, conversation_id: str) -> list[str]:
    there = and_(action_items.c.uid == uid, action_items.c.conversation_id == conversation_id)
    return [
        id for (id,) in connection.execute(delete(action_items).where(there).returning(action_items.c.id))
    ]
