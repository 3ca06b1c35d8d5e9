"""/v1/action-items: written, found, changed and ticked off by their owner alone."""

from pathlib import Path
from typing import Any

from engine.store.user_records import ActionItemRow

from .serving import SECOND, T0, Site, add, row, site

DUE = "2023-11-15T10:00:00Z"


def item(id: str, uid: str = "alice", age: int = 0, **fields: Any) -> ActionItemRow:
    at = T0 - age * SECOND
    values: dict[str, Any] = {"description": f"Do {id}.", "created_at": at, "updated_at": at} | fields
    return ActionItemRow(uid=uid, id=id, **values)


async def found(site: Site, **query: Any) -> list[str]:
    page = (await site.get("/v1/action-items", **query)).json()
    return [one["id"] for one in page["action_items"]]


async def test_an_action_item_written_by_hand_is_read_with_every_field(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        body = {"description": "Call Ann", "due_at": DUE}
        made = await running.request("POST", "/v1/action-items", json=body)
        document = made.json()
        assert (made.status_code, document["due_at"], document["completed"]) == (200, DUE, False)
        assert set(document) == {
            *("id", "description", "completed", "created_at", "updated_at", "due_at", "completed_at"),
            *("conversation_id", "is_locked", "exported", "export_date", "export_platform"),
        }
        assert (await running.get(f"/v1/action-items/{document['id']}")).json() == document
        assert (await running.get(f"/v1/action-items/{document['id']}", uid="bob")).status_code == 404


async def test_pages_say_whether_there_is_more(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.action_items.put(*(item(str(n), age=n) for n in range(3)))
        first = (await running.get("/v1/action-items", limit=2)).json()
        assert ([one["id"] for one in first["action_items"]], first["has_more"]) == (["0", "1"], True)
        second = (await running.get("/v1/action-items", limit=2, offset=1)).json()
        assert ([one["id"] for one in second["action_items"]], second["has_more"]) == (["1", "2"], False)


async def test_they_are_found_by_what_is_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.action_items.put(
            item("done", completed=True),
            item("due", age=60, due_at=T0 + 60 * SECOND, conversation_id="c1"),
            item("theirs", uid="bob"),
        )
        assert await found(running, completed="false") == ["due"]
        assert await found(running, conversation_id="c1") == ["due"]
        assert await found(running, start_date="2023-11-14T22:13:00Z") == ["done"]
        assert await found(running, end_date="2023-11-14T22:12:30Z") == ["due"]
        assert await found(running, due_start_date="2023-11-14T22:14:00Z") == ["due"]
        assert await found(running, due_end_date="2023-11-14T22:14:00Z") == []


async def test_an_action_item_changes_only_where_it_is_asked_to(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.action_items.put(item("1", due_at=T0))
        path = "/v1/action-items/1"
        changed = (await running.request("PATCH", path, json={"completed": True})).json()
        assert changed["completed"]
        assert changed["completed_at"] is not None
        assert changed["due_at"] == "2023-11-14T22:13:20Z"
        changed = (await running.request("PATCH", path, json={"due_at": None, "description": "New"})).json()
        assert (changed["due_at"], changed["description"], changed["completed"]) == (None, "New", True)
        export = {"exported": True, "export_platform": "todo", "export_date": DUE}
        assert export.items() <= (await running.request("PATCH", path, json=export)).json().items()
        undone = await running.request("PATCH", f"{path}/completed", params={"completed": "false"})
        assert (undone.json()["completed"], undone.json()["completed_at"]) == (False, None)
        gone = await running.request("DELETE", path)
        assert (gone.status_code, gone.content) == (204, b"")
        assert await found(running) == []


async def test_several_are_written_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        body = [{"description": "One"}, {"description": "Two", "due_at": DUE}]
        made = (await running.request("POST", "/v1/action-items/batch", json=body)).json()
        assert made["created_count"] == 2
        assert set(await found(running)) == {one["id"] for one in made["action_items"]}


async def test_those_of_a_conversation_come_in_its_order(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await add(running.store, row("c1"))
        await add(running.store, row("locked", is_locked=True))
        await running.store.action_items.put(
            item("b", conversation_id="c1", ordinal=0), item("a", conversation_id="c1", ordinal=1), item("x")
        )
        page = (await running.get("/v1/conversations/c1/action-items")).json()
        assert [one["id"] for one in page["action_items"]] == ["b", "a"]
        assert page["conversation_id"] == "c1"
        for id, status in (("c2", 404), ("locked", 402)):
            assert (await running.get(f"/v1/conversations/{id}/action-items")).status_code == status
        assert (await running.get("/v1/conversations/c1/action-items", uid="bob")).status_code == 404


async def test_a_locked_one_shows_its_beginning_and_cannot_be_touched(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.action_items.put(item("1", description="x" * 100, is_locked=True))
        page = (await running.get("/v1/action-items")).json()
        assert page["action_items"][0]["description"] == "x" * 70 + "..."
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("PATCH", "/completed?completed=true"),
        ):
            assert (await running.request(method, f"/v1/action-items/1{path}")).status_code == 402


async def test_nobody_else_can_touch_it_and_mistakes_are_named(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.action_items.put(item("1", uid="bob"))
        for method, path in (("PATCH", ""), ("DELETE", ""), ("PATCH", "/completed?completed=true")):
            answer = await running.request(method, f"/v1/action-items/1{path}")
            assert (answer.status_code, answer.json()) == (404, {"detail": "Action item not found"})
        assert await running.store.action_items.get("bob", "1") == item("1", uid="bob")
        for method, path, body, named in (
            ("POST", "", {"description": ""}, "description"),
            ("POST", "", {"description": "x", "due_at": "tomorrow"}, "due_at"),
            ("POST", "/batch", {}, "body"),
            ("PATCH", "/1/completed", None, "completed"),
            ("GET", "?limit=501", None, "limit"),
        ):
            answer = await running.request(method, f"/v1/action-items{path}", json=body)
            assert answer.status_code == 422, path
            assert named in answer.json()["detail"]
