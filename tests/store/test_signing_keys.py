"""Keys that all processes sign with."""

from pathlib import Path

import trio

from engine.store import Store


async def test_every_process_has_the_same_key_of_a_name_and_another_of_another(
    tmp_path: Path, database_url: str
) -> None:
    stores = [await Store.open(tmp_path, trio.to_thread.run_sync, url=database_url) for _ in range(2)]
    found: list[bytes] = []

    async def ask(store: Store) -> None:
        found.append(await store.signing_keys.get("links"))

    async with trio.open_nursery() as nursery:
        for store in stores * 2:
            nursery.start_soon(ask, store)
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    assert await stores[0].signing_keys.get("other") not in found
    for store in stores:
        await store.close()
