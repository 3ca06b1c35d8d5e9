import fcntl
import multiprocessing
import os
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy
import trio
import trio.testing
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

import engine.store.database as database
import engine.store.migration as migration
from engine.off_loop import worker_threads
from engine.store import DatabaseUnavailable, NewerDatabaseError, Store, StoreError
from engine.store.migration import HEAD
from engine.store.tables import is_compared, metadata


def sqlite(tmp_path: Path) -> sqlalchemy.Engine:
    return create_engine(f"sqlite:///{tmp_path / database.DATABASE_FILE}")


async def test_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, trio.to_thread.run_sync)
    await store.close()
    with sqlite(tmp_path).connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_compared})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD


def test_the_named_head_is_the_newest_revision() -> None:
    scripts = ScriptDirectory(str(Path(migration.__file__).with_name("migrations")))
    assert scripts.get_current_head() == HEAD


async def test_an_up_to_date_database_is_opened_without_alembic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await Store.open(tmp_path, trio.to_thread.run_sync)).close()
    monkeypatch.setitem(sys.modules, "alembic", None)  # importing it fails
    store = await Store.open(tmp_path, trio.to_thread.run_sync)
    await store.check_writable()
    await store.close()
    with pytest.raises(ImportError, match="alembic"):
        await Store.open(tmp_path / "new", trio.to_thread.run_sync)


def test_processes_open_a_database_one_after_the_other(tmp_path: Path) -> None:
    # SQLite does not wait for its lock when a file changes to WAL: two at once would fail.
    receive, send = multiprocessing.Pipe(duplex=False)

    def open_it() -> None:
        database.open_engine(tmp_path, 60.0).dispose()
        send.send("opened")

    process = multiprocessing.get_context("fork").Process(target=open_it)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    process.start()
    assert not receive.poll(0.5)
    fcntl.flock(folder, fcntl.LOCK_UN)
    os.close(folder)
    assert receive.recv() == "opened"
    process.join()


def test_several_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(4)

    def open_together() -> None:
        barrier.wait()
        database.open_engine(tmp_path / "new %41", 60.0).dispose()

    processes = [fork.Process(target=open_together) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]


async def test_a_database_of_a_later_release_is_refused(tmp_path: Path) -> None:
    await (await Store.open(tmp_path, trio.to_thread.run_sync)).close()
    with sqlite(tmp_path).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabaseError, match=r"listen\.db.*'9999'.*run the release that wrote it"):
        await Store.open(tmp_path, trio.to_thread.run_sync)
    with sqlite(tmp_path).connect() as connection:
        assert inspect(connection).has_table("conversations")


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / database.DATABASE_FILE).write_bytes(b"something else" * 100)
    with pytest.raises(StoreError, match=r"listen\.db.*LISTEN_DATA_DIR.*not a database"):
        await Store.open(tmp_path, trio.to_thread.run_sync)


async def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"LISTEN_DATA_DIR '.*/file/data' cannot be written"):
        await Store.open(tmp_path / "file" / "data", trio.to_thread.run_sync)


async def test_a_data_directory_that_takes_no_files_is_named() -> None:
    with pytest.raises(StoreError, match="LISTEN_DATA_DIR '/proc' cannot be written"):
        await Store.open(Path("/proc"), trio.to_thread.run_sync)


async def test_the_data_directory_is_private(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a" / "b", trio.to_thread.run_sync)
    await store.close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


async def test_reads_go_on_while_another_holds_the_write_lock_and_writes_wait_for_it(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, busy_timeout=0.05)
    other = sqlite(tmp_path)
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        assert await store.conversations.list("u1") == []
        with pytest.raises(DatabaseUnavailable, match="database is locked"):
            await store.check_writable()
    await store.check_writable()
    await store.close()


async def test_readers_that_become_writers_never_meet_a_stale_snapshot(tmp_path: Path) -> None:
    engine = await trio.to_thread.run_sync(database.open_engine, tmp_path, 30.0)
    db = database.Database(engine, trio.to_thread.run_sync)

    def claim(connection: sqlalchemy.Connection) -> None:
        written = connection.execute(text("SELECT max(written_at) FROM probes")).scalar() or 0
        connection.execute(text("INSERT OR REPLACE INTO probes VALUES (1, :n)"), {"n": written + 1})

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(db.write, claim)
    total = await db.read(
        lambda connection: connection.execute(text("SELECT written_at FROM probes")).scalar()
    )
    assert total == 40
    await db.close()


async def test_what_was_said_is_not_in_an_error_text(tmp_path: Path) -> None:
    engine = await trio.to_thread.run_sync(database.open_engine, tmp_path, 5.0)
    db = database.Database(engine, trio.to_thread.run_sync)

    def fail(connection: sqlalchemy.Connection) -> None:
        connection.execute(text("INSERT INTO nowhere VALUES (:said)"), {"said": "a secret"})

    with pytest.raises(DatabaseUnavailable) as caught:
        await db.write(fail)
    assert "secret" not in str(caught.value)
    await db.close()


async def test_who_waits_to_write_keeps_nobody_from_reading_and_has_its_turn_in_order(tmp_path: Path) -> None:
    engine = await trio.to_thread.run_sync(database.open_engine, tmp_path, 60.0)
    two_threads = worker_threads(2)
    tested = database.Database(engine, two_threads, busy_timeout=60.0)
    writes, go_on = trio.Event(), threading.Event()
    order: list[int] = []

    def hold(_connection: Connection) -> None:
        trio.from_thread.run_sync(writes.set)
        assert go_on.wait(60)

    def note(_connection: Connection, number: int) -> None:
        order.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tested.write, hold)
        await writes.wait()
        for number in range(20):
            nursery.start_soon(tested.write, note, number)
            await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(30):
            assert await tested.read(lambda connection: connection.scalar(text("SELECT 1"))) == 1
        assert order == []
        go_on.set()
    assert order == list(range(20))
    await tested.close()


async def test_who_may_not_wait_at_all_still_writes_when_nobody_else_does(tmp_path: Path) -> None:
    engine = await trio.to_thread.run_sync(database.open_engine, tmp_path, 60.0)
    tested = database.Database(engine, trio.to_thread.run_sync, busy_timeout=0.0)
    for _ in range(2):
        assert await tested.write(lambda connection: connection.scalar(text("SELECT 1"))) == 1
    await tested.close()


async def test_a_turn_to_write_that_does_not_come_is_an_error_that_says_so(tmp_path: Path) -> None:
    engine = await trio.to_thread.run_sync(database.open_engine, tmp_path, 60.0)
    tested = database.Database(engine, trio.to_thread.run_sync, busy_timeout=0.05)
    writes, go_on = trio.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        trio.from_thread.run_sync(writes.set)
        assert go_on.wait(60)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tested.write, hold)
        await writes.wait()
        with pytest.raises(DatabaseUnavailable, match=r"others wrote for 0\.05 s"):
            await tested.write(lambda _connection: None)
        go_on.set()
    assert await tested.write(lambda connection: connection.scalar(text("SELECT 1"))) == 1
    await tested.close()
