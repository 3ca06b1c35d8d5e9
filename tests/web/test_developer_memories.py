"""/v1/dev/user/memories."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.store.user_records import MemoryRow
from tests.web.serving import T0, site

PATH = "/v1/dev/user/memories"


async def test_a_memory_is_kept_listed_changed_and_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        body = {"content": " Likes whales. ", "category": "hobbies", "tags": ["sea"], "visibility": "public"}
        made = (await served.request("POST", PATH, json=body)).json()
        assert (made["content"], made["category"], made["tags"]) == ("Likes whales.", "hobbies", ["sea"])
        assert (made["visibility"], made["manually_added"], made["edited"]) == ("public", True, False)
        assert (await served.get(PATH)).json() == [made]
        changes = {"content": "Likes orcas.", "category": "work", "tags": [], "visibility": "private"}
        changed = (await served.request("PATCH", f"{PATH}/{made['id']}", json=changes)).json()
        assert {name: changed[name] for name in changes} == changes
        assert changed["edited"]
        gone = await served.request("DELETE", f"{PATH}/{made['id']}")
        assert gone.json() == {"success": True}
        assert (await served.get(PATH)).json() == []
        assert (await served.request("DELETE", f"{PATH}/{made['id']}")).status_code == 404


async def test_pages_are_of_25_and_of_the_categories_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        rows = [
            MemoryRow(
                uid="alice", id=f"{n:02}", content=f"{n}", category="work", created_at=T0 + n, updated_at=T0
            )
            for n in range(30)
        ]
        await served.store.memories.put(*rows, replace(rows[0], id="x", category="other"))
        assert len((await served.get(PATH)).json()) == 25
        page = (await served.get(PATH, limit=2, offset=1)).json()
        assert [one["id"] for one in page] == ["28", "27"]
        assert [one["id"] for one in (await served.get(PATH, categories="other, skills")).json()] == ["x"]
        assert (await served.get(PATH, categories="other,nonsense")).status_code == 422


async def test_25_memories_are_kept_at_once_and_no_more(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        given = [{"content": f"Fact {n}"} for n in range(26)]
        refused = await served.request("POST", f"{PATH}/batch", json={"memories": given})
        assert refused.status_code == 422
        made = (await served.request("POST", f"{PATH}/batch", json={"memories": given[:25]})).json()
        assert made["created_count"] == len(made["memories"]) == 25
        assert made["memories"][0]["category"] == "manual"


@pytest.mark.parametrize(
    "body", [{}, {"content": " "}, {"content": "x" * 501}, {"content": "x", "category": "nonsense"}]
)
async def test_what_is_no_memory_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    async with site(tmp_path) as served:
        assert (await served.request("POST", PATH, json=body)).status_code == 422


async def test_nobody_changes_the_memories_of_another_or_locked_ones_or_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        row = MemoryRow(uid="alice", id="m", content="Likes whales.", created_at=T0, updated_at=T0)
        await served.store.memories.put(row, replace(row, id="locked", is_locked=True))
        for uid, id, status in [("bob", "m", 404), ("alice", "locked", 402), ("alice", "none", 404)]:
            path = f"{PATH}/{id}"
            assert (await served.request("PATCH", path, uid, json={"content": "x"})).status_code == status
            assert (await served.request("DELETE", path, uid)).status_code == status
        assert (await served.request("PATCH", f"{PATH}/m", json={})).status_code == 422
        assert len((await served.get(PATH)).json()) == 2
