"""What is known about each user: memories, drawn from conversations or written by hand.

As `engine.store.indexed`. A memory that its owner wrote, changed or judged is never replaced by processing.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, and_, false, or_, select

from engine.store.database import Database, WallClock
from engine.store.indexed import Indexed, forget_rows
from engine.store.owned import put_rows
from engine.store.tables import memories
from engine.store.unwanted import unsaid
from engine.store.user_records import MemoryRow

__all__ = ["Memories", "replace_memories"]


class Memories(Indexed[MemoryRow]):
    """All memories."""

    def __init__(self, database: Database, now: WallClock) -> None:
        super().__init__(database, now, memories, MemoryRow, "memory")

    async def shown(
        self, uid: str, *, limit: int, offset: int = 0, categories: Collection[str] = ()
    ) -> Sequence[MemoryRow]:
        """A page of a user's memories (of some categories), newest first, but for those they said are wrong."""
        where = [memories.c.user_review.is_not(false())]
        if categories:
            where.append(memories.c.category.in_(categories))
        return await self.list(uid, *where, limit=limit, offset=offset)


def replace_memories(
    connection: Connection, uid: str, conversation_id: str, rows: Sequence[MemoryRow]
) -> list[MemoryRow]:
    """Keep `rows` as what processing found in a conversation; returns those of them that are kept.

    Those of an earlier processing go with their vectors, but for what the owner had a hand in, which is not joined by
    one that says the same. The vectors of `rows` are the caller's to keep.
    """
    of = memories.c
    others = and_(
        of.uid == uid, of.conversation_id == conversation_id, of.id.not_in([row.id for row in rows])
    )
    touched = or_(of.manually_added, of.edited, of.reviewed)
    there = connection.execute(select(of.id, of.content, touched.label("touched")).where(others)).all()
    forget_rows(connection, uid, "memory", [row.id for row in there if not row.touched])
    kept = unsaid(rows, lambda row: row.content, [row.content for row in there if row.touched])
    put_rows(connection, memories, kept)
    return kept
