import sqlite3
from pathlib import Path

import pytest
import trio

from engine.store import Store
from engine.store.tokens import TOUCH_INTERVAL

from .conftest import on_sqlite
from .making import NOW, Clock


async def test_a_token_names_its_user(store: Store) -> None:
    token = await store.tokens.create("u1", "my phone")
    assert token.startswith("omi_dev_")
    assert len(token) == len("omi_dev_") + 43
    row = await store.tokens.verify(token)
    assert row is not None
    assert (row.uid, row.label, row.created_at, row.expires_at) == ("u1", "my phone", NOW, None)


@on_sqlite  # it looks into the file
async def test_the_token_itself_is_not_kept(store: Store, tmp_path: Path) -> None:
    token = await store.tokens.create("u1")
    kept = b"".join((tmp_path / name).read_bytes() for name in ("listen.db", "listen.db-wal"))
    assert b"tokens" in kept
    assert token.removeprefix("omi_dev_").encode() not in kept


@pytest.mark.parametrize(
    "token", ["", "omi_dev_", "omi_dev_" + "A" * 43, "dev:u1", "omi_dev_é", "omi_dev_\ud800"]
)
async def test_an_unknown_token_names_nobody(store: Store, token: str) -> None:
    await store.tokens.create("u1")
    assert await store.tokens.verify(token) is None


async def test_a_token_that_differs_in_its_last_character_names_nobody(store: Store) -> None:
    token = await store.tokens.create("u1")
    assert await store.tokens.verify(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert await store.tokens.verify(token + "A") is None


@on_sqlite  # it looks into the file
async def test_a_hash_that_only_shares_the_id_names_nobody(store: Store, tmp_path: Path) -> None:
    token = await store.tokens.create("u1")
    with sqlite3.connect(tmp_path / "listen.db") as connection:
        connection.execute("UPDATE tokens SET hash = substr(hash, 1, 12) || substr('0123' || hash, 1, 52)")
    assert await store.tokens.verify(token) is None


async def test_an_expired_token_is_returned_as_expired(store: Store, clock: Clock) -> None:
    token = await store.tokens.create("u1", expires_at=NOW + 10)
    row = await store.tokens.verify(token)
    assert row is not None
    assert not row.expired(NOW + 9)
    clock.now = NOW + 10
    row = await store.tokens.verify(token)
    assert row is not None
    assert row.expired(clock.now)


async def test_a_revoked_token_names_nobody(store: Store) -> None:
    token, other = await store.tokens.create("u1"), await store.tokens.create("u1")
    row = await store.tokens.verify(token)
    assert row is not None
    assert await store.tokens.revoke(row.id)
    assert not await store.tokens.revoke(row.id)
    assert not await store.tokens.revoke("nothing")
    assert await store.tokens.verify(token) is None
    assert await store.tokens.verify(other) is not None


async def test_tokens_are_listed_per_user_with_what_became_of_them(store: Store, clock: Clock) -> None:
    token = await store.tokens.create("u1", "first")
    clock.now += 1
    await store.tokens.create("u2", "second", expires_at=NOW + 5)
    await store.tokens.verify(token)
    (row,) = await store.tokens.list("u1")
    await store.tokens.revoke(row.id)
    rows = await store.tokens.list()
    assert [(r.label, r.last_used_at, r.expires_at, r.revoked_at) for r in rows] == [
        ("first", NOW + 1, None, NOW + 1),
        ("second", None, NOW + 5, None),
    ]
    assert [r.label for r in await store.tokens.list("u2")] == ["second"]


async def test_the_last_use_is_written_at_most_once_a_minute(store: Store, clock: Clock) -> None:
    token = await store.tokens.create("u1")
    used = []
    for clock.now in (NOW, NOW + TOUCH_INTERVAL - 1, NOW + TOUCH_INTERVAL):
        await store.tokens.verify(token)
        used.append((await store.tokens.list("u1"))[0].last_used_at)
    assert used == [NOW, NOW, NOW + TOUCH_INTERVAL]


async def test_a_locked_database_still_verifies(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, busy_timeout=0.05)
    token = await store.tokens.create("u1")
    lock = sqlite3.connect(tmp_path / "listen.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    row = await store.tokens.verify(token)
    assert row is not None
    assert row.uid == "u1"
    lock.close()
    await store.close()


async def test_a_token_for_nobody_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="uid: '' given"):
        await store.tokens.create("")


async def test_a_token_keeps_its_scopes_and_has_all_without(store: Store) -> None:
    limited = await store.tokens.create("u1", scopes=["memories:write", "memories:read", "memories:read"])
    row = await store.tokens.verify(limited)
    assert row is not None
    assert row.scopes == ["memories:read", "memories:write"]
    row = await store.tokens.verify(await store.tokens.create("u1"))
    assert row is not None
    assert row.scopes is None


@pytest.mark.parametrize("scopes", [[], ["memories"], ["memories:read", "secrets:read"]])
async def test_a_token_with_scopes_that_there_are_not_is_refused(store: Store, scopes: list[str]) -> None:
    with pytest.raises(ValueError, match=r"scopes: .* given; some of conversations:read, "):
        await store.tokens.create("u1", scopes=scopes)


async def test_a_user_revokes_only_their_own_tokens(store: Store) -> None:
    row, token = await store.tokens.issue("u1")
    assert not await store.tokens.revoke(row.id, "u2")
    assert await store.tokens.verify(token) is not None
    assert await store.tokens.revoke(row.id, "u1")
