"""What is known about each user: memories, drawn from conversations or written by hand.

As `engine.store.owned`. A memory that its owner wrote, changed or judged is never replaced by processing.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, false, select

from engine.store.database import Database
from engine.store.owned import Owned, delete_rows, put_rows
from engine.store.tables import memories
from engine.store.user_records import MemoryRow

__all__ = ["Memories", "replace_memories"]


class Memories(Owned[MemoryRow]):
    """All memories."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, memories, MemoryRow)


def replace_memories(
    connection: Connection, uid: str, conversation_id: str, rows: Sequence[MemoryRow]
) -> list[str]:
    """Keep `rows` as what processing found in a conversation; returns the ids of those that are gone for it.

    Those of an earlier processing go, but for what the owner had a hand in.
    """
    untouched = and_(
        memories.c.uid == uid,
        memories.c.conversation_id == conversation_id,
        memories.c.manually_added == false(),
        memories.c.edited == false(),
        memories.c.reviewed == false(),
        memories.c.id.not_in([row.id for row in rows]),
    )
    gone = [id for (id,) in connection.execute(select(memories.c.id).where(untouched))]
    delete_rows(connection, memories, untouched)
    put_rows(connection, memories, rows)
    return gone
