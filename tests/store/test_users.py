"""Settings: defaults, changes seen at once here and after the cache's age elsewhere."""

from pathlib import Path

import pytest
import trio

from engine.store import Store
from engine.store.user_records import UserRow

from .making import NOW, Clock


async def test_a_user_who_set_nothing_has_the_defaults(store: Store) -> None:
    assert await store.users.get("u1") == UserRow(uid="u1")


async def test_a_change_touches_nothing_else_and_is_seen_at_once(store: Store, clock: Clock) -> None:
    await store.users.get("u1")
    await store.users.change("u1", {"name": "Ann", "vocabulary": ["Omi"]})
    clock.now += 1
    changed = await store.users.change("u1", {"time_zone": "Europe/Berlin"})
    expected = UserRow(
        uid="u1", name="Ann", vocabulary=["Omi"], time_zone="Europe/Berlin", updated_at=NOW + 1
    )
    assert changed == expected == await store.users.get("u1")
    assert await store.users.get("u2") == UserRow(uid="u2")


async def test_what_another_process_changed_is_seen_after_the_age_of_the_cache(
    store: Store, clock: Clock, tmp_path: Path, database_url: str
) -> None:
    other = await Store.open(tmp_path, trio.to_thread.run_sync, url=database_url, now=clock)
    assert (await store.users.get("u1")).name == ""
    await other.users.change("u1", {"name": "Ann"})
    assert (await store.users.get("u1")).name == ""
    clock.now += 5_000_000
    assert (await store.users.get("u1")).name == "Ann"
    await other.close()


async def test_the_cache_forgets_whoever_was_asked_for_longest_ago(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.users._cache, "_most", 2)
    for uid in ("u1", "u2", "u1", "u3"):
        await store.users.get(uid)
    assert list(store.users._cache) == ["u1", "u3"]


async def test_a_user_who_is_deleted_has_the_defaults_again(store: Store) -> None:
    await store.users.change("u1", {"name": "Ann"})
    await store.users.delete("u1")
    assert await store.users.get("u1") == UserRow(uid="u1")
