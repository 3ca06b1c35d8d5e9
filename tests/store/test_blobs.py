"""Blobs are kept alike in files, in S3 and in Google Cloud Storage: the same tests for all three."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
import trio

from engine._config_blobs import Blobs as Settings
from engine.store import Store
from engine.store.blob_erasures import ERASE_BLOBS
from engine.store.blobs import PAGE_LIMIT, PIECE, Blobs
from engine.store.errors import BlobMissing, BlobsUnavailable
from engine.store.photos import MOVE
from engine.store.user_records import PhotoRow
from tests import buckets
from tests.databases import migrated
from tests.store.making import NOW, conversation


@dataclass(frozen=True)
class Kept:
    """A place for blobs, and two users of it that no other test has."""

    blobs: Blobs
    store: Store
    ann: str
    bob: str


@pytest.fixture(scope="module", params=["files", "s3", "google"])
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    match request.param:
        case "s3":
            with buckets.s3() as settings:
                yield settings
        case "google":
            with buckets.google() as settings:
                yield settings
        case _:
            yield Settings()


@pytest.fixture
async def kept(tmp_path: Path, settings: Settings) -> AsyncIterator[Kept]:
    store = await Store.open(migrated(tmp_path), trio.to_thread.run_sync, blobs=settings)
    yield Kept(store.blobs, store, f"ann-{uuid4().hex}", f"Bob {uuid4().hex}")
    await store.close()


async def names(blobs: Blobs, uid: str, folder: str = "") -> list[str]:
    return [blob.name for blob in await blobs.list(uid, folder)]


async def test_a_blob_is_read_as_it_was_put_and_replaced_as_a_whole(kept: Kept) -> None:
    for data in (b"", b"first, and longer", bytes(range(256)) * 9000, b"last"):
        await kept.blobs.put(kept.ann, "recordings/a.flac", data)
        assert await kept.blobs.get(kept.ann, "recordings/a.flac") == data
        found = await kept.blobs.find(kept.ann, "recordings/a.flac")
        assert found is not None
        assert (found.name, found.size) == ("recordings/a.flac", len(data))


async def test_when_it_was_put_is_known(kept: Kept) -> None:
    before = kept.store.now()
    await kept.blobs.put(kept.ann, "a", b"x")
    found = await kept.blobs.find(kept.ann, "a")
    assert found is not None
    assert abs(found.modified_at - before) < 60_000_000  # a second is as exact as some are


async def test_a_stream_has_the_bytes_asked_for_in_pieces(kept: Kept) -> None:
    data = bytes(range(251)) * (2 * PIECE // 251 + 99)
    await kept.blobs.put(kept.ann, "long.wav", data)
    for start, end in ((0, None), (7, PIECE + 8), (PIECE, 2 * PIECE), (len(data) - 3, len(data) + 99)):
        pieces = [piece async for piece in kept.blobs.stream(kept.ann, "long.wav", start=start, end=end)]
        assert b"".join(pieces) == data[start:end]
        assert all(len(piece) <= PIECE for piece in pieces)
    assert [piece async for piece in kept.blobs.stream(kept.ann, "long.wav", start=len(data))] == []


async def test_what_is_not_there_is_missing(kept: Kept) -> None:
    await kept.blobs.put(kept.ann, "folder/there", b"x")
    for name in ("nothing", "folder", "folder/there/below"):
        assert await kept.blobs.find(kept.ann, name) is None
        with pytest.raises(BlobMissing, match=name):
            await kept.blobs.get(kept.ann, name)
        with pytest.raises(BlobMissing):
            await anext(aiter(kept.blobs.stream(kept.ann, name)))
    await kept.blobs.delete(kept.ann, "nothing", "folder", "folder/there", "other")
    assert await names(kept.blobs, kept.ann) == []


async def test_a_list_is_in_order_and_its_pages_meet(kept: Kept) -> None:
    given = ["a", "a-b", "a.c", "aa", "b/c/d", "b/c-d", "b/z", "b-c", "z"]
    for name in given:
        await kept.blobs.put(kept.ann, name, name.encode())
    whole = await names(kept.blobs, kept.ann)
    assert whole == sorted(given)
    found: list[str] = []
    while page := await kept.blobs.list(kept.ann, after=found[-1] if found else "", limit=2):
        assert len(page) <= 2
        found += [blob.name for blob in page]
    assert found == whole
    assert await names(kept.blobs, kept.ann, "b") == ["b/c-d", "b/c/d", "b/z"]
    assert [blob.name for blob in await kept.blobs.list(kept.ann, "b", after="b/c-d", limit=1)] == ["b/c/d"]
    assert [blob.size for blob in await kept.blobs.list(kept.ann, "b/c")] == [5]


async def test_what_is_one_users_is_never_anothers(kept: Kept) -> None:
    await kept.blobs.put(kept.ann, "a", b"of ann")
    await kept.blobs.put(kept.bob, "a", b"of bob")
    await kept.blobs.delete(kept.ann, "a")
    assert await kept.blobs.get(kept.bob, "a") == b"of bob"
    assert await names(kept.blobs, kept.ann) == []


async def test_a_folder_is_deleted_with_all_below_it_and_nothing_beside_it(kept: Kept) -> None:
    for name in ("r/1/a", "r/1/b", "r/1", "r/10", "r/2/a"):
        await kept.blobs.put(kept.ann, name + ".x", b"x")
    assert await kept.blobs.delete_folder(kept.ann, "r/1") == 2
    assert await names(kept.blobs, kept.ann) == ["r/1.x", "r/10.x", "r/2/a.x"]
    await kept.blobs.put(kept.bob, "a", b"x")
    assert await kept.blobs.delete_folder(kept.ann) == 3
    assert await kept.blobs.delete_folder(kept.ann) == 0
    assert await names(kept.blobs, kept.bob) == ["a"]


async def test_nothing_of_an_erased_user_is_left(kept: Kept) -> None:
    for uid in (kept.ann, kept.bob):
        for name in ("recordings/a.flac", "received/b.wav"):
            await kept.blobs.put(uid, name, b"x")
    erased = await kept.store.user_data.erase(kept.bob, serving=False)
    assert erased.blobs == 2
    assert await names(kept.blobs, kept.bob) == []
    assert len(await names(kept.blobs, kept.ann)) == 2


async def test_many_at_once_are_all_kept(kept: Kept) -> None:
    async def put(number: int) -> None:
        await kept.blobs.put(kept.ann, f"n/{number:03}", str(number).encode())
        await kept.blobs.delete(kept.ann, f"n/{number:03}")
        await kept.blobs.put(kept.ann, f"n/{number:03}", str(number).encode())

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(put, number)
    assert await names(kept.blobs, kept.ann) == [f"n/{number:03}" for number in range(40)]


async def test_whoever_has_a_link_reads_what_it_leads_to(kept: Kept) -> None:
    await kept.blobs.put(kept.ann, "a.wav", b"spoken")
    link = await kept.blobs.link(kept.ann, "a.wav", 60)
    if link.startswith("/v1/blobs/"):  # only buckets that know who asks can sign
        found = await kept.store.blob_links.read(link.removeprefix("/v1/blobs/"))
        assert found is not None
        assert (found.place, found.uid, found.name) == (kept.blobs.place, kept.ann, "a.wav")
    else:
        assert "X-Amz-Expires=60" in link
        answer = await httpx2.AsyncClient().get(link)
        assert (answer.status_code, answer.content) == (200, b"spoken")
        assert answer.headers["Content-Type"] == "audio/wav"


@pytest.mark.parametrize("limit", [0, PAGE_LIMIT + 1])
async def test_a_page_that_cannot_be_is_refused(tmp_path: Path, limit: int) -> None:
    store = await Store.open(migrated(tmp_path), trio.to_thread.run_sync)
    with pytest.raises(ValueError, match=r"^limit: "):
        await store.blobs.list("ann", limit=limit)
    await store.close()


@pytest.mark.parametrize("scheme", ["s3", "gs"])
async def test_a_bucket_that_is_away_is_unavailable(tmp_path: Path, scheme: str) -> None:
    settings = Settings(
        url=f"{scheme}://gone",
        endpoint="http://127.0.0.1:9",
        access_key_id="a",
        secret_access_key="b",
        retry_time=0,
    )
    store = await Store.open(migrated(tmp_path), trio.to_thread.run_sync, blobs=settings)
    calls = (store.blobs.put("ann", "a", b"x"), store.blobs.get("ann", "a"), store.blobs.list("ann"))
    for call in (*calls, store.blobs.delete("ann", "a")):
        with pytest.raises(BlobsUnavailable, match=f"{scheme}://gone"):
            await call
    await store.users.change("ann", {"language": "de"})
    with pytest.raises(BlobsUnavailable):
        await store.user_data.erase("ann", serving=False)
    assert await store.user_data.counts("ann") == {"users": 1}
    await store.close()


async def test_pictures_of_conversations_go_there_and_go_with_them(kept: Kept) -> None:
    store, uid = kept.store, kept.ann
    for id in ("c1", "c2"):
        await store.conversations.create(conversation(id, uid))
        photo = PhotoRow(uid=uid, conversation_id=id, id=f"of-{id}", image=b"\xff\xd8\xff..", created_at=NOW)
        assert await store.photos.add(photo, describe=False)
    (job,) = await store.jobs.claim("one", [MOVE], 60, 10)
    assert await store.photos.move(job) == 2
    assert await names(kept.blobs, uid) == ["photos/of-c1.jpg", "photos/of-c2.jpg"]
    (photo,) = await store.photos.of_conversation(uid, "c1")
    assert photo.image == b"\xff\xd8\xff.."
    await store.conversations.delete(uid, "c1")
    (job,) = await store.jobs.claim("one", [ERASE_BLOBS], 60, 10)
    assert await store.blob_erasures.erase(job) == 1
    assert await names(kept.blobs, uid) == ["photos/of-c2.jpg"]
    assert (await store.user_data.erase(uid, serving=False)).blobs == 1
    assert await names(kept.blobs, uid) == []
