"""All that is SQLite's own."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from engine.store.errors import DatabaseUnavailable
from engine.store.tables import OWN_INDEX

DATABASE_FILE = "listen.db"
PAGE_CACHE_KIB = 128
"""Of each connection: SQLite's 2 MiB would grow with every session for hours. The system caches the file as well."""


def open_sqlite(path: Path, busy_timeout: float, pool_size: int) -> Engine:
    """An engine on the file at `path`, in WAL mode. Nothing is opened yet."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_timeout},
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=busy_timeout,
        pool_use_lifo=True,  # what a connection has read of the file is of use until another one writes
        hide_parameters=True,  # an error's text goes to the logs, and parameters are what people said
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    # Python's own transaction control opens none for a SELECT and defers the lock of the others.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{PAGE_CACHE_KIB}")


def _begin(connection: Connection) -> None:
    # The write lock at once: a reader that becomes a writer may meet "database is locked" half-way.
    if not connection.get_execution_options().get("readonly", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    driver: Any = connection.connection.dbapi_connection
    driver.execute("BEGIN")  # which waits for nothing; by way of SQLAlchemy it takes as long as a short query


def scrub_sqlite(engine: Engine) -> None:
    """Write the file anew without what was deleted, and empty the log. Blocks. Raises `DatabaseUnavailable`."""
    try:
        with closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            # A deleted entry of the index stands beside a mark that it is deleted until the two are merged.
            cursor.execute(f"INSERT INTO {OWN_INDEX} ({OWN_INDEX}) VALUES ('optimize')")
            cursor.execute("VACUUM")
            (busy, *_) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        raise DatabaseUnavailable(str(error)) from error
    if busy:
        raise DatabaseUnavailable("others read it all the time, so that its log could not be emptied")
