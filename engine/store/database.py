"""The engine under every statement: transactions, and which database they go to.

Operations: `read` and `write` run a function of a connection in one transaction off the loop; both raise
`DatabaseUnavailable` while the database is locked, full or gone: trying again later may help.
Invariants: transactions happen as if one after the other. SQLite gives that by its one write lock, taken at the
beginning; PostgreSQL by isolation SERIALIZABLE, after whose conflicts a function is called again from the start, so
all that it does it does through its connection. A read sees one snapshot and waits for nobody. A commit is on disk
when the call returns, because a journal file is removed on its word.
Bounded: `POOL_SIZE` connections; waiting for a turn, a lock or a connection, and calling again, by `busy_timeout` each.
One process's writers of SQLite take turns in the order they came, and have neither thread nor connection until then:
waiting for its lock they would hold both, in a back-off that is not fair, and readers would have none.
Cancellation: a call that has begun waits for its thread and what it wrote is committed; a second call must do no harm.
Cost: a commit is one flush of the write-ahead log.
"""

import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar, TypeVarTuple

import trio
from sqlalchemy import Connection, Engine, Table, exc
from sqlalchemy.dialects import postgresql, sqlite

from engine.off_loop import OffLoop
from engine.store import _postgresql
from engine.store._sqlite import DATABASE_FILE, open_sqlite, scrub_sqlite
from engine.store.errors import DatabaseUnavailable, StoreError
from engine.store.migration import HEAD, migrate

__all__ = ["DATABASE_FILE", "HEAD", "Database", "WallClock", "open_engine", "upsert", "wall_clock"]

POOL_SIZE = 8
FIRST_PAUSE = 0.005
"""Seconds, at most, before a transaction is tried a second time; then up to twice as long each time."""

FAULTS_OF_OURS = (exc.IntegrityError, exc.DataError, exc.ProgrammingError)
"""What is wrong with a statement or its values, whatever state the database is in."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


WallClock = Callable[[], int]
"""Microseconds since the epoch (UTC)."""


def wall_clock() -> int:
    """Microseconds since the epoch (UTC), from the system's clock."""
    return time.time_ns() // 1000


class Database:
    """One engine, reached from the loop. `busy_timeout` in seconds."""

    def __init__(self, engine: Engine, off_loop: OffLoop, busy_timeout: float = 5.0) -> None:
        self._engine = engine
        self.off_loop = off_loop
        self._busy_timeout = busy_timeout
        self._writing: AbstractAsyncContextManager[object] = (
            nullcontext() if engine.dialect.name == "postgresql" else _Turn(busy_timeout)
        )

    async def read(self, fn: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Run `fn(connection, *args)` in a transaction that only reads."""
        return await self.off_loop(self._transaction, True, fn, args)

    async def write(self, fn: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Run `fn(connection, *args)` in a transaction that may write; from the start again after a conflict."""
        async with self._writing:
            return await self.off_loop(self._transaction, False, fn, args)

    async def scrub(self) -> None:
        """Leave nothing of what was deleted, so far as the database can be told to.

        SQLite's file is written anew and its log emptied; PostgreSQL's tables are vacuumed. Raises
        `DatabaseUnavailable` when others leave it no moment within `busy_timeout`.
        """
        async with self._writing:
            await self.off_loop(self._scrub)

    def _scrub(self) -> None:
        if self._engine.dialect.name != "postgresql":
            return scrub_sqlite(self._engine)
        try:
            return _postgresql.scrub_postgresql(self._engine)
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise DatabaseUnavailable(str(error)) from error

    async def close(self) -> None:
        """Close the idle connections."""
        await self.off_loop(self._engine.dispose)

    def _transaction(self, readonly: bool, fn: Callable[[Connection, *Ts], T], args: tuple[*Ts]) -> T:
        deadline, pause = time.monotonic() + self._busy_timeout, FIRST_PAUSE
        while True:
            try:
                with self._connect(readonly) as connection, connection.begin():
                    return fn(connection, *args)
            except (exc.DBAPIError, exc.TimeoutError) as error:
                if isinstance(error, FAULTS_OF_OURS):
                    raise
                if not _postgresql.is_conflict(error) or time.monotonic() > deadline:
                    cause = error.orig if isinstance(error, exc.DBAPIError) else error
                    raise DatabaseUnavailable(str(cause)) from error
            time.sleep(random.uniform(0, pause))  # this is a thread
            pause *= 2

    def _connect(self, readonly: bool) -> Connection:
        if self._engine.dialect.name == "postgresql":
            return self._engine.connect().execution_options(**_postgresql.options(readonly))
        return self._engine.connect().execution_options(readonly=readonly)


class _Turn:
    """Whose turn it is, for at most `longest` seconds of waiting. Entering raises `DatabaseUnavailable`."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._lock = trio.Lock()

    async def __aenter__(self) -> None:
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            with trio.move_on_after(self._longest) as waiting:
                await self._lock.acquire()
            if waiting.cancelled_caught:
                raise DatabaseUnavailable(f"others wrote for {self._longest:g} s") from None

    async def __aexit__(self, *_error: object) -> None:
        self._lock.release()


def upsert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that takes ON CONFLICT, in the dialect of that name (`connection.dialect.name`)."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def open_engine(data_dir: Path, busy_timeout: float, url: str = "") -> Engine:
    """The engine of the PostgreSQL database at `url`, else of the SQLite file in `data_dir`; migrated. Blocks.

    The data directory is made in either case, for journals are there. Raises `StoreError`.
    """
    _prepare_folder(data_dir)
    if url:
        engine = _postgresql.open_postgresql(url, busy_timeout, POOL_SIZE)
        name = _postgresql.shown(url)
    else:
        path = data_dir / DATABASE_FILE
        engine = open_sqlite(path, busy_timeout, POOL_SIZE)
        name = f"{str(path)!r} in LISTEN_DATA_DIR"
    try:
        with _one_at_a_time(data_dir):
            migrate(engine, name)
    except exc.DBAPIError as error:
        engine.dispose()
        raise StoreError(f"database {name} cannot be opened: {str(error.orig).strip()}") from error
    except StoreError:
        engine.dispose()
        raise
    return engine


def _prepare_folder(data_dir: Path) -> None:
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


@contextmanager
def _one_at_a_time(data_dir: Path) -> Iterator[None]:
    # SQLite does not wait for its lock when a file changes to WAL.
    descriptor = os.open(data_dir, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
