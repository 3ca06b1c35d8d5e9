"""Whoever has a link reads the file it leads to, or a part of it, while the link is good."""

from pathlib import Path

import pytest

from engine.store.blobs import PIECE
from tests.web.serving import Site, site

DATA = bytes(range(256)) * (PIECE // 256 + 100)


async def link(served: Site, name: str = "recordings/a.flac", data: bytes = DATA, seconds: float = 60) -> str:
    await served.store.blobs.put("alice", name, data)
    return await served.store.blobs.link("alice", name, seconds)


async def test_a_file_is_read_by_its_link_alone(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        answer = await served.get(await link(served), uid=None)
        assert answer.status_code == 200
        assert answer.content == DATA
        assert answer.headers["Content-Type"] == "audio/flac"
        assert answer.headers["Content-Length"] == str(len(DATA))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"] == 'inline; filename="a.flac"'
        assert "no-store" in answer.headers["Cache-Control"]


async def test_what_browsers_might_run_they_are_told_to_save(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        answer = await served.get(await link(served, "a.html", b"<script>"), uid=None)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="a.html"'


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        (f"bytes={PIECE - 1}-{PIECE}", PIECE - 1, PIECE + 1),
        ("bytes=100-", 100, len(DATA)),
        ("bytes=-7", len(DATA) - 7, len(DATA)),
        (f"bytes=9-{2 * len(DATA)}", 9, len(DATA)),
    ],
)
async def test_a_part_is_read_by_its_range(tmp_path: Path, asked: str, start: int, end: int) -> None:
    async with site(tmp_path) as served:
        answer = await served.client.get(await link(served), headers={"Range": asked})
        assert answer.status_code == 206
        assert answer.content == DATA[start:end]
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(DATA)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=x", "bytes=9-5", ""])
async def test_a_range_that_is_none_or_several_is_all_of_it(tmp_path: Path, asked: str) -> None:
    async with site(tmp_path) as served:
        answer = await served.client.get(await link(served), headers={"Range": asked})
        assert answer.status_code == 200
        assert answer.content == DATA


async def test_a_range_beyond_the_end_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        answer = await served.client.get(await link(served), headers={"Range": f"bytes={len(DATA)}-"})
        assert answer.status_code == 416
        assert str(len(DATA)) in answer.json()["detail"]


async def test_a_link_that_has_ended_or_leads_to_nothing_is_not_found(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        ended = await link(served, seconds=-1)
        gone = await link(served)
        await served.store.blobs.delete("alice", "recordings/a.flac")
        for path in (ended, gone, "/v1/blobs/made.up", gone + "x"):
            answer = await served.get(path, uid=None)
            assert answer.status_code == 404, path
            assert answer.json() == {"detail": "File not found"}


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        answer = await served.get(await link(served, data=b""), uid=None)
        assert (answer.status_code, answer.content) == (200, b"")
