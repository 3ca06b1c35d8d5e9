"""Whom each user knows, by name. As `engine.store.owned`."""

from sqlalchemy import Connection, select

from engine.store.database import Database
from engine.store.owned import Owned, put_rows
from engine.store.tables import people
from engine.store.user_records import PersonRow

__all__ = ["People"]


class People(Owned[PersonRow]):
    """All people."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, people, PersonRow)

    async def find_or_add(self, row: PersonRow) -> PersonRow:
        """The user's person of that name, who is `row` when there was none: nobody is there twice."""
        return await self._database.write(_find_or_add, row)

    async def names(self, uid: str) -> dict[str, str]:
        """The names of all the user knows, by person id."""
        return await self._database.read(_names, uid)


def _find_or_add(connection: Connection, row: PersonRow) -> PersonRow:
    same = people.c.uid == row.uid, people.c.name == row.name
    found = connection.execute(select(people).where(*same).order_by(people.c.created_at).limit(1)).mappings()
    there = found.first()
    if there is not None:
        return PersonRow(**there)
    put_rows(connection, people, [row])
    return row


def _names(connection: Connection, uid: str) -> dict[str, str]:
    rows = connection.execute(select(people.c.id, people.c.name).where(people.c.uid == uid))
    return {row.id: row.name for row in rows}
