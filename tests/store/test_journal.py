import gc
import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import trio

from engine.store import Journal, JournalFull, JournalRecord
from engine.store.journal import HEADER, RECORD_LIMIT, encode_record
from engine.store.replay import Ending, JournalReader

from .making import NOW, Clock, changed, opened, segment


async def create(folder: Path, session_id: str = "s1") -> Journal:
    return await Journal.create(folder, session_id, trio.to_thread.run_sync, now=Clock())


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The kernel writes what fits into `size` bytes of any file and refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_records_come_back_in_order(tmp_path: Path) -> None:
    journal = await create(tmp_path / "journal")
    records: list[JournalRecord] = [
        opened(),
        changed(segment("ä", text="Grüße 👋")),
        changed(segment("ä", revision=2)),
    ]
    for record in records:
        journal.append(record)
    reader = JournalReader(journal.path)
    assert list(reader) == records
    assert reader.ending is Ending.COMPLETE
    assert reader.created_at == NOW


async def test_an_append_is_in_the_file_when_it_returns_and_says_how_long_that_is(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    for count in (1, 2, 3):
        size = journal.append(opened())
        assert size == os.stat(journal.path).st_size == HEADER.size + count * len(encode_record(opened()))
    assert journal.statistics().records == 3
    assert journal.statistics().size == size


async def test_a_record_that_fits_only_in_part_leaves_no_trace(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    size = journal.append(opened())
    with files_limited_to(size + 20), pytest.raises(JournalFull, match=r"s1\.journal' did not take"):
        journal.append(changed(segment()))
    assert os.stat(journal.path).st_size == size
    journal.append(changed(segment("later")))
    assert list(JournalReader(journal.path)) == [opened(), changed(segment("later"))]
    assert journal.statistics().failed == 1


async def test_a_record_for_which_there_is_no_room_at_all_leaves_no_trace(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    size = journal.append(opened())
    with files_limited_to(size), pytest.raises(JournalFull, match="File too large"):
        journal.append(changed(segment()))
    assert list(JournalReader(journal.path)) == [opened()]


async def test_records_appended_together_are_all_there_or_none_is(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    together = (opened(), changed(segment()))
    size = journal.append(*together)
    whole_and_a_part = size + len(encode_record(opened())) + 20
    with files_limited_to(whole_and_a_part), pytest.raises(JournalFull):
        journal.append(*together)
    assert list(JournalReader(journal.path)) == list(together)
    assert (journal.statistics().records, journal.statistics().failed) == (2, 2)


async def test_nothing_is_appended_behind_a_torn_record_that_could_not_be_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await create(tmp_path)
    size = journal.append(opened())

    def fail(descriptor: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", fail)
    with files_limited_to(size + 20), pytest.raises(JournalFull, match="Input/output error"):
        journal.append(changed(segment()))
    with pytest.raises(JournalFull, match="Input/output error"):
        journal.append(changed(segment()))
    reader = JournalReader(journal.path)
    assert list(reader) == [opened()]
    assert reader.ending is Ending.TORN


async def test_a_journal_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalFull, match=r"/file/s1\.journal' cannot be made"):
        await create(tmp_path / "file")
    with files_limited_to(3), pytest.raises(JournalFull, match="the header did not fit"):
        await create(tmp_path / "journal")
    assert os.listdir(tmp_path / "journal") == []


async def test_two_sessions_never_share_a_journal(tmp_path: Path) -> None:
    first = await create(tmp_path)
    first.append(opened())
    with pytest.raises(JournalFull, match="File exists"):
        await create(tmp_path)
    assert list(JournalReader(first.path)) == [opened()]


@pytest.mark.parametrize("session_id", ["", "../up", "a/b", ".hidden", "a" * 129, "ä", "a\n"])
async def test_a_session_id_that_is_no_file_name_is_refused(tmp_path: Path, session_id: str) -> None:
    with pytest.raises(ValueError, match=r"session_id: .* accepted"):
        await create(tmp_path, session_id)


async def test_a_record_above_the_limit_is_refused(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    with pytest.raises(ValueError, match=f"at most {RECORD_LIMIT} accepted"):
        journal.append(changed(segment(text="x" * RECORD_LIMIT)))
    assert os.stat(journal.path).st_size == HEADER.size


async def test_nothing_follows_the_end(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    calls: list[str] = []
    journal.when_ended(lambda: calls.append("ended"))
    journal.end()
    journal.end()
    assert calls == ["ended"]
    with pytest.raises(ValueError, match="has ended"):
        journal.append(opened())


async def test_syncing_flushes_what_was_appended(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    assert not journal.unsynced
    journal.append(opened())
    assert journal.unsynced
    await journal.sync()
    assert not journal.unsynced


async def test_removing_twice_does_no_harm_and_closes_the_file(tmp_path: Path) -> None:
    journal = await create(tmp_path)
    gc.collect()  # files that other tests left open would close between the two counts
    before = len(os.listdir("/proc/self/fd"))
    await journal.remove()
    await journal.remove()
    assert len(os.listdir("/proc/self/fd")) == before - 1
    assert os.listdir(tmp_path) == []


def append_for_ever(folder: Path, acknowledge: Connection) -> None:
    async def main() -> None:
        journal = await create(folder)
        for number in range(1_000_000):
            journal.append(changed(segment(str(number))))
            acknowledge.send(number)

    trio.run(main)


@pytest.mark.parametrize("acknowledged", [1, 50, 333])
def test_what_was_appended_survives_the_process_being_killed(tmp_path: Path, acknowledged: int) -> None:
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=append_for_ever, args=(tmp_path, send))
    process.start()
    for number in range(acknowledged):
        assert receive.recv() == number
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    records = list(JournalReader(tmp_path / "s1.journal", lock=True))
    assert len(records) >= acknowledged
    assert records == [changed(segment(str(number))) for number in range(len(records))]
