"""Tables whose rows are known by their owner's uid and an id of their own: what all of them can do.

Operations: `get`, `some`, `list`, `count`, `put`, `change`, `delete`; `put_rows` and `delete_rows` do it in another's
transaction.
Invariants: every statement names the owner. `put` replaces what has the same uid and id, so repeating it does no harm.
Bounded: a page has at most `PAGE_LIMIT` rows.
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select, update

from engine.store.database import Database, upsert

__all__ = ["PAGE_LIMIT", "Owned", "change_row", "delete_rows", "put_rows"]

PAGE_LIMIT = 5000
"""Most rows in one page."""

Row = TypeVar("Row", bound=msgspec.Struct)
Rows = list  # inside the class `list` is the method


class Owned(Generic[Row]):
    """The rows of `table`, each a `kind`, whose fields are its columns."""

    def __init__(self, database: Database, table: Table, kind: type[Row]) -> None:
        self._database = database
        self._table = table
        self._kind = kind

    async def get(self, uid: str, id: str) -> Row | None:
        """The row, or None."""
        found = await self._database.read(_select, self._table, self._kind, self._is(uid, id), 1, 0)
        return found[0] if found else None

    async def some(self, uid: str, ids: Collection[str]) -> Rows[Row]:
        """Those of a user's rows that have one of `ids` (at most `PAGE_LIMIT`), newest first."""
        if len(ids) > PAGE_LIMIT:
            raise ValueError(f"ids: {len(ids)} given, at most {PAGE_LIMIT} accepted")
        chosen = and_(self._table.c.uid == uid, self._table.c.id.in_(ids))
        return await self._database.read(_select, self._table, self._kind, chosen, PAGE_LIMIT, 0)

    async def list(
        self, uid: str, *where: ColumnElement[bool], limit: int = 100, offset: int = 0
    ) -> Rows[Row]:
        """A page of a user's rows, newest first, of those for which all of `where` hold.

        Raises `ValueError` for a limit outside 1 to `PAGE_LIMIT` or a negative offset.
        """
        if not 1 <= limit <= PAGE_LIMIT:
            raise ValueError(f"limit: {limit} given, 1 to {PAGE_LIMIT} accepted")
        if offset < 0:
            raise ValueError(f"offset: {offset} given, 0 or more accepted")
        chosen = and_(self._table.c.uid == uid, *where)
        return await self._database.read(_select, self._table, self._kind, chosen, limit, offset)

    async def count(self, uid: str, *where: ColumnElement[bool]) -> int:
        """How many rows `list` would give without limit and offset."""
        return await self._database.read(_count, self._table, and_(self._table.c.uid == uid, *where))

    async def put(self, *rows: Row) -> None:
        """Keep `rows`, in the place of those with their uids and ids."""
        await self._database.write(put_rows, self._table, rows)

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> Row | None:
        """Set these columns of a row; as it is then, or None when there is none."""
        return await self._database.write(
            change_row, self._table, self._kind, self._is(uid, id), dict(values)
        )

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        return await self._database.write(delete_rows, self._table, self._is(uid, id)) > 0

    async def delete_all(self, uid: str) -> int:
        """Remove all of a user's rows; how many there were."""
        return await self._database.write(delete_rows, self._table, self._table.c.uid == uid)

    def _is(self, uid: str, id: str) -> ColumnElement[bool]:
        return and_(self._table.c.uid == uid, self._table.c.id == id)


def put_rows(connection: Connection, table: Table, rows: Sequence[msgspec.Struct]) -> None:
    """As `Owned.put`."""
    if not rows:
        return
    statement = upsert(connection.dialect.name, table)
    keys = [column.name for column in table.primary_key]
    new = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    values = [{name: getattr(row, name) for name in row.__struct_fields__} for row in rows]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), values)


def delete_rows(connection: Connection, table: Table, where: ColumnElement[bool]) -> int:
    """Remove the rows for which `where` holds; how many there were."""
    return connection.execute(delete(table).where(where)).rowcount


def _select(
    connection: Connection, table: Table, kind: type[Row], where: ColumnElement[bool], limit: int, offset: int
) -> Rows[Row]:
    query = select(table).where(where).order_by(table.c.created_at.desc(), table.c.id.desc())
    found = connection.execute(query.limit(limit).offset(offset)).mappings()
    return [kind(**row) for row in found]


def _count(connection: Connection, table: Table, where: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(where)).scalar_one())


def change_row(
    connection: Connection, table: Table, kind: type[Row], where: ColumnElement[bool], values: dict[str, Any]
) -> Row | None:
    """Set these columns of the row for which `where` holds; as it is then, or None when there is none."""
    changed = connection.execute(update(table).where(where).values(values).returning(*table.c)).mappings()
    row = changed.first()
    return None if row is None else kind(**row)
