"""The spool keeps files until they are delivered, within its bytes, and says what it dropped."""

from pathlib import Path

import pytest
import trio

from engine.store.webhook_spool import remove_spooled
from engine.webhooks.spool import Spool, place_of
from tests.listen.harness import inline

KILOBYTE = bytes(1000)


def spool(folder: Path, limit: int = 10_000, age: float = 3600.0) -> Spool:
    return Spool(folder, limit, age, inline)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def kept(it: Spool, uid: str = "ada", *pieces: bytes) -> str:
    file = it.begin(uid)
    await it.append(file, pieces or [KILOBYTE])
    it.finish(file)
    return file


async def test_a_file_is_read_as_it_was_written_piece_by_piece(tmp_path: Path) -> None:
    it = spool(tmp_path)
    file = it.begin("ada")
    await it.append(file, [b"one", b"two"])
    await it.append(file, [b"three"])
    it.finish(file)
    assert await it.read(file) == b"onetwothree"
    assert (it.statistics().bytes, it.statistics().files) == (11, 1)
    await it.remove(file)
    await it.remove(file)
    assert (it.statistics().bytes, names(tmp_path)) == (0, [])
    with pytest.raises(FileNotFoundError):
        await it.read(file)


async def test_a_full_spool_drops_the_oldest_and_counts_it(tmp_path: Path) -> None:
    it = spool(tmp_path, limit=3000)
    files = [await kept(it) for _ in range(5)]
    assert names(tmp_path) == files[2:]
    said = it.statistics()
    assert (said.bytes, said.files, said.dropped_files, said.dropped_bytes) == (3000, 3, 2, 2000)


async def test_a_file_that_is_being_written_is_not_dropped(tmp_path: Path) -> None:
    it = spool(tmp_path, limit=2000)
    begun = it.begin("ada")
    await it.append(begun, [KILOBYTE])
    await kept(it)
    last = await kept(it)
    await it.append(begun, [KILOBYTE])
    it.finish(begun)
    assert await it.read(begun) == KILOBYTE * 2
    assert last not in names(tmp_path)


async def test_what_earlier_processes_left_counts_and_is_swept_once_it_is_of_no_use(tmp_path: Path) -> None:
    await kept(spool(tmp_path))
    it = spool(tmp_path)
    await it.sweep()
    assert it.statistics().bytes == 1000
    gone = spool(tmp_path, age=0.0)
    await gone.sweep()
    assert (gone.statistics().bytes, names(tmp_path)) == (0, [])


async def test_a_users_files_can_be_removed_without_those_of_others(tmp_path: Path) -> None:
    it = spool(tmp_path)
    for uid in ("ada", "ada", "bob"):
        await kept(it, uid)
    assert remove_spooled(tmp_path, "ada") == 2
    assert len(names(tmp_path)) == 1


def test_a_files_name_says_where_its_audio_belongs(tmp_path: Path) -> None:
    it = spool(tmp_path)
    assert place_of(it.begin("ada", "5e3604", 80_000)) == ("5e3604", 80_000)
    assert [place_of(name) for name in (it.begin("ada"), "0.pcm", "a-b-c-d-e.pcm", "")] == [None] * 4


@pytest.mark.parametrize("name", ["../store.sqlite", "/etc/passwd", "a/b"])
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    it = spool(tmp_path / "spool")
    (tmp_path / "store.sqlite").write_bytes(b"secret")
    with pytest.raises(ValueError, match="without folders"):
        await it.read(name)
    with pytest.raises(ValueError, match="without folders"):
        await it.remove(name)
    assert (tmp_path / "store.sqlite").exists()


async def test_a_disk_that_refuses_is_told_of_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b"not a folder")
    it = spool(tmp_path / "spool")
    file = it.begin("ada")
    with pytest.raises(OSError, match="File exists"):
        await it.append(file, [KILOBYTE])
    await trio.lowlevel.checkpoint()
    assert it.statistics().bytes == 0
