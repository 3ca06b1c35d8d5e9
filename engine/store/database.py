"""The engine under every statement: set-up, transactions, migration. All that is SQLite's own is here.

Operations: `read` and `write` run a function of a connection in one transaction off the loop; both raise
`DatabaseUnavailable` while the database is locked, full or gone: trying again later may help.
Invariants: a write transaction takes SQLite's write lock when it begins (BEGIN IMMEDIATE), so it never fails
half-way with "database is locked"; a read sees one snapshot and never waits. Commits are flushed to disk
(synchronous=FULL), because a journal file is removed on the word of a commit.
Bounded: `POOL_SIZE` connections; waiting for the write lock, or for a connection, by `busy_timeout`.
Cancellation: a call waits for its thread and what it wrote is committed; a second call must do no harm.
Cost: a commit is one flush of the write-ahead log.
Known doubts: writers of one process wait in SQLite's own back-off, which is not fair.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar, TypeVarTuple

import msgspec
from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL

from engine.off_loop import OffLoop
from engine.store.errors import DatabaseUnavailable, NewerDatabaseError, StoreError

DATABASE_FILE = "listen.db"
HEAD = "0003"
"""The newest revision in `migrations/versions`; a database that is there is opened without Alembic."""
POOL_SIZE = 8
PAGE_CACHE_KIB = 128
"""Of each connection: SQLite's 2 MiB would grow with every session for hours. The system caches the file as well."""

FAULTS_OF_OURS = (exc.IntegrityError, exc.DataError, exc.ProgrammingError)
"""What is wrong with a statement or its values, whatever state the database is in."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

WallClock = Callable[[], int]
"""Microseconds since the epoch (UTC)."""

_migrating = threading.Lock()  # alembic.context is global to the process


def wall_clock() -> int:
    """Microseconds since the epoch (UTC), from the system's clock."""
    return time.time_ns() // 1000


class Database:
    """One engine, reached from the loop."""

    def __init__(self, engine: Engine, off_loop: OffLoop) -> None:
        self._engine = engine
        self._off_loop = off_loop

    async def read(self, fn: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Run `fn(connection, *args)` in a transaction that only reads."""
        return await self._off_loop(self._transaction, True, fn, args)

    async def write(self, fn: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Run `fn(connection, *args)` in a transaction that holds the write lock."""
        return await self._off_loop(self._transaction, False, fn, args)

    async def close(self) -> None:
        """Close the idle connections."""
        await self._off_loop(self._engine.dispose)

    def _transaction(self, readonly: bool, fn: Callable[[Connection, *Ts], T], args: tuple[*Ts]) -> T:
        try:
            with (
                self._engine.connect().execution_options(readonly=readonly) as connection,
                connection.begin(),
            ):
                return fn(connection, *args)
        except (exc.DBAPIError, exc.TimeoutError) as error:
            if isinstance(error, FAULTS_OF_OURS):
                raise
            raise DatabaseUnavailable(
                str(error.orig if isinstance(error, exc.DBAPIError) else error)
            ) from error


def upsert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that takes ON CONFLICT, in the dialect of that name (`connection.dialect.name`)."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def prepare_folder(data_dir: Path) -> None:
    """Make the data directory (private to its user) and try a file in it. Raises `StoreError`."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise StoreError(
            f"LISTEN_DATA_DIR {str(data_dir)!r} cannot be written ({error.strerror}); "
            "give a folder that this user may create and write"
        ) from error


def open_engine(data_dir: Path, busy_timeout: float) -> Engine:
    """The engine of the SQLite file in `data_dir`, migrated. Raises `StoreError`. Blocks."""
    prepare_folder(data_dir)
    path = data_dir / DATABASE_FILE
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_timeout},
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=busy_timeout,
        hide_parameters=True,  # an error's text goes to the logs, and parameters are what people said
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    try:
        with _opening(data_dir):
            migrate(engine)
    except exc.DatabaseError as error:
        engine.dispose()
        raise StoreError(
            f"database {str(path)!r} in LISTEN_DATA_DIR cannot be opened: {error.orig}"
        ) from error
    except StoreError:
        engine.dispose()
        raise
    return engine


@contextmanager
def _opening(data_dir: Path) -> Iterator[None]:
    # One process at a time: SQLite does not wait for its lock when a file changes to WAL.
    descriptor = os.open(data_dir, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _configure(connection: Any, _record: object) -> None:
    # Python's own transaction control opens none for a SELECT and defers the lock of the others.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{PAGE_CACHE_KIB}")


def _begin(connection: Connection) -> None:
    readonly = connection.get_execution_options().get("readonly", False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


def migrate(engine: Engine) -> None:
    """Bring the schema to `HEAD` in one transaction; nothing to do costs one SELECT. Raises `StoreError`."""
    with engine.connect().execution_options(readonly=True) as connection:
        if _revision(connection) == HEAD:
            return
    with _migrating, engine.begin() as connection:
        revision = _revision(connection)  # another process may have been here before the lock was ours
        if revision != HEAD:
            _upgrade(connection, revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, revision: str | None) -> None:
    from alembic import command  # imported late: half the start-up time of a process that need not migrate
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise NewerDatabaseError(
            f"database {connection.engine.url.database!r} in LISTEN_DATA_DIR is at revision {revision!r}, "
            f"newer than this release knows ({HEAD!r}); run the release that wrote it, or a later one"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
