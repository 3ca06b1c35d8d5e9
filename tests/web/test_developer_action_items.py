"""/v1/dev/user/action-items."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.store.user_records import ActionItemRow
from tests.web.serving import SECOND, T0, site

PATH = "/v1/dev/user/action-items"


async def test_an_action_item_is_kept_done_and_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        body = {"description": " Call Bob ", "due_at": "2026-11-25T09:00:00+01:00"}
        made = (await served.request("POST", PATH, json=body)).json()
        assert (made["description"], made["due_at"]) == ("Call Bob", "2026-11-25T08:00:00Z")
        assert (made["completed"], made["completed_at"], made["conversation_id"]) == (False, None, None)
        assert (await served.get(PATH)).json() == [made]
        done = (await served.request("PATCH", f"{PATH}/{made['id']}", json={"completed": True})).json()
        assert done["completed"]
        assert done["completed_at"] is not None
        never = (await served.request("PATCH", f"{PATH}/{made['id']}", json={"due_at": None})).json()
        assert never["due_at"] is None
        assert (await served.request("DELETE", f"{PATH}/{made['id']}")).json() == {"success": True}
        assert (await served.get(PATH)).json() == []


async def test_a_page_is_of_what_was_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        rows = [
            ActionItemRow(
                uid="alice",
                id=f"a{n}",
                description=f"{n}",
                conversation_id="c" if n == 2 else None,
                completed=n == 1,
                created_at=T0 + n * SECOND,
                updated_at=T0,
            )
            for n in range(4)
        ]
        await served.store.action_items.put(*rows)

        async def ids(**params: Any) -> list[str]:
            return [one["id"] for one in (await served.get(PATH, **params)).json()]

        assert await ids() == ["a3", "a2", "a1", "a0"]
        assert await ids(limit=1, offset=1) == ["a2"]
        assert await ids(completed="true") == ["a1"]
        assert await ids(conversation_id="c") == ["a2"]
        assert await ids(start_date="2023-11-14T22:13:21", end_date="2023-11-14T22:13:22") == ["a2", "a1"]


async def test_50_action_items_are_kept_at_once_and_no_more(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        given = [{"description": f"Do {n}"} for n in range(51)]
        refused = await served.request("POST", f"{PATH}/batch", json={"action_items": given})
        assert refused.status_code == 422
        made = (await served.request("POST", f"{PATH}/batch", json={"action_items": given[:50]})).json()
        assert made["created_count"] == len(made["action_items"]) == 50


@pytest.mark.parametrize(
    "body", [{}, {"description": ""}, {"description": "x" * 501}, {"description": "x", "due_at": "soon"}]
)
async def test_what_is_no_action_item_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    async with site(tmp_path) as served:
        assert (await served.request("POST", PATH, json=body)).status_code == 422


async def test_nobody_changes_those_of_another_or_locked_ones_or_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        row = ActionItemRow(uid="alice", id="a", description="Call Bob", created_at=T0, updated_at=T0)
        await served.store.action_items.put(row, replace(row, id="locked", is_locked=True))
        for uid, id, status in [("bob", "a", 404), ("alice", "locked", 402), ("alice", "none", 404)]:
            path = f"{PATH}/{id}"
            assert (await served.request("PATCH", path, uid, json={"completed": True})).status_code == status
            assert (await served.request("DELETE", path, uid)).status_code == status
        assert (await served.request("PATCH", f"{PATH}/a", json={})).status_code == 422
