"""A request that is kept is there when its process is not: for one of those that look for it."""

from pathlib import Path

import pytest
import trio

from engine.store.received_inbox import Inbox

NOW = 1_800_000_000_000_000


def inbox(root: Path) -> Inbox:
    """As of another process: locks of one process are apart, too."""
    return Inbox(root, trio.to_thread.run_sync, lambda: NOW)


def found(root: Path, pattern: str) -> list[Path]:
    return list(root.glob(pattern))


async def test_what_is_kept_is_read_with_its_marks(tmp_path: Path) -> None:
    one = inbox(tmp_path)
    name = await one.keep("ann", b"12\n34")
    await one.mark(name, "a")
    await one.mark(name, "b")
    await one.mark(name, "a")
    await one.flush()
    kept = await one.read(name)
    assert kept is not None
    assert (kept.uid, kept.contents, kept.marks) == ("ann", b"12\n34", {"a": 2, "b": 1})
    await one.remove(name)
    await one.remove(name)
    await one.mark(name, "a")
    assert await one.read(name) is None
    await one.flush()


async def test_what_a_process_that_died_left_is_taken_over_once_in_its_order(tmp_path: Path) -> None:
    first, second, third = inbox(tmp_path), inbox(tmp_path), inbox(tmp_path)
    for number in range(3):
        await first.keep("ann", bytes([number]))
    assert await second.left() == []
    first.close()
    names = await second.left()
    assert [kept.contents for name in names if (kept := await second.read(name))] == [b"\0", b"\1", b"\2"]
    assert await third.left() == await second.left() == []
    second.close()
    assert len(await third.left()) == 3
    assert len(found(tmp_path, "*.lock")) == 1


async def test_of_two_who_claim_a_request_one_has_it(tmp_path: Path) -> None:
    first, second, third = inbox(tmp_path), inbox(tmp_path), inbox(tmp_path)
    name = await first.keep("ann", b"1")
    claimed = await second.claim(name)
    assert claimed is not None
    assert await third.claim(name) is None
    assert await first.read(name) is None
    first.close()
    assert await third.left() == []
    kept = await second.read(claimed)
    assert kept is not None
    assert kept.contents == b"1"


@pytest.mark.parametrize("size", [0, 5, 25])
async def test_what_was_never_whole_is_nothing(tmp_path: Path, size: int) -> None:
    one = inbox(tmp_path)
    name = await one.keep("ann", b"1234")
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:size])
    assert await one.read(name) is None


async def test_a_mark_that_is_not_whole_was_not_set(tmp_path: Path) -> None:
    one = inbox(tmp_path)
    name = await one.keep("ann", b"1234")
    await one.mark(name, "files")
    await one.mark(name, "transcription")
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-3])
    kept = await one.read(name)
    assert kept is not None
    assert kept.marks == {"files": 1}


async def test_erasing_a_user_removes_theirs_in_all_folders(tmp_path: Path) -> None:
    first, second = inbox(tmp_path), inbox(tmp_path)
    for one in (first, second):
        await one.keep("ann", b"1")
    kept = await second.keep("bob", b"2")
    assert await first.erase("ann") == 2
    assert found(tmp_path, "*/*.request") == [tmp_path / kept]


async def test_what_cannot_be_kept_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        await inbox(tmp_path / "file").keep("ann", b"1")
