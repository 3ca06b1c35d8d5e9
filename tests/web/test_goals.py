"""/v1/goals."""

from pathlib import Path

from .serving import site

PATH = "/v1/goals"


async def test_a_goal_is_made_reached_and_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        assert (await running.get(PATH)).json() is None
        body = {"title": "Walk", "target_value": 10, "unit": "km", "goal_type": "numeric"}
        goal = (await running.request("POST", PATH, json=body)).json()
        assert goal | body == goal
        assert (goal["current_value"], goal["min_value"], goal["max_value"]) == (0.0, 0.0, 10.0)
        assert (await running.get(PATH)).json() == goal
        one = f"{PATH}/{goal['id']}"
        moved = await running.request("PATCH", f"{one}/progress", params={"current_value": "2.5"})
        assert moved.json()["current_value"] == 2.5
        changed = (await running.request("PATCH", one, json={"current_value": 3, "unit": None})).json()
        assert (changed["current_value"], changed["unit"], changed["title"]) == (3.0, None, "Walk")
        (day,) = (await running.get(f"{one}/history", days=1)).json()
        assert (set(day), day["value"]) == ({"date", "value", "recorded_at"}, 3.0)
        assert (await running.get(f"{PATH}/all")).json() == [changed]
        deleted = await running.request("DELETE", one)
        assert deleted.json() == {"success": True, "deleted_id": goal["id"]}
        assert (await running.get(f"{PATH}/all")).json() == []


async def test_nobody_else_sees_it_and_mistakes_are_named(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        body = {"title": "Walk", "target_value": 10}
        theirs = (await running.request("POST", PATH, "bob", json=body)).json()
        one = f"{PATH}/{theirs['id']}"
        assert (await running.get(f"{PATH}/all")).json() == []
        for method, path in (
            ("PATCH", one),
            ("PATCH", f"{one}/progress?current_value=1"),
            ("GET", f"{one}/history"),
            ("DELETE", one),
        ):
            answer = await running.request(method, path)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Goal not found"})
        assert (await running.get(PATH, "bob")).json() == theirs
        for wrong, named in (
            ({"title": "x"}, "target_value"),
            ({"title": " ", "target_value": 1}, "title"),
            ({"title": "x", "target_value": 1, "goal_type": "soft"}, "goal_type"),
            ({"title": "x", "target_value": 1, "min_value": 11}, "min_value"),
        ):
            answer = await running.request("POST", PATH, json=wrong)
            assert (answer.status_code, named in answer.json()["detail"]) == (422, True)
