"""All that is PostgreSQL's own. Its driver, psycopg, is the extra `postgres`.

PostgreSQL keeps no NUL in a text; where one is written, U+FFFD takes its place. Keys never have one.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.engine import URL, make_url

from engine.store.errors import StoreError

SCHEMES = ("postgresql", "postgres")
SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"
"""SQLSTATEs after which the same transaction may succeed (PostgreSQL's manual, "Serialization Failure Handling")."""
MIGRATION_LOCK = 0x6C697374656E
"""Whoever changes the schema holds this advisory lock ("listen")."""


def open_postgresql(url: str, busy_timeout: float, pool_size: int) -> Engine:
    """An engine on the database at `url`. Nothing is opened yet. Raises `StoreError` for what is no such URL."""
    address = _address(url)
    milliseconds = max(1, round(busy_timeout * 1000))
    engine = create_engine(
        address,
        isolation_level="SERIALIZABLE",
        connect_args={
            "connect_timeout": max(2, round(busy_timeout)),  # less than 2 s is not less for libpq
            "options": f"-c lock_timeout={milliseconds}",
        },
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=busy_timeout,
        pool_pre_ping=True,  # a server that was restarted leaves dead connections behind
        hide_parameters=True,  # an error's text goes to the logs, and parameters are what people said
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    event.listen(engine, "connect", _configure)
    return engine


def _address(url: str) -> URL:
    accepted = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or nothing for SQLite in LISTEN_DATA_DIR"
    try:
        address = make_url(url)
    except exc.ArgumentError:
        raise StoreError(f"LISTEN_DATABASE_URL is no URL; accepted: {accepted}") from None
    if address.drivername not in SCHEMES:
        raise StoreError(f"LISTEN_DATABASE_URL {shown(url)} is not accepted; accepted: {accepted}")
    try:
        import psycopg  # noqa: F401 - only to say so when it is missing
    except ImportError as error:
        message = "LISTEN_DATABASE_URL needs the PostgreSQL driver: pip install 'listen-engine[postgres]'"
        raise StoreError(message) from error
    return address.set(drivername="postgresql+psycopg")


def shown(url: str) -> str:
    """The URL without its password."""
    return repr(make_url(url).render_as_string(hide_password=True))


def _configure(connection: Any, _record: object) -> None:
    from psycopg.types.string import StrDumper

    class NoNul(StrDumper):
        def dump(self, obj: str) -> Any:
            """The text as the database takes it, which has no NUL."""
            return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)

    connection.adapters.register_dumper(str, NoNul)


def options(readonly: bool) -> dict[str, Any]:
    """Execution options of a connection. A read takes one snapshot, which needs no more than REPEATABLE READ."""
    if readonly:
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {}


def is_conflict(error: Exception) -> bool:
    """Whether the transaction met another and may be tried again."""
    cause = error.orig if isinstance(error, exc.DBAPIError) else None
    return getattr(cause, "sqlstate", None) in (SERIALIZATION_FAILURE, DEADLOCK)


def lock_schema(connection: Connection) -> None:
    """Wait until nobody else changes the schema, on whatever machine; held to the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})


def scrub_postgresql(engine: Engine) -> None:
    """Vacuum the database. Blocks."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM"))
