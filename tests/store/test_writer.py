import math
import multiprocessing
import os
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple
from zlib import crc32

import pytest
import trio
from structlog.testing import capture_logs

from engine.store import (
    COMPLETED,
    ConversationClosed,
    DatabaseWriter,
    JournalFull,
    JournalRecord,
    SegmentsDeleted,
    Store,
    UsageAdded,
    WriterFull,
)
from engine.store.journal import HEADER, MAGIC, VERSION
from engine.store.records import UsageSoFar
from engine.store.writer import CLOCK_MARGIN, FORGET_INTERVAL
from tests.databases import migrated

from .making import NOW, Clock, changed, conversation, opened, segment, usage_row

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def inline(fn: Callable[[*Ts], T], /, *args: *Ts) -> T:
    """Off the loop is on the loop: the virtual clock must not run while a thread works."""
    await trio.lowlevel.checkpoint()
    return fn(*args)


@asynccontextmanager
async def running(
    folder: Path, *, clock: Clock | None = None, **settings: float
) -> AsyncIterator[tuple[Store, DatabaseWriter]]:
    store = await Store.open(migrated(folder), inline, busy_timeout=0.0, now=clock or Clock())
    writer = DatabaseWriter(store, inline, **settings)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        yield store, writer
        nursery.cancel_scope.cancel()
    await store.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process has the write lock."""
    connection = sqlite3.connect(folder / "listen.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """Log lines; not written to a file, which could be full."""
    with capture_logs() as entries:
        yield entries


RECORDS: list[JournalRecord] = [opened(), changed(segment())]


def header_of_version(version: int) -> bytes:
    fields = HEADER.pack(MAGIC, version, NOW, 0)[:-4]
    return fields + crc32(fields).to_bytes(4, "little")


def journals(writer: DatabaseWriter) -> list[str]:
    return sorted(os.listdir(writer.folder))


async def test_after_a_flush_everything_submitted_is_in_the_database(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (store, writer):
        journal = await writer.open_journal("s1")
        writer.submit(journal, [opened(), changed(segment("a"), segment("b"))])
        writer.submit(journal, [SegmentsDeleted("u1", "c1", ("a",)), UsageAdded("e1", usage_row(words=2))])
        writer.submit(journal, [ConversationClosed("u1", "c1", COMPLETED, NOW + 1)])
        assert writer.statistics().pending > 0
        await writer.flush()
        assert await store.conversations.get("u1", "c1") == conversation(
            status=COMPLETED, finished_at=NOW + 1
        )
        assert await store.conversations.segments("u1", "c1") == [segment("b")]
        assert [row.words for row in await store.usage.read()] == [2]
        assert writer.statistics().pending == 0
        assert writer.statistics().waiting_seconds == 0


async def test_flushing_does_not_wait_for_the_write_interval(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path, write_interval=30.0) as (store, writer):
        journal = await writer.open_journal("s1")
        writer.submit(journal, [opened()])
        began = trio.current_time()
        await writer.flush()
        await writer.flush()
        assert trio.current_time() == began
        assert await store.conversations.get("u1", "c1") is not None


async def test_batches_are_at_least_the_write_interval_apart(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path, write_interval=0.5) as (store, writer):
        journal = await writer.open_journal("s1")
        writer.submit(journal, [opened()])
        for revision in range(1, 101):
            writer.submit(journal, [changed(segment(text=str(revision), revision=revision))])
            await trio.sleep(0.02)
        await trio.sleep(0.5)
        assert 4 <= writer.statistics().batches <= 5
        assert [s.text for s in await store.conversations.segments("u1", "c1")] == ["100"]


async def test_a_large_batch_is_written_in_transactions_of_the_limit(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path, batch_limit=10) as (store, writer):
        journal = await writer.open_journal("s1")
        writer.submit(journal, [opened(f"c{n}") for n in range(35)])
        await writer.flush()
        assert writer.statistics().batches == 4
        assert await store.conversations.count("u1") == 35


async def test_a_journal_goes_once_its_session_has_ended_and_all_of_it_is_written(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (_, writer):
        first, second = await writer.open_journal("s1"), await writer.open_journal("s2")
        first.append(opened())
        writer.submit(first, [opened()])
        await writer.flush()
        assert journals(writer) == ["s1.journal", "s2.journal"]
        first.end()
        await writer.flush()
        assert journals(writer) == ["s2.journal"]
        second.end()
        await trio.sleep(1)
        assert journals(writer) == []
        assert writer.statistics().journals == 0


async def test_a_locked_database_is_tried_again_and_seen_and_caught_up_with(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path, write_interval=0.1, retry_initial=0.1, retry_limit=2.0) as (store, writer):
        journal = await writer.open_journal("s1")
        with locked(tmp_path):
            writer.submit(journal, [opened()])
            journal.end()
            await trio.sleep(10)
            statistics = writer.statistics()
            assert statistics.failing is not None
            assert "database is locked" in statistics.failing
            assert statistics.waiting_seconds == pytest.approx(10)
            assert statistics.retries == 9  # after 0.1 0.2 0.4 0.8 1.6 2 2 2 s
            assert journals(writer) == ["s1.journal"]
        await writer.flush()
        assert await store.conversations.get("u1", "c1") is not None
        assert writer.statistics().failing is None
        assert journals(writer) == []


async def test_a_full_disk_is_tried_again_and_loses_nothing(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (store, writer):
        journal = await writer.open_journal("s1")
        with full_disk(os.stat(journal.path).st_size):
            for record in RECORDS:
                with pytest.raises(JournalFull):
                    journal.append(record)
                writer.submit(journal, [record])
            await trio.sleep(1)
            assert writer.statistics().failing is not None
        await writer.flush()
        assert await store.conversations.segments("u1", "c1") == [segment()]


async def test_memory_is_bounded_while_the_database_fails_and_the_rest_comes_from_the_journal(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path, pending_limit=10, batch_limit=7) as (store, writer):
        journal = await writer.open_journal("s1")
        with locked(tmp_path):
            records = [changed(segment(f"s{n:02}")) for n in range(50)]
            for record in [RECORDS[0], *records]:
                journal.append(record)
                writer.submit(journal, [record])
                await trio.sleep(0.1)
                assert writer.statistics().pending <= 10
            journal.end()
        await writer.flush()
        assert [s.id for s in await store.conversations.segments("u1", "c1")] == [
            f"s{n:02}" for n in range(50)
        ]
        assert journals(writer) == []


async def test_what_neither_journal_nor_memory_takes_is_refused(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path, pending_limit=3) as (store, writer):
        journal = await writer.open_journal("s1")
        with locked(tmp_path):
            writer.submit(None, [opened(), opened("c2"), opened("c3")])
            with pytest.raises(WriterFull, match=r"pending_limit: 3 .*LISTEN_DATA_DIR"):
                writer.submit(None, [opened("c4")])
            with full_disk(os.stat(journal.path).st_size), pytest.raises(JournalFull):
                journal.append(opened("c4"))
            with pytest.raises(WriterFull):
                writer.submit(journal, [opened("c4")])
        await writer.flush()
        assert await store.conversations.count("u1") == 3


async def test_journals_are_flushed_to_disk_only_while_the_database_does_not_do_it(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path, sync_interval=1.0) as (_, writer):
        journal = await writer.open_journal("s1")
        journal.append(opened())
        writer.submit(journal, [opened()])
        await trio.sleep(5)
        assert journal.unsynced
        with locked(tmp_path):
            journal.append(changed(segment()))
            writer.submit(journal, [changed(segment())])
            await trio.sleep(1.0)
            assert not journal.unsynced


async def test_what_the_database_refuses_does_not_hold_up_the_rest(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (store, writer):
        good, bad = await writer.open_journal("good"), await writer.open_journal("bad")
        record = changed(segment(start=math.nan), id="c2", uid="u2")  # SQLite keeps NaN as NULL
        writer.submit(good, [opened(), changed(segment())])
        writer.submit(bad, [opened("c2", uid="u2"), record])
        good.end()
        bad.end()
        await writer.flush()
        assert await store.conversations.segments("u1", "c1") == [segment()]
        assert writer.statistics().rejected == 1
        assert writer.statistics().failing is None
        assert journals(writer) == ["bad.journal.rejected"]


async def test_records_for_a_journal_that_is_not_open_are_refused(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (_, writer):
        journal = await writer.open_journal("s1")
        journal.end()
        with pytest.raises(ValueError, match=r"s1\.journal' is not open"):
            writer.submit(journal, [opened()])
        await writer.flush()
        with pytest.raises(ValueError, match=r"s1\.journal' is not open"):
            writer.submit(journal, [opened()])


async def test_flushing_after_the_end_says_so(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    async with running(tmp_path) as (_, writer):
        journal = await writer.open_journal("s1")
    assert journal.ended
    writer.submit(None, [opened()])
    with pytest.raises(trio.ClosedResourceError):
        await writer.flush()


async def test_someone_waiting_for_a_flush_is_told_when_the_writer_ends(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with trio.open_nursery() as nursery, running(tmp_path) as (_, writer):

        async def flush() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await writer.flush()

        with locked(tmp_path):
            writer.submit(None, [opened()])
            nursery.start_soon(flush)
            await trio.sleep(1)


async def test_what_a_cancelled_writer_left_is_recovered(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    records = [*RECORDS, UsageAdded("e1", usage_row(words=1))]
    async with running(tmp_path) as (_, writer):
        journal = await writer.open_journal("s1")
        with locked(tmp_path):
            for record in records:
                journal.append(record)
            writer.submit(journal, records)
            await trio.sleep(1)
    async with running(tmp_path) as (store, writer):
        recovery = await writer.recover()
        assert (recovery.journals, recovery.records, recovery.torn, recovery.kept) == (1, 3, 0, 0)
        assert await store.conversations.segments("u1", "c1") == [segment()]
        assert journals(writer) == []


async def test_recovery_leaves_live_journals_alone(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    async with running(tmp_path) as (_, writer):
        journal = await writer.open_journal("s1")
        journal.append(opened())
        assert (await writer.recover()).journals == 0
        assert journals(writer) == ["s1.journal"]


async def test_recovering_twice_counts_usage_once(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    async with running(tmp_path) as (_, writer):
        journal = await writer.open_journal("s1")
        journal.append(UsageAdded("e1", usage_row(words=3)))
    copy = journal.path.read_bytes()
    for _ in range(2):
        journal.path.write_bytes(copy)
        async with running(tmp_path) as (store, writer):
            assert (await writer.recover()).records == 1
            assert [row.words for row in await store.usage.read()] == [3]


async def test_a_portion_of_usage_that_was_not_over_counts_when_its_process_died(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (store, writer):
        journal = await writer.open_journal("s1")
        for record in (
            UsageSoFar("s1:0", usage_row(words=1)),
            UsageAdded("s1:0", usage_row(words=2)),
            UsageSoFar("s1:1", usage_row(words=10)),
            UsageSoFar("s1:1", usage_row(words=20)),
        ):
            journal.append(record)
        await writer.recover()
        assert await store.usage.read() == [], "its process lives"
    async with running(tmp_path, batch_limit=1) as (store, writer):
        await writer.recover()
        assert [row.words for row in await store.usage.read()] == [22]


async def test_a_portion_of_usage_that_is_over_counts_as_it_was_then(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (store, writer):
        journal = await writer.open_journal("s1")
        journal.append(UsageSoFar("s1:0", usage_row(words=1)))
        added = UsageAdded("s1:0", usage_row(words=2))
        journal.append(added)
        writer.submit(journal, [added])
        await writer.flush()
        assert [row.words for row in await store.usage.read()] == [2]
    async with running(tmp_path) as (store, writer):
        assert (await writer.recover()).records == 2
        assert [row.words for row in await store.usage.read()] == [2]


async def test_a_torn_journal_is_recovered_and_removed_a_damaged_one_is_kept_aside(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (_, writer):
        for name in ("torn", "damaged", "newer"):
            journal = await writer.open_journal(name)
            journal.append(opened(name))
            journal.append(opened(f"{name}-2"))
    for name, change in (("torn", slice(-3, None)), ("damaged", slice(-3, -2))):
        data = bytearray((writer.folder / f"{name}.journal").read_bytes())
        data[change] = b"" if name == "torn" else b"?"
        (writer.folder / f"{name}.journal").write_bytes(data)
    data = bytearray((writer.folder / "newer.journal").read_bytes())
    data[: HEADER.size] = header_of_version(VERSION + 1)
    (writer.folder / "newer.journal").write_bytes(data)
    async with running(tmp_path) as (store, writer):
        recovery = await writer.recover()
        assert (recovery.journals, recovery.records, recovery.torn, recovery.kept) == (3, 2, 1, 2)
        assert {row.id for row in await store.conversations.list("u1")} == {"torn", "damaged"}
        assert journals(writer) == ["damaged.journal.corrupt", "newer.journal"]


async def test_a_recovered_journal_with_something_refused_is_kept_aside(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with running(tmp_path) as (_, writer):
        journal = await writer.open_journal("s1")
        for record in (opened(), changed(segment(start=math.nan)), opened("c2")):
            journal.append(record)
    async with running(tmp_path) as (store, writer):
        assert (await writer.recover()).kept == 1
        assert await store.conversations.get("u1", "c2") is not None
        assert journals(writer) == ["s1.journal.rejected"]


async def test_recovery_waits_for_a_locked_database(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    async with running(tmp_path) as (_, writer):
        journal = await writer.open_journal("s1")
        journal.append(opened())
    async with running(tmp_path) as (store, writer), trio.open_nursery() as nursery:
        with locked(tmp_path):
            nursery.start_soon(writer.recover)
            await trio.sleep(20)
            assert writer.statistics().failing is not None
        await trio.sleep(20)
        assert await store.conversations.get("u1", "c1") is not None


async def test_marks_are_forgotten_when_no_journal_is_old_enough_to_need_them(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    clock = Clock()
    async with running(tmp_path, clock=clock) as (store, writer):

        async def session_after(seconds: float, name: str) -> None:
            await trio.sleep(seconds)
            clock.now += round(seconds * 1_000_000)
            (await writer.open_journal(name)).end()
            await writer.flush()

        async def remembered() -> bool:
            await store.conversations.create(conversation())
            return not await store.conversations.delete("u1", "c1")

        old = await writer.open_journal("old")
        await store.conversations.create(conversation())
        await store.conversations.delete("u1", "c1")
        await session_after(1, "a")
        await session_after(CLOCK_MARGIN / 1_000_000 + FORGET_INTERVAL, "b")
        assert await remembered()
        old.end()
        await writer.flush()
        await session_after(FORGET_INTERVAL, "c")
        assert not await remembered()


def live_for_ever(folder: Path, acknowledge: Connection) -> None:
    async def main() -> None:
        store = await Store.open(folder, trio.to_thread.run_sync, now=Clock())
        writer = DatabaseWriter(store, trio.to_thread.run_sync, write_interval=0.001)
        async with trio.open_nursery() as nursery:
            await nursery.start(writer.run)
            number = 0
            for session in range(1_000_000):
                journal = await writer.open_journal(f"s{session}")
                for _ in range(10):
                    records: list[JournalRecord] = [
                        opened(f"c{session}"),
                        changed(segment(str(number)), id=f"c{session}"),
                        UsageAdded(str(number), usage_row(words=1)),
                    ]
                    for record in records:
                        journal.append(record)
                    writer.submit(journal, records)
                    acknowledge.send(number)
                    number += 1
                    await trio.lowlevel.checkpoint()
                journal.end()

    trio.run(main)


@pytest.mark.parametrize("acknowledged", [3, 20, 77, 150, 400])
def test_killed_at_any_point_nothing_acknowledged_is_lost_or_counted_twice(
    tmp_path: Path, acknowledged: int
) -> None:
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=live_for_ever, args=(tmp_path, send))
    process.start()
    send.close()
    for number in range(acknowledged):
        assert receive.recv() == number
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    async def recovered() -> tuple[int, int]:
        store = await Store.open(tmp_path, inline)
        writer = DatabaseWriter(store, inline)
        await writer.recover()
        assert journals(writer) == []
        page = await store.conversations.with_segments(await store.conversations.list("u1", limit=1000))
        ids = sorted(int(segment.id) for _, segments in page for segment in segments)
        assert ids == list(range(len(ids)))
        words = sum(row.words for row in await store.usage.read())
        await store.close()
        return len(ids), words

    segments, words = trio.run(recovered)
    assert segments >= acknowledged
    assert words >= acknowledged
    assert abs(segments - words) <= 1  # killed between two appends
