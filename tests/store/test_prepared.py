"""A statement that is compiled once does what SQLAlchemy does with it."""

from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    create_engine,
    exc,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from engine.store import DatabaseUnavailable, Store
from engine.store.prepared import Prepared, PreparedQuery, is_listed, listed
from engine.store.tables import metadata, segments
from engine.wire.messages import Translation

from .making import changed, opened, segment

INSERT = insert(segments).values(
    {column.name: bindparam(f"new_{column.name}", type_=column.type) for column in segments.c}
    | {"speaker": "SPEAKER_00", "translations": []}
)
RENAME = update(segments).where(segments.c.id == bindparam("of_id")).values(text=bindparam("new_text"))


def row(id: str, **changes: Any) -> dict[str, Any]:
    names = (column.name for column in segments.c)
    values = {
        name: getattr(segment(id), name, None) for name in names if name not in {"speaker", "translations"}
    }
    values |= {"uid": "u1", "conversation_id": "c1", "ordinal": 1, "deleted": False}
    return {f"new_{name}": value for name, value in (values | changes).items()}


def test_rows_are_written_with_their_types_and_counted() -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        assert Prepared(INSERT, engine.dialect).run(connection, [row("a"), row("b", is_user=True)]) == 2
        rename = Prepared(RENAME, engine.dialect)
        assert rename.run(connection, [{"of_id": id, "new_text": id.upper()} for id in "abz"]) == 2
        assert rename.run(connection, [{"of_id": "a", "new_text": "one"}]) == 1
        assert rename.run(connection, []) == 0
        columns = (segments.c.text, segments.c.is_user, segments.c.translations, segments.c.deleted)
        found = connection.execute(select(*columns).order_by(segments.c.id)).all()
    assert found == [("one", False, [], False), ("B", True, [], False)]


def test_a_value_that_is_missing_is_named() -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection, pytest.raises(KeyError, match="new_text"):
        Prepared(RENAME, engine.dialect).run(connection, [{"of_id": "a"}])


def test_where_parameters_have_names_they_keep_them() -> None:
    prepared = Prepared(RENAME, postgresql.dialect())  # type: ignore[no-untyped-call]
    assert prepared._order is None
    assert prepared._values({"of_id": "a", "new_text": "b"}) == {"of_id": "a", "new_text": "b"}


async def test_rows_are_read_by_ids_as_sqlalchemy_reads_them(store: Store) -> None:
    said = [segment(f"s{n}", is_user=n == 1, translations=(Translation("de", "Ja."),)) for n in range(3)]
    await store.conversations.apply([opened(), changed(*said)])

    def both(connection: Connection) -> tuple[Any, Any]:
        dialect = connection.dialect
        named = select(segments.c.id, segments.c.is_user, segments.c.start, segments.c.translations)
        query = named.where(segments.c.uid == bindparam("uid"), is_listed(segments.c.id, dialect.name))
        prepared = PreparedQuery(query.order_by(segments.c.id), dialect)
        found = prepared.mappings(connection, {"uid": "u1", "ids": listed(["s0", "s1", "s'9"], dialect.name)})
        plain = named.where(segments.c.id.in_(["s0", "s1"])).order_by(segments.c.id)
        return found, [dict(row) for row in connection.execute(plain).mappings()]

    ours, theirs = await store._database.read(both)
    assert ours == theirs
    assert [row["id"] for row in ours] == ["s0", "s1"]


async def test_a_prepared_query_that_fails_is_a_fault_as_any_other(store: Store) -> None:
    def fail(connection: Connection) -> None:
        broken: Select[Any] = select(literal_column("nothing.at_all"))
        PreparedQuery(broken, connection.dialect).rows(connection, {})

    with pytest.raises((exc.DBAPIError, DatabaseUnavailable), match="nothing"):
        await store._database.read(fail)
    assert await store.conversations.list("u1") == []
