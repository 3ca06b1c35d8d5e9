"""The Developer API: who may do what with which key, and how often."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from engine.config import Web
from engine.store.user_records import FolderRow
from tests.web.serving import T0, Site, site

KINDS = {
    "memories": "/v1/dev/user/memories",
    "action_items": "/v1/dev/user/action-items",
    "goals": "/v1/dev/user/goals",
    "conversations": "/v1/dev/user/folders",
}
BODIES: dict[str, dict[str, Any]] = {
    "memories": {"content": "Likes whales."},
    "action_items": {"description": "Call Bob."},
    "goals": {"title": "Run", "target_value": 5},
}


async def ask(
    served: Site, key: str, path: str, body: dict[str, Any] | None = None, **params: str
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}"}
    method = "GET" if body is None else "POST"
    return await served.client.request(method, path, headers=headers, json=body, params=params)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_opens_what_its_scopes_name_and_nothing_else(tmp_path: Path, kind: str) -> None:
    async with site(tmp_path, auth="token") as served:
        reading = await served.store.tokens.create("alice", scopes=[f"{kind}:read"])
        assert (await ask(served, reading, KINDS[kind])).status_code == 200
        for other in KINDS.keys() - {kind}:
            answer = await ask(served, reading, KINDS[other])
            assert answer.status_code == 403
            assert answer.json()["detail"] == f"this key lacks the scope {other}:read: it has {kind}:read"


@pytest.mark.parametrize("kind", BODIES)
async def test_writing_needs_the_scope_to_write(tmp_path: Path, kind: str) -> None:
    async with site(tmp_path, auth="token") as served:
        reading = await served.store.tokens.create("alice", scopes=[f"{kind}:read"])
        writing = await served.store.tokens.create("alice", scopes=[f"{kind}:write"])
        refused = await ask(served, reading, KINDS[kind], BODIES[kind])
        assert refused.status_code == 403
        assert f"{kind}:write" in refused.json()["detail"]
        assert (await ask(served, writing, KINDS[kind], BODIES[kind])).status_code == 200
        assert (await ask(served, writing, KINDS[kind])).status_code == 403
        assert len((await ask(served, reading, KINDS[kind])).json()) == 1


async def test_a_key_without_scopes_may_do_all_and_others_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        key = await served.store.tokens.create("alice")
        for kind, path in KINDS.items():
            assert (await ask(served, key, path)).status_code == 200
            if kind in BODIES:
                assert (await ask(served, key, path, BODIES[kind])).status_code == 200
            for bad in ("omi_dev_nobody", "dev:alice", "sk_app"):
                assert (await ask(served, bad, path)).status_code == 401
            assert (await served.client.get(path)).status_code == 401
            assert (await ask(served, key, path, uid="bob")).status_code == 401


async def test_in_development_keys_are_looked_at_and_names_do_as_well(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        key = await served.store.tokens.create("alice", scopes=["memories:read", "memories:write"])
        path = KINDS["memories"]
        assert (await ask(served, key, path, BODIES["memories"])).status_code == 200
        for answer in (
            await ask(served, key, path),
            await served.get(path),
            await served.client.get(path, params={"uid": "alice"}),
        ):
            assert [one["content"] for one in answer.json()] == ["Likes whales."]
        assert (await ask(served, key, KINDS["goals"])).status_code == 403
        assert (await ask(served, "omi_dev_unknown", path)).status_code == 401


async def test_each_key_has_its_minute_and_all_of_a_user_their_day(tmp_path: Path) -> None:
    limits = Web(developer_requests_per_minute=2, developer_requests_per_day=5)
    async with site(tmp_path, auth="token", web=limits) as served:
        keys = [await served.store.tokens.create(uid) for uid in ("alice", "alice", "alice", "bob")]
        path = KINDS["goals"]
        statuses = [[(await ask(served, key, path)).status_code for _ in range(3)] for key in keys]
        assert statuses == [[200, 200, 429], [200, 200, 429], [200, 429, 429], [200, 200, 429]]
        answer = await ask(served, keys[0], path)
        assert int(answer.headers["Retry-After"]) >= 1


async def test_folders_are_listed_in_their_order_with_what_is_in_them(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for name in ("Work", "Home"):
            row = FolderRow(uid="alice", id=name, name=name, created_at=T0, updated_at=T0)
            await served.store.folders.add(row, 10)
        found = (await served.get("/v1/dev/user/folders")).json()
        assert [(one["id"], one["name"], one["conversation_count"]) for one in found] == [
            ("Work", "Work", 0),
            ("Home", "Home", 0),
        ]
        assert (await served.get("/v1/dev/user/folders", uid="bob")).json() == []
