"""What is sent again since a time is what can be: of audio only so much is kept."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from engine.store import Store
from engine.store.deliveries import DeliveryFilter
from engine.store.webhook_records import DeliveryRow
from engine.webhooks import replaying
from engine.webhooks.replaying import Replayed, replay_since
from tests.databases import migrated
from tests.store.making import NOW

CHOSEN = DeliveryFilter(since=NOW, states=("dead", "dropped"))


async def kept(folder: Path, files: Sequence[str | None]) -> Store:
    """A store with deliveries `m0`, `m1` and so on, which were dropped."""
    store = await Store.open(migrated(folder), trio.to_thread.run_sync, now=lambda: NOW)
    for number, file in enumerate(files):
        row = DeliveryRow(
            uid="ada",
            id=f"m{number}",
            endpoint="developer",
            trigger="audio_bytes" if file else "memory_created",
            body=None if file else b"{}",
            file=file,
            created_at=NOW + number,
            due_at=NOW,
        )
        await store.deliveries.offer(row)
        await store.deliveries.drop("ada", row.id, "no room")
    return store


async def pending(store: Store) -> list[str]:
    return sorted(row.id for row in await store.deliveries.list("ada", DeliveryFilter(states=("pending",))))


@pytest.mark.parametrize("page", [1, 2, 500])
async def test_audio_that_is_gone_stays_as_it_is_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(replaying, "PAGE", page)
    store = await kept(tmp_path, ["gone", "there", None, "gone", "there"])

    async def gone(lines: Sequence[str]) -> set[str]:
        return {line for line in lines if line == "gone"}

    assert await replay_since(store.deliveries, gone, "ada", CHOSEN, 100) == Replayed(count=3, gone=2)
    assert await pending(store) == ["m1", "m2", "m4"]
    await store.close()


async def test_at_most_so_many_are_sent_again_the_oldest_first(tmp_path: Path) -> None:
    store = await kept(tmp_path, [None] * 4)

    async def gone(lines: Sequence[str]) -> set[str]:
        assert not lines
        return set()

    assert (await replay_since(store.deliveries, gone, "bob", CHOSEN, 3)).count == 0
    assert await replay_since(store.deliveries, gone, "ada", CHOSEN, 3) == Replayed(count=3)
    assert await pending(store) == ["m0", "m1", "m2"]
    await store.close()
