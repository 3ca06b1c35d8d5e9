"""Links lead to one blob, for a while, and cannot be made or changed by who has one."""

from pathlib import Path

import trio

from engine.store import Store
from engine.store.blob_links import PATH, LinkedBlob
from tests.store.conftest import on_sqlite

from .making import Clock


async def token(store: Store, name: str = "a.wav") -> str:
    link = await store.blobs.link("ann", name, 60)
    assert link.startswith(PATH)
    return link.removeprefix(PATH)


@on_sqlite
async def test_a_link_says_what_it_leads_to_until_it_ends(store: Store, clock: Clock) -> None:
    given = await token(store, "recordings/a.flac")
    clock.now += 59_999_999
    found = await store.blob_links.read(given)
    assert found == LinkedBlob("main", "ann", "recordings/a.flac", clock.now + 1)
    clock.now += 1
    assert await store.blob_links.read(given) is None


@on_sqlite
async def test_a_link_that_was_changed_anywhere_leads_nowhere(store: Store) -> None:
    whole = await token(store)
    assert await store.blob_links.read(whole) is not None
    for place in range(len(whole)):
        other = "A" if whole[place] != "A" else "B"
        assert await store.blob_links.read(whole[:place] + other + whole[place + 1 :]) is None
        assert await store.blob_links.read(whole[:place]) is None


@on_sqlite
async def test_a_link_with_anothers_signature_leads_nowhere(store: Store, tmp_path: Path) -> None:
    said, _, _ = (await token(store)).partition(".")
    _, _, signature = (await token(store, "b.wav")).partition(".")
    assert await store.blob_links.read(f"{said}.{signature}") is None
    other = await Store.open(tmp_path / "other", trio.to_thread.run_sync, now=store.now)
    assert await other.blob_links.read(await token(store)) is None
    assert await other.blob_links.read(await token(other)) is not None
    await other.close()


@on_sqlite
async def test_any_text_may_be_asked_for(store: Store) -> None:
    for text in ("", ".", "..", "a.b", "ä.ö", "a" * 9000, "\0", "%%%.###", "=.="):
        assert await store.blob_links.read(text) is None
