"""/v1/conversations/search over a real store."""

from pathlib import Path
from typing import Any

from engine.store import Store
from tests.web.serving import Site, add, row, segment, site

TALKS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "c1": (10, "Marta repairs the boat at the harbour.", {}),
    "c2": (20, "The harbour is closed today.", {"discarded": True}),
    "c3": (30, "Apple pie with cinnamon.", {"labels": {"topics": ["cooking"]}}),
    "c4": (40, "The harbour of the locked.", {"is_locked": True}),
}


async def some(store: Store) -> None:
    for id, (age, said, fields) in TALKS.items():
        await add(store, row(id, age=age, **fields), segment(f"s-{id}", said))
        await store.texts.index("alice", id)
    await add(store, row("b1", uid="bob"), segment("s-b", "Bob's harbour."))
    await store.texts.index("bob", "b1")


async def search(served: Site, uid: str = "alice", **body: Any) -> dict[str, Any]:
    answer = await served.request("POST", "/v1/conversations/search", uid=uid, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [item["id"] for item in found["items"]]


async def test_conversations_are_found_whole_by_their_words(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        found = await search(served, query="boat harbour")
        whole = (await served.get("/v1/conversations/c1")).json()
    assert found == {"items": [whole], "total_pages": 1, "current_page": 1, "per_page": 10}


async def test_pages_times_and_names_choose_and_nobody_elses_are_found(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        assert sorted(ids(await search(served, query="harbour"))) == ["c1", "c2"]
        assert ids(await search(served, query="harbour", include_discarded=False)) == ["c1"]
        assert ids(await search(served, query="harbour", end_date="2023-11-14T22:13:00Z")) == ["c2"]
        assert ids(await search(served, query="cinnamon", topics=["Cooking"])) == ["c3"]
        assert ids(await search(served, uid="bob", query="harbour")) == ["b1"]
        first, second = [await search(served, query="harbour", page=n, per_page=1) for n in (1, 2)]
        assert (await search(served, query="harbour", page=3, per_page=1))["items"] == []
    assert sorted(ids(first) + ids(second)) == ["c1", "c2"]
    assert (first["total_pages"], second["current_page"], second["per_page"]) == (2, 2, 1)


async def test_without_words_all_there_is_is_listed_newest_first(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        found = await search(served, page=None, per_page=2)
        assert (ids(found), found["total_pages"]) == (["c1", "c2"], 2)
        assert ids(await search(served, query="  ", page=2, per_page=2)) == ["c3", "c4"]
        locked = (await search(served, query="", page=2, per_page=2))["items"][1]
        assert locked["transcript_segments"] == []


async def test_what_looks_like_syntax_is_words(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        for query in ('"', "harbour AND (", "owner:alice", "*", "'; DROP TABLE texts; --", "🙂" * 100):
            assert (await search(served, query=query))["current_page"] == 1
        refused = await served.request("POST", "/v1/conversations/search", json={"page": 0})
        assert refused.status_code == 422
        assert "page=0 is not accepted" in refused.json()["detail"]
