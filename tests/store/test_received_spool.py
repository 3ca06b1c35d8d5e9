"""What was written to the spool is there when its process is not, and goes with its user."""

from pathlib import Path

import pytest
import trio

from engine.store.received_records import AUDIO, ReceivedFileRow
from engine.store.received_spool import Part, Spool


def row(id: str, uid: str = "ann") -> ReceivedFileRow:
    return ReceivedFileRow(
        uid=uid,
        id=id,
        kind=AUDIO,
        name=f"received/{id}.wav",
        session_id="s",
        session_began_at=0,
        position=0,
        samples=0,
        sample_rate=8000,
        size=0,
        created_at=0,
    )


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", trio.to_thread.run_sync)


async def test_a_file_is_what_was_written(spool: Spool) -> None:
    part = await spool.begin(row("a"))
    await part.write(b"12")
    await part.write(b"345")
    assert (part.size, await part.read()) == (5, b"12345")
    await part.remove()
    assert await spool.abandoned() == []


async def test_what_somebody_writes_is_not_abandoned_and_what_is_left_is_found_whole(spool: Spool) -> None:
    part = await spool.begin(row("a", uid="zoë"))
    await part.write(b"12345")
    assert await spool.abandoned() == []
    part.close()  # as the end of its process does
    (found,) = await spool.abandoned()
    assert found.row == part.row
    assert await found.read() == b"12345"
    assert await spool.abandoned() == []
    await found.remove()
    assert await spool.abandoned() == []


async def test_a_file_whose_beginning_is_torn_is_forgotten(spool: Spool, tmp_path: Path) -> None:
    (await spool.begin(row("a"))).close()
    path = tmp_path / "spool" / "a.part"
    path.write_bytes(path.read_bytes()[:20])
    assert await spool.abandoned() == []
    assert not path.exists()


async def test_a_file_that_is_begun_again_is_empty(spool: Spool) -> None:
    first = await spool.begin(row("a"))
    await first.write(b"12345")
    first.close()
    second = await spool.begin(row("a"))
    assert second.size == 0
    second.close()


async def test_a_users_files_are_erased_and_no_others(spool: Spool) -> None:
    parts: list[Part] = [await spool.begin(row("a")), await spool.begin(row("b", uid="bob"))]
    for part in parts:
        part.close()
    assert await spool.erase("ann") == 1
    assert [part.row.uid for part in await spool.abandoned()] == ["bob"]


async def test_what_was_written_is_flushed_until_it_is_finished(spool: Spool) -> None:
    one, other = await spool.begin(row("a")), await spool.begin(row("b"))
    await one.write(b"1")
    await other.write(b"2")
    await spool.flush()
    await one.write(b"3")
    await one.remove()
    await spool.flush()
    assert await other.read() == b"2"
    other.close()


async def test_what_is_finished_while_a_flush_is_under_way_is_no_error(spool: Spool) -> None:
    part = await spool.begin(row("a"))
    await part.write(b"12")
    await part.remove()
    part.flush()
    await spool.flush()
    assert await spool.abandoned() == []


async def test_nothing_is_there_before_the_folder_is(spool: Spool) -> None:
    assert await spool.abandoned() == []
    assert await spool.erase("ann") == 0
