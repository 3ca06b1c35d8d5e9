"""The spool keeps audio until it is of no use, within its bytes, and says what it dropped."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from engine.store.errors import DatabaseUnavailable
from engine.store.webhook_spool import HEADER, blank_spooled
from engine.webhooks.spool import Spool
from engine.webhooks.spooled import Place, Spooled
from tests.listen.harness import inline

KILOBYTE = bytes(range(250)) * 4


def spool(folder: Path, limit: int = 160_000, age: float = 3600.0, waiting: Sequence[str] = ()) -> Spool:
    async def read() -> Sequence[str]:
        return waiting

    return Spool(folder, limit, age, inline, read)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def line(*places: Place) -> str:
    return Spooled("5e3604", 80_000, places).line


async def test_audio_is_read_as_it_was_appended_piece_by_piece(tmp_path: Path) -> None:
    it = spool(tmp_path)
    first = await it.append("ada", [b"one", b"two"])
    await it.append("bob", [b"not hers"])
    second = await it.append("ada", [b"three"])
    assert await it.read(line(first, second)) == b"onetwothree"
    assert (it.statistics().bytes, it.statistics().files, len(names(tmp_path))) == (19, 1, 1)
    it.close()


async def test_what_is_appended_together_is_flushed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = spool(tmp_path)
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    places: dict[str, Place] = {}

    async def append(uid: str, pieces: list[bytes]) -> None:
        places[uid] = await it.append(uid, pieces)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(append, "ada", [KILOBYTE, KILOBYTE])
        nursery.start_soon(append, "bob", [b"his"])
    assert await it.read(line(places["ada"])) == KILOBYTE * 2
    assert await it.read(line(places["bob"])) == b"his"
    assert (it.statistics().bytes, len(flushed)) == (2003, 1)
    it.close()


async def test_a_full_spool_drops_the_oldest_and_counts_what_was_waited_for(tmp_path: Path) -> None:
    waiting: list[str] = []
    it = spool(tmp_path, limit=16_000, waiting=waiting)  # a file of a kilobyte each
    places = [await it.append("ada", [KILOBYTE]) for _ in range(16)]
    end = msgspec.structs.replace(places[2], offset=places[2].offset + 900, size=100)
    waiting += [line(places[1]), line(*places[1:3]), line(end), line(places[9])]
    places += [await it.append("ada", [KILOBYTE]) for _ in range(4)]
    assert len(names(tmp_path)) == 16
    said = it.statistics()
    assert (said.bytes, said.files, said.dropped_bytes) == (16_000, 16, 2000)
    with pytest.raises(FileNotFoundError):
        await it.read(line(places[3]))
    there = [line(places[4]), line(*places[5:7])]
    gone = [line(places[3]), line(*places[3:5]), "gone.pcm"]
    assert await it.gone([*there, *gone]) == set(gone)
    assert await it.read(line(places[4])) == KILOBYTE
    it.close()


async def test_all_that_is_dropped_counts_while_nobody_can_tell_what_is_waited_for(tmp_path: Path) -> None:
    async def away() -> Sequence[str]:
        raise DatabaseUnavailable("gone for a while")

    it = Spool(tmp_path, 16_000, 3600.0, inline, away)
    for _ in range(20):
        await it.append("ada", [KILOBYTE])
    assert (it.statistics().dropped_bytes, it.statistics().bytes) == (4000, 16_000)
    it.close()


async def test_what_earlier_processes_left_counts_and_is_swept_once_it_is_of_no_use(tmp_path: Path) -> None:
    before = spool(tmp_path)
    place = await before.append("ada", [KILOBYTE])
    before.close()
    it = spool(tmp_path)
    await it.sweep()
    assert it.statistics().bytes == 1000 + HEADER.size
    assert await it.read(line(place)) == KILOBYTE
    gone = spool(tmp_path, age=-120.0)
    await gone.sweep()
    assert (gone.statistics().bytes, names(tmp_path)) == (0, [])


async def test_the_file_that_is_being_written_is_never_swept(tmp_path: Path) -> None:
    it = spool(tmp_path, age=-120.0)
    place = await it.append("ada", [KILOBYTE])
    await it.sweep()
    assert await it.read(line(place)) == KILOBYTE
    it.close()


async def test_a_users_audio_can_be_blanked_without_that_of_others(tmp_path: Path) -> None:
    it = spool(tmp_path, limit=2**24)
    places = {uid + str(n): await it.append(uid, [KILOBYTE * 99]) for n in range(2) for uid in ("ada", "bob")}
    assert blank_spooled(tmp_path, "ada") == 2
    assert blank_spooled(tmp_path / "nowhere", "ada") == 0
    for name, place in places.items():
        assert await it.read(line(place)) == (bytes(99_000) if name.startswith("ada") else KILOBYTE * 99)
    it.close()


async def test_a_record_that_a_dying_process_did_not_finish_is_blanked_as_far_as_it_goes(
    tmp_path: Path,
) -> None:
    it = spool(tmp_path)
    place = await it.append("ada", [KILOBYTE])
    it.close()
    (name,) = names(tmp_path)
    os.truncate(tmp_path / name, HEADER.size + 300)
    assert blank_spooled(tmp_path, "ada") == 1
    assert (tmp_path / name).read_bytes()[HEADER.size :] == bytes(300)
    with pytest.raises(FileNotFoundError, match="ends before"):
        await it.read(line(place))


@pytest.mark.parametrize("given", ["../store.sqlite", "/etc/passwd", "s-0/../store.sqlite:0:6", ""])
async def test_no_line_leads_out_of_the_folder(tmp_path: Path, given: str) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"secret")
    with pytest.raises(FileNotFoundError, match="line of the spool"):
        await spool(tmp_path / "spool").read(given)


async def test_a_disk_that_refuses_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b"not a folder")
    it = spool(tmp_path / "spool")
    with pytest.raises(OSError, match="File exists"):
        await it.append("ada", [KILOBYTE])
    assert it.statistics().bytes == 0


async def test_after_a_write_that_failed_another_file_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = spool(tmp_path)
    writev, refused = os.writev, 1

    def full(descriptor: int, buffers: Any) -> int:
        nonlocal refused
        written = writev(descriptor, [buffers[0][:5]]) if refused else writev(descriptor, buffers)
        if refused:
            refused -= 1
            raise OSError(28, "No space left on device")
        return written

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(OSError, match="No space"):
        await it.append("ada", [b"torn"])
    place = await it.append("ada", [KILOBYTE])
    assert await it.read(line(place)) == KILOBYTE
    assert len(names(tmp_path)) == 2
    it.close()
