"""What only PostgreSQL does; tests/store runs over it as a whole."""

import multiprocessing
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest
import trio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from engine.store import DatabaseUnavailable, NewerDatabaseError, Store, StoreError
from engine.store.database import Database, open_engine
from engine.store.migration import HEAD
from engine.store.tables import is_compared, metadata

from .making import changed, conversation, opened, segment


@pytest.fixture
def url(emptied_postgres: Callable[[], str]) -> str:
    return emptied_postgres()


@pytest.fixture
async def database(url: str, tmp_path: Path) -> AsyncIterator[Database]:
    engine = await trio.to_thread.run_sync(open_engine, tmp_path, 30.0, url)
    database = Database(engine, trio.to_thread.run_sync, 30.0)
    yield database
    await database.close()


def another(url: str, name: str) -> str:
    """A new database without any table beside the one at `url`."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nonsense", "is no URL; accepted: postgresql://USER"),
        (
            "mysql://ada:pass@host/db",
            r"'mysql://ada:\*\*\*@host/db' is not accepted; accepted: postgresql://USER",
        ),
        (
            "postgresql://ada:pass@127.0.0.1:1/db",
            r"'postgresql://ada:\*\*\*@127.0.0.1:1/db' cannot be opened",
        ),
    ],
)
async def test_a_url_that_cannot_be_used_is_named_without_its_password(
    tmp_path: Path, given: str, said: str
) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        await Store.open(tmp_path, trio.to_thread.run_sync, url=given)
    assert "pass@" not in str(refused.value)


async def test_migrations_make_exactly_the_tables(database: Database, url: str) -> None:
    with create_engine(url.replace("postgresql:", "postgresql+psycopg:")).connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_compared})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD


def test_several_processes_may_open_a_new_database_at_once(tmp_path: Path, url: str) -> None:
    new = another(url, "opened_at_once")
    spawn = multiprocessing.get_context("spawn")
    folders = [tmp_path / str(n) for n in range(3)]  # of machines that share the database
    processes = [spawn.Process(target=open_engine, args=(folder, 60.0, new)) for folder in folders]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]


async def test_a_database_of_a_later_release_is_refused(tmp_path: Path, url: str) -> None:
    new = another(url, "later_release")
    await (await Store.open(tmp_path, trio.to_thread.run_sync, url=new)).close()
    with psycopg.connect(new) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerDatabaseError, match=r"later_release.*'9999'.*run the release that wrote it"):
        await Store.open(tmp_path, trio.to_thread.run_sync, url=new)


async def test_transactions_that_meet_are_made_again(database: Database) -> None:
    calls = 0

    def count(connection: Connection) -> None:
        nonlocal calls
        calls += 1
        written = connection.execute(text("SELECT max(written_at) FROM probes")).scalar() or 0
        connection.execute(
            text(
                "INSERT INTO probes VALUES (1, :n)"
                " ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at"
            ),
            {"n": written + 1},
        )

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(database.write, count)
    total = await database.read(lambda c: c.execute(text("SELECT written_at FROM probes")).scalar())
    assert total == 40
    assert calls > 40


async def test_a_lock_held_by_another_is_waited_for_only_so_long(tmp_path: Path, url: str) -> None:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, url=url, busy_timeout=0.05)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE probes")
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            await store.check_writable()
    await store.check_writable()
    await store.close()


async def test_connections_that_the_server_ended_are_made_anew(tmp_path: Path, url: str) -> None:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, url=url)
    await store.check_writable()
    with psycopg.connect(url) as other:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        assert other.execute(f"{ended} AND backend_type = 'client backend'".encode()).fetchall()
    await store.check_writable()
    await store.close()


async def test_a_nul_in_what_was_said_is_replaced(tmp_path: Path, url: str) -> None:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, url=url)
    said = segment(text="be\0fore")
    await store.conversations.apply([opened(structured={"title": "a\0b", "path": "\\u0000"}), changed(said)])
    (kept,) = await store.conversations.segments("u1", "c1")
    assert kept.text == "be\ufffdfore"
    row = await store.conversations.get("u1", "c1")
    assert row == conversation(structured={"title": "a\0b", "path": "\\u0000"})
    await store.close()


async def test_what_was_said_is_not_in_an_error_text(database: Database) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("SELECT 1 / (length(:said) - length(:said))"), {"said": "a secret"})

    with pytest.raises(Exception, match="division by zero") as caught:
        await database.write(fail)
    assert "secret" not in str(caught.value)
