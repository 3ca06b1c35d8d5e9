"""Who wants to know: what users have set and the apps they have enabled, but for those that are off."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.store import Store
from engine.webhooks.directory import AppEndpoints, Directory, NoApps
from engine.webhooks.ports import Endpoint
from tests.databases import migrated

URL = "https://a.example/hook"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(migrated(tmp_path), trio.to_thread.run_sync)
    yield store
    await store.close()


class Diary:
    async def endpoints(self, uid: str) -> Sequence[Endpoint]:
        return [Endpoint(uid=uid, name="app:diary", trigger="memory_created", url="https://diary.example/")]

    async def any_enabled(self) -> bool:
        return True


def directory(store: Store, apps: AppEndpoints | None = None, age: float = 0.0) -> Directory:
    return Directory(store.webhooks, apps or NoApps(), age)


async def test_what_a_user_has_set_is_found_with_its_secret_and_seconds(store: Store) -> None:
    await store.webhooks.set_url("ada", "developer", "audio_bytes", URL, 7)
    (found,) = await directory(store).endpoints("ada", "audio_bytes")
    (secret,) = await store.webhooks.secrets("ada", "unused")
    assert found == Endpoint(
        uid="ada", name="developer", trigger="audio_bytes", url=URL, secrets=(secret.secret,), seconds=7
    )
    assert await directory(store).endpoints("ada", "memory_created") == []
    assert await directory(store).endpoints("bob", "audio_bytes") == []


async def test_one_that_is_off_or_has_no_url_is_not_given(store: Store) -> None:
    await store.webhooks.set_url("ada", "developer", "memory_created", URL, None)
    await store.webhooks.disable("ada", "developer", "memory_created")
    await store.webhooks.enable("ada", "developer", "day_summary")
    assert await directory(store).endpoints("ada", "memory_created") == []
    assert await directory(store).endpoints("ada", "day_summary") == []


async def test_apps_come_behind_unless_their_endpoint_was_turned_off(store: Store) -> None:
    await store.webhooks.set_url("ada", "developer", "memory_created", URL, None)
    both = await directory(store, Diary()).endpoints("ada", "memory_created")
    assert [one.name for one in both] == ["developer", "app:diary"]
    await store.webhooks.disable("ada", "app:diary", "memory_created")
    assert await directory(store, Diary()).endpoint("ada", "app:diary", "memory_created") is None


async def test_it_is_known_without_waiting_whom_nobody_wants_to_be_told_of(
    store: Store, mock_clock: trio.testing.MockClock
) -> None:
    await store.webhooks.set_url("ada", "developer", "memory_created", URL, None)
    found = directory(store, age=5.0)
    assert not found.unwanted("ada", "day_summary")
    assert len(await found.endpoints("ada", "memory_created")) == 1
    assert not found.unwanted("ada", "memory_created")
    assert found.unwanted("ada", "day_summary")
    assert not found.unwanted("bob", "day_summary")
    mock_clock.jump(5.0)
    assert not found.unwanted("ada", "day_summary")


async def test_where_nobody_has_set_or_enabled_anything_that_is_known_of_everybody(
    store: Store, mock_clock: trio.testing.MockClock
) -> None:
    found = directory(store, age=5.0)
    assert not await found.endpoints("ada", "memory_created")
    assert found.unwanted("bob", "audio_bytes")
    await store.webhooks.set_url("bob", "developer", "audio_bytes", URL, None)
    assert found.unwanted("bob", "audio_bytes")
    found.forget("bob")
    assert not found.unwanted("bob", "audio_bytes")
    assert len(await found.endpoints("bob", "audio_bytes")) == 1
    with_apps = directory(store, Diary(), age=5.0)
    assert len(await with_apps.endpoints("eve", "memory_created")) == 1


async def test_what_is_read_is_remembered_until_it_is_changed_here_or_old(
    store: Store, mock_clock: trio.testing.MockClock
) -> None:
    found = directory(store, age=5.0)
    assert await found.endpoints("ada", "memory_created") == []
    await store.webhooks.set_url("ada", "developer", "memory_created", URL, None)
    assert await found.endpoints("ada", "memory_created") == []
    found.forget("ada")
    assert len(await found.endpoints("ada", "memory_created")) == 1
    await store.webhooks.disable("ada", "developer", "memory_created")
    assert len(await found.endpoints("ada", "memory_created")) == 1
    mock_clock.jump(5.0)
    assert await found.endpoints("ada", "memory_created") == []
