"""Statements that run with many rows of values: compiled once, then the driver's own `executemany`.

SQLAlchemy looks at each value of each row every time; for a batch that is more than the database's own work
(`python -m bench.store`). Here it compiles the statement and says how values are converted, and no more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection, Dialect


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
