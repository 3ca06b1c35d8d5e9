"""Statements that run with many rows of values: compiled once, then the driver's own `executemany`.

The same for queries that every request makes, which would be compiled, or looked up, each time: `PreparedQuery`.

SQLAlchemy looks at each value of each row every time; for a batch that is more than the database's own work
(`python -m bench.store`). Here it compiles the statement and says how values are converted, and no more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import (
    ARRAY,
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Float,
    Numeric,
    Select,
    String,
    Table,
    TextualSelect,
    any_,
    bindparam,
    exc,
    func,
    select,
)
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

Converters: TypeAlias = list[tuple[int, Callable[[Any], Any]]]


class Prepared:
    """One statement in one dialect. Immutable."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._text = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup  # None: the driver takes parameters by name
        self._fixed: dict[str, Any] = {}
        self._converters = []
        for bind, name in compiled.bind_names.items():
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if not bind.required:
                self._fixed[name] = bind.value if convert is None else convert(bind.value)
            elif convert is not None:
                self._converters.append((name, convert))

    def run(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> int:
        """Run it for each of `rows` (the statement's parameters by name); the number of rows it changed."""
        if not rows:
            return 0
        values: list[Any] = [self._values(row) for row in rows]
        if self._order is not None:
            values = [tuple([row[name] for name in self._order]) for row in values]
        options = {"preserve_rowcount": True}
        return connection.exec_driver_sql(self._text, values, execution_options=options).rowcount

    def _values(self, row: Mapping[str, object]) -> dict[str, Any]:
        values = {**self._fixed, **row}
        for name, convert in self._converters:
            values[name] = convert(values[name])
        return values


class PreparedQuery:
    """One query in one dialect, a text that names its columns, or an insert or update that returns some. Immutable.

    `ids` among its parameters are made by `listed`.
    """

    names: Sequence[str]
    """Of its columns."""

    def __init__(
        self,
        query: Select[Any] | TextualSelect | ReturningInsert[Any] | ReturningUpdate[Any],
        dialect: Dialect,
    ) -> None:
        compiled: Any = query.compile(dialect=dialect)
        self._text = str(compiled)
        self.names = [str(name) for name in query.exported_columns.keys()]  # noqa: SIM118 - of columns
        self._order: Sequence[str] | None = compiled.positiontup
        self._fixed: dict[str, Any] = {}
        self._given: list[tuple[str, Any]] = []
        for bind, name in compiled.bind_names.items():
            if not bind.required:
                self._fixed[name] = bind.value
            elif (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None:
                self._given.append((name, convert))
        self._converters = _converters(query.exported_columns, dialect)

    def rows(self, connection: Connection, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        """All rows, the values of each in the order of the query's columns."""
        given: Any = {**self._fixed, **values}
        for name, convert in self._given:
            given[name] = convert(given[name])
        if self._order is not None:
            given = tuple(given[name] for name in self._order)
        return _converted(self._fetched(connection, given), self._converters)

    def _fetched(self, connection: Connection, given: Any) -> list[tuple[Any, ...]]:
        with _cursor(connection, self._text) as cursor:
            cursor.execute(self._text, given)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def mappings(self, connection: Connection, values: Mapping[str, object]) -> list[dict[str, Any]]:
        """All rows, each by the names of its columns."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows(connection, values)]


def whole_rows(connection: Connection, query: Select[Any], table: Table) -> list[dict[str, Any]]:
    """All rows of a query that selects all of `table`, by the names of its columns.

    For queries that are not known before: SQLAlchemy runs them, but looks at no row.
    """
    names, converters = _columns(table, connection.dialect)
    result = connection.execute(query)
    with _errors(connection, str(table.name)):
        rows = result.cursor.fetchall()
    result.close()
    return [dict(zip(names, row, strict=True)) for row in _converted(rows, converters)]


@lru_cache(maxsize=32)
def _columns(table: Table, dialect: Dialect) -> tuple[list[str], Converters]:
    return [column.name for column in table.columns], _converters(table.columns, dialect)


def _converters(columns: Iterable[ColumnElement[Any]], dialect: Dialect) -> Converters:
    """By the places of the columns whose values the driver does not give as they are wanted."""
    converters: Converters = []
    for place, column in enumerate(columns):
        if isinstance(column.type, Float | Numeric):
            continue  # both drivers give floats
        convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if convert is not None:
            converters.append((place, convert))
    return converters


def _converted(rows: Sequence[tuple[Any, ...]], converters: Converters) -> Sequence[Sequence[Any]]:
    if not converters or not rows:
        return rows
    found = [list(row) for row in rows]
    for place, convert in converters:
        for row in found:
            row[place] = convert(row[place])
    return found


@contextmanager
def _cursor(connection: Connection, text: str) -> Iterator[Any]:
    """Of the driver itself: what SQLAlchemy does around a statement takes longer than a short one."""
    cursor = connection.connection.cursor()
    try:
        with _errors(connection, text):
            yield cursor
    finally:
        cursor.close()


@contextmanager
def _errors(connection: Connection, text: str) -> Iterator[None]:
    """The driver's are SQLAlchemy's."""
    driver: Any = connection.dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        raise exc.DBAPIError.instance(
            text, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def is_listed(column: ColumnElement[str], dialect: str) -> ColumnElement[bool]:
    """Whether `column` is one of the parameter `ids`, however many they are: the query's text stays the same."""
    if dialect == "postgresql":
        return column == any_(bindparam("ids", type_=ARRAY(String)))
    values = func.json_each(bindparam("ids", type_=String)).table_valued("value", name="given_ids")
    return column.in_(select(values.c.value))


def listed(ids: Sequence[str], dialect: str) -> object:
    """The parameter `ids`."""
    return list(ids) if dialect == "postgresql" else msgspec.json.encode(ids).decode()
