"""/v1/dev/user/goals."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.store.user_records import GoalRow
from tests.web.serving import T0, site

PATH = "/v1/dev/user/goals"


async def test_a_goal_is_made_moves_on_and_is_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        body = {"title": "Run", "target_value": 50, "goal_type": "numeric", "max_value": 60, "unit": "km"}
        made = (await served.request("POST", PATH, json=body)).json()
        path = f"{PATH}/{made['id']}"
        assert (await served.get(path)).json() == made
        assert (await served.get(PATH)).json() == [made]
        moved = await served.request("PATCH", f"{path}/progress?current_value=12.5")
        assert moved.json()["current_value"] == 12.5
        changed = await served.request("PATCH", path, json={"title": "Run far", "current_value": 13})
        assert (changed.json()["title"], changed.json()["current_value"]) == ("Run far", 13)
        (day,) = (await served.get(f"{path}/history", days=7)).json()
        assert day["value"] == 13
        assert (await served.request("DELETE", path)).json() == {"success": True}
        assert (await served.get(PATH)).json() == []
        for answer in (await served.get(path), await served.get(f"{path}/history")):
            assert answer.status_code == 404


async def test_goals_that_are_active_no_more_are_listed_only_when_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        row = GoalRow(uid="alice", id="g", title="Run", target_value=5, created_at=T0, updated_at=T0)
        await served.store.goals.put(row, replace(row, id="old", is_active=False, created_at=T0 - 1))
        assert [one["id"] for one in (await served.get(PATH)).json()] == ["g"]
        found = (await served.get(PATH, include_inactive="true")).json()
        assert [one["id"] for one in found] == ["g", "old"]
        assert len((await served.get(PATH, include_inactive="true", limit=1)).json()) == 1


@pytest.mark.parametrize("body", [{}, {"title": " ", "target_value": 1}, {"title": "x", "target_value": "y"}])
async def test_what_is_no_goal_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    async with site(tmp_path) as served:
        assert (await served.request("POST", PATH, json=body)).status_code == 422


async def test_nobody_changes_the_goals_of_another_or_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        row = GoalRow(uid="alice", id="g", title="Run", target_value=5, created_at=T0, updated_at=T0)
        await served.store.goals.put(row)
        for method, path, options in [
            ("GET", f"{PATH}/g", {}),
            ("GET", f"{PATH}/g/history", {}),
            ("PATCH", f"{PATH}/g", {"json": {"title": "x"}}),
            ("PATCH", f"{PATH}/g/progress?current_value=1", {}),
            ("DELETE", f"{PATH}/g", {}),
        ]:
            assert (await served.request(method, path, "bob", **options)).status_code == 404, path
        assert (await served.request("PATCH", f"{PATH}/g", json={})).status_code == 422
        assert (await served.get(f"{PATH}/g")).json()["title"] == "Run"
