"""Keys of apps, and the users who let them in."""

from pathlib import Path

import pytest

from engine.store import Store
from engine.store.tokens import TOUCH_INTERVAL

from .conftest import on_sqlite
from .making import NOW, Clock


async def test_a_key_opens_its_own_app(store: Store) -> None:
    key = await store.apps.create_key("notes", "maker", "first")
    assert key.startswith("sk_")
    assert await store.apps.verify("notes", key)
    assert not await store.apps.verify("other", key)
    assert not await store.apps.verify("notes", key[:-1] + ("A" if key[-1] != "A" else "B"))
    (row,) = await store.apps.list_keys("notes")
    assert (row.app_id, row.uid, row.label, row.created_at) == ("notes", "maker", "first", NOW)
    assert await store.apps.list_keys("other") == []


@pytest.mark.parametrize("key", ["", "sk_", "omi_dev_x", "sk_é", "sk_\ud800"])
async def test_what_is_no_key_opens_nothing(store: Store, key: str) -> None:
    await store.apps.create_key("notes", "maker")
    assert not await store.apps.verify("notes", key)


@on_sqlite  # it looks into the file
async def test_the_key_itself_is_not_kept(store: Store, tmp_path: Path) -> None:
    key = await store.apps.create_key("notes", "maker")
    kept = b"".join((tmp_path / name).read_bytes() for name in ("listen.db", "listen.db-wal"))
    assert b"notes" in kept
    assert key.removeprefix("sk_").encode() not in kept


async def test_a_revoked_key_opens_nothing_and_an_app_without_keys_is_gone(store: Store) -> None:
    key = await store.apps.create_key("notes", "maker")
    assert await store.apps.exists("notes")
    (row,) = await store.apps.list_keys()
    assert await store.apps.revoke_key(row.id)
    assert not await store.apps.revoke_key(row.id)
    assert not await store.apps.verify("notes", key)
    assert not await store.apps.exists("notes")


async def test_the_last_use_of_a_key_is_written_at_most_once_a_minute(store: Store, clock: Clock) -> None:
    key = await store.apps.create_key("notes", "maker")
    used = []
    for clock.now in (NOW, NOW + TOUCH_INTERVAL - 1, NOW + TOUCH_INTERVAL):
        await store.apps.verify("notes", key)
        used.append((await store.apps.list_keys())[0].last_used_at)
    assert used == [NOW, NOW, NOW + TOUCH_INTERVAL]


async def test_an_app_is_enabled_by_each_user_for_themselves(store: Store) -> None:
    await store.apps.enable("u1", "notes")
    await store.apps.enable("u1", "notes")
    assert await store.apps.is_enabled("u1", "notes")
    assert not await store.apps.is_enabled("u2", "notes")
    assert not await store.apps.is_enabled("u1", "other")
    assert await store.apps.disable("u1", "notes")
    assert not await store.apps.disable("u1", "notes")
    assert not await store.apps.is_enabled("u1", "notes")


@pytest.mark.parametrize(("app_id", "uid"), [("", "maker"), ("a/b", "maker"), ("é", "maker"), ("notes", "")])
async def test_a_key_needs_an_app_and_a_maker(store: Store, app_id: str, uid: str) -> None:
    with pytest.raises(ValueError, match="given, "):
        await store.apps.create_key(app_id, uid)
