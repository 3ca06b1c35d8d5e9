"""Photos of conversations: their bytes as they came, oldest first, in rows until they are blobs."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from alembic import command
from alembic.config import Config
from sqlalchemy import column, insert, table

from engine.store import Store, migration
from engine.store import photos as module
from engine.store.database import open_engine
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.photos import DESCRIBE, MOVE
from engine.store.user_records import PhotoRow

from .making import NOW, conversation


def photo(id: str, uid: str = "u1", conversation: str = "c1", at: int = NOW, **more: Any) -> PhotoRow:
    more.setdefault("image", bytes(range(256)))
    return PhotoRow(uid=uid, conversation_id=conversation, id=id, created_at=at, **more)


async def test_photos_come_oldest_first(store: Store) -> None:
    first, second, other = photo("b"), photo("a", at=NOW + 1), photo("c", conversation="c2")
    await store.photos.put(second, first, other, photo("x", uid="u2"))
    assert await store.photos.of_conversation("u1", "c1") == [first, second]
    assert await store.photos.of_conversation("u1", "c2") == [other]
    assert await store.photos.of_conversation("u2", "c2") == []


async def test_a_description_is_added_to_what_is_kept(store: Store) -> None:
    await store.photos.put(photo("a"))
    changed = await store.photos.change("u1", "a", {"description": "A cat.", "discarded": False})
    assert changed == photo("a", description="A cat.")


async def test_a_picture_is_kept_only_where_its_conversation_is(store: Store) -> None:
    await store.conversations.create(conversation("c1"))
    assert await store.photos.add(photo("a"), describe=True)
    assert not await store.photos.add(photo("b", conversation="c2"), describe=True)
    assert not await store.photos.add(photo("c", uid="u2"), describe=True)
    await store.conversations.delete("u1", "c1")
    assert not await store.photos.add(photo("d"), describe=True)
    assert await store.photos.count("u2") == 0


async def test_a_description_and_the_end_of_its_job_are_one(store: Store) -> None:
    await store.conversations.create(conversation("c1"))
    await store.photos.add(photo("a"), describe=True)
    (job,) = await store.jobs.claim("one", [DESCRIBE], 60, 10)
    assert await store.photos.described(job, "A cat.", True)
    assert await store.photos.get("u1", "a") == photo("a", description="A cat.", discarded=True)
    assert not await store.photos.described(job, "A dog.", False)
    assert await store.photos.get("u1", "a") == photo("a", description="A cat.", discarded=True)


async def test_a_conversation_has_only_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PHOTOS", 2)
    for id in ("c1", "c2"):
        await store.conversations.create(conversation(id))
    kept = [await store.photos.add(photo(f"a{n}"), describe=False) for n in range(3)]
    assert kept == [True, True, False]
    assert await store.photos.add(photo("b", conversation="c2"), describe=False)


async def moved(store: Store, uid: str = "u1") -> int:
    """Do the job that moves pictures; how many there were."""
    (job,) = await store.jobs.claim("one", [MOVE], 60, 10)
    assert job.uid == uid
    return await store.photos.move(job)


async def test_a_picture_is_moved_out_of_its_row_and_shown_as_before(store: Store) -> None:
    await store.conversations.create(conversation("c1"))
    image = b"\xff\xd8\xff" + bytes(range(256))
    await store.photos.add(photo("a", image=image), describe=False)
    assert await moved(store) == 1
    shown = photo("a", image=image, blob="photos/a.jpg")
    assert await store.photos.get("u1", "a") == shown
    assert await store.photos.of_conversation("u1", "c1") == [shown]
    whole = await store.wholes.get("u1", "c1")
    assert whole is not None
    assert whole.photos == [shown]
    assert [blob.name for blob in await store.blobs.list("u1")] == ["photos/a.jpg"]
    assert (await store.photos.list("u1"))[0].image == b"", "the bytes are in one place"
    assert await store.jobs.next_due([MOVE]) is None


async def test_more_pictures_than_one_job_moves_leave_another(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    await store.conversations.create(conversation("c1"))
    for id in "abc":
        await store.photos.add(photo(id), describe=False)
    assert [await moved(store), await moved(store)] == [2, 1]
    assert await store.jobs.next_due([MOVE]) is None


async def test_a_picture_stays_in_its_row_while_its_bucket_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.conversations.create(conversation("c1"))
    await store.photos.add(photo("a"), describe=False)
    (store.data_dir / "blobs").write_bytes(b"a file where the folder would be")
    with pytest.raises(BlobsUnavailable):
        await moved(store)
    assert await store.photos.get("u1", "a") == photo("a")


async def test_a_picture_that_cannot_be_read_is_an_error_that_may_pass(store: Store) -> None:
    await store.conversations.create(conversation("c1"))
    await store.photos.add(photo("a"), describe=False)
    await moved(store)
    (file,) = store.data_dir.glob("blobs/*/photos/a")
    file.rename(file.with_name("away"))
    file.symlink_to(file)
    with pytest.raises(DatabaseUnavailable, match="picture"):
        await store.wholes.get("u1", "c1")
    whole = await store.wholes.get("u1", "c1", pictures=False)
    assert whole is not None
    assert [one.id for one in whole.photos] == ["a"]
    file.unlink()
    file.with_name("away").rename(file)
    assert await store.photos.get("u1", "a") == photo("a", blob="photos/a")


async def test_a_picture_whose_conversation_goes_while_it_is_moved_leaves_nothing(store: Store) -> None:
    await store.conversations.create(conversation("c1"))
    await store.photos.add(photo("a"), describe=False)
    (job,) = await store.jobs.claim("one", [MOVE], 60, 10)
    put = store.blobs.put

    async def deleted_meanwhile(uid: str, name: str, data: bytes) -> None:
        await put(uid, name, data)
        await store.conversations.delete("u1", "c1")

    store.blobs.put = deleted_meanwhile  # type: ignore[method-assign]
    await store.photos.move(job)
    assert await store.blobs.list("u1") == []


async def test_pictures_of_earlier_releases_are_moved_too(tmp_path: Path, database_url: str) -> None:
    engine = open_engine(tmp_path, 5.0, database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).with_name("migrations")))
    old = {name: value for name, value in msgspec.structs.asdict(photo("a")).items() if name != "blob"}
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
        connection.execute(insert(table("photos", *map(column, old))), [old])
    engine.dispose()
    store = await Store.open(tmp_path, trio.to_thread.run_sync, url=database_url)
    assert await moved(store) == 1
    assert await store.photos.get("u1", "a") == photo("a", blob="photos/a")
    await store.close()
