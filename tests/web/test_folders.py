"""/v1/folders: what conversations are sorted into."""

from pathlib import Path
from typing import Any

from engine.web.folders import FOLDERS

from .serving import Site, add, row, site

PATH = "/v1/folders"


async def make(site: Site, name: str, uid: str = "alice") -> dict[str, Any]:
    document: dict[str, Any] = (await site.request("POST", PATH, uid, json={"name": name})).json()
    return document


async def names(site: Site) -> list[str]:
    return [folder["name"] for folder in (await site.get(PATH)).json()]


async def test_a_folder_is_made_changed_and_removed(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        folder = await make(running, " Work ")
        assert folder | {"id": "", "created_at": "", "updated_at": ""} == {
            "id": "",
            "name": "Work",
            "description": None,
            "color": "#6B7280",
            "icon": "folder",
            "created_at": "",
            "updated_at": "",
            "order": 0,
            "is_default": False,
            "is_system": False,
            "category_mapping": None,
            "conversation_count": 0,
        }
        one = f"{PATH}/{folder['id']}"
        changed = (await running.request("PATCH", one, json={"color": "red", "order": 3})).json()
        assert (changed["color"], changed["order"], changed["name"]) == ("red", 3, "Work")
        changed = (await running.request("PATCH", one, json={"color": None})).json()
        assert (changed["color"], changed["order"]) == ("#6B7280", 3)
        assert (await running.get(one)).json() == changed
        assert (await running.request("DELETE", one)).status_code == 204
        assert await names(running) == []


async def test_folders_have_the_order_they_are_given(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        ids = [(await make(running, name))["id"] for name in ("a", "b", "c")]
        assert await names(running) == ["a", "b", "c"]
        body = {"folder_ids": [ids[2], ids[0], ids[1]]}
        assert (await running.request("POST", f"{PATH}/reorder", json=body)).status_code == 200
        assert await names(running) == ["c", "a", "b"]
        for wrong in ([ids[0], ids[0]], [ids[0], "x"], []):
            answer = await running.request("POST", f"{PATH}/reorder", json={"folder_ids": wrong})
            assert answer.status_code == 422


async def test_conversations_go_into_folders_and_out_of_them(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        for id in ("c1", "c2"):
            await add(running.store, row(id))
        first, second = [(await make(running, name))["id"] for name in ("a", "b")]
        body = {"conversation_ids": ["c1", "c2"]}
        moved = await running.request("POST", f"{PATH}/{first}/conversations/bulk-move", json=body)
        assert moved.json() == {"status": "ok", "moved_count": 2}
        await running.request("PATCH", "/v1/conversations/c1/folder", json={"folder_id": None})
        assert (await running.get(f"{PATH}/{first}")).json()["conversation_count"] == 1
        await running.request("DELETE", f"{PATH}/{first}", params={"move_to_folder_id": second})
        kept = await running.store.conversations.get("alice", "c2")
        assert kept is not None
        assert kept.folder_id == second


async def test_there_is_a_most_to_the_folders_of_a_user(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        for n in range(FOLDERS):
            await make(running, str(n))
        answer = await running.request("POST", PATH, json={"name": "more"})
        assert answer.status_code == 409
        assert str(FOLDERS) in answer.json()["detail"]


async def test_what_is_not_the_users_or_locked_stays_where_it_is(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await add(running.store, row("locked", is_locked=True))
        await add(running.store, row("theirs", uid="bob"))
        await add(running.store, row("c1"))
        mine, theirs = (await make(running, "a"))["id"], (await make(running, "b", "bob"))["id"]
        for method, path, body, status in (
            ("GET", f"{PATH}/{theirs}", None, 404),
            ("PATCH", f"{PATH}/{theirs}", {"name": "x"}, 404),
            ("DELETE", f"{PATH}/{theirs}", None, 404),
            ("DELETE", f"{PATH}/{mine}?move_to_folder_id={theirs}", None, 404),
            ("DELETE", f"{PATH}/{mine}?move_to_folder_id={mine}", None, 422),
            ("PATCH", "/v1/conversations/c1/folder", {"folder_id": theirs}, 404),
            ("PATCH", "/v1/conversations/theirs/folder", {"folder_id": mine}, 404),
            ("PATCH", "/v1/conversations/locked/folder", {"folder_id": mine}, 402),
            ("POST", f"{PATH}/{mine}/conversations/bulk-move", {"conversation_ids": ["c1", "theirs"]}, 404),
            ("POST", f"{PATH}/{theirs}/conversations/bulk-move", {"conversation_ids": ["c1"]}, 404),
            ("POST", PATH, {"name": " "}, 422),
        ):
            assert (await running.request(method, path, json=body)).status_code == status, (method, path)
        assert await names(running) == ["a"]
        conversation = await running.store.conversations.get("alice", "c1")
        assert conversation is not None
        assert conversation.folder_id is None
