"""Each user's folders of conversations. As `engine.store.owned`; a conversation is in one folder or in none."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, and_, func, select, update

from engine.store.database import Database
from engine.store.owned import Owned, delete_rows
from engine.store.tables import conversations, folders
from engine.store.user_records import FolderRow

__all__ = ["Folders"]


class Folders(Owned[FolderRow]):
    """All folders."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, folders, FolderRow)

    async def ordered(self, uid: str) -> Sequence[FolderRow]:
        """A user's folders in the order they gave them."""
        return await self._database.read(_ordered, uid)

    async def add(self, row: FolderRow, limit: int) -> FolderRow | None:
        """Keep `row` behind the user's others; None, and nothing is kept, when they have `limit` already."""
        return await self._database.write(_add, row, limit)

    async def counts(self, uid: str) -> dict[str, int]:
        """How many conversations each of a user's folders has; none where there are none."""
        return await self._database.read(_counts, uid)

    async def reorder(self, uid: str, places: Mapping[str, int]) -> None:
        """Set the place of each of these folders."""
        await self._database.write(_reorder, uid, dict(places))

    async def remove(self, uid: str, id: str, move_to: str | None) -> bool:
        """Remove a folder, its conversations moving to another or to none; False when there is none."""
        return await self._database.write(_remove, uid, id, move_to)

    async def move(self, uid: str, conversation_ids: Collection[str], folder_id: str | None) -> int:
        """Put conversations in a folder, or in none; how many there were."""
        return await self._database.write(_move, uid, tuple(conversation_ids), folder_id)


def _ordered(connection: Connection, uid: str) -> list[FolderRow]:
    query = select(folders).where(folders.c.uid == uid).order_by(folders.c.place, folders.c.created_at)
    return [FolderRow(**row) for row in connection.execute(query).mappings()]


def _add(connection: Connection, row: FolderRow, limit: int) -> FolderRow | None:
    have = _ordered(connection, row.uid)
    there = next((one for one in have if one.id == row.id), None)
    if there is not None:
        return there
    if len(have) >= limit:
        return None
    place = have[-1].place + 1 if have else 0
    values = {name: getattr(row, name) for name in row.__struct_fields__} | {"place": place}
    connection.execute(folders.insert().values(values))
    return FolderRow(**values)


def _counts(connection: Connection, uid: str) -> dict[str, int]:
    inside = and_(
        conversations.c.uid == uid,
        conversations.c.folder_id.is_not(None),
        conversations.c.deleted_at.is_(None),
    )
    query = select(conversations.c.folder_id, func.count()).where(inside).group_by(conversations.c.folder_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def _reorder(connection: Connection, uid: str, places: Mapping[str, int]) -> None:
    for id, place in places.items():
        there = folders.c.uid == uid, folders.c.id == id
        connection.execute(update(folders).where(*there).values(place=place))


def _remove(connection: Connection, uid: str, id: str, move_to: str | None) -> bool:
    inside = conversations.c.uid == uid, conversations.c.folder_id == id
    connection.execute(update(conversations).where(*inside).values(folder_id=move_to))
    return delete_rows(connection, folders, and_(folders.c.uid == uid, folders.c.id == id)) > 0


def _move(connection: Connection, uid: str, ids: Sequence[str], folder_id: str | None) -> int:
    there = conversations.c.uid == uid, conversations.c.id.in_(ids), conversations.c.deleted_at.is_(None)
    return connection.execute(update(conversations).where(*there).values(folder_id=folder_id)).rowcount
