"""/v1/dev/keys, and what keys with scopes open."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from engine.store.tokens import SCOPES
from engine.web.developer_keys import MOST
from tests.web.serving import Site, site

FULL = [scope for scope in SCOPES if scope.endswith(":read")]


async def ask(served: Site, key: str, method: str, path: str, **options: Any) -> httpx2.Response:
    return await served.client.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)


async def test_a_key_is_shown_once_listed_without_itself_and_revoked_for_good(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        token = await served.store.tokens.create("alice", "phone")
        body = {"name": " script ", "scopes": ["memories:write", "memories:read"]}
        made = (await ask(served, token, "POST", "/v1/dev/keys", json=body)).json()
        key = made.pop("key")
        assert key.startswith(made["key_prefix"])
        assert (made["name"], made["scopes"]) == ("script", ["memories:read", "memories:write"])
        listed = (await ask(served, token, "GET", "/v1/dev/keys")).json()
        assert [one["name"] for one in listed] == ["phone", "script"]
        assert listed[0]["scopes"] is None
        assert listed[1] == made
        gone = await ask(served, token, "DELETE", f"/v1/dev/keys/{made['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
        again = await ask(served, token, "DELETE", f"/v1/dev/keys/{made['id']}")
        assert (again.status_code, again.json()["detail"]) == (404, "Key not found")
        assert [one["name"] for one in (await ask(served, token, "GET", "/v1/dev/keys")).json()] == ["phone"]
        assert await served.store.tokens.verify(key) is None


async def test_a_key_made_without_scopes_reads_and_changes_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        made = await served.request("POST", "/v1/dev/keys", json={"name": "reader"})
        assert made.status_code == 200
        assert made.json()["scopes"] == sorted(FULL)


async def test_nobody_lists_or_revokes_the_keys_of_another(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        made = (await served.request("POST", "/v1/dev/keys", json={"name": "hers"})).json()
        assert (await served.get("/v1/dev/keys", uid="bob")).json() == []
        answer = await served.request("DELETE", f"/v1/dev/keys/{made['id']}", uid="bob")
        assert answer.status_code == 404
        assert await served.store.tokens.verify(made["key"]) is not None


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "n", "scopes": []}, "scopes"),
        ({"name": "n", "scopes": ["all"]}, "scopes"),
    ],
)
async def test_a_bad_wish_for_a_key_is_refused_by_name(
    tmp_path: Path, body: dict[str, Any], named: str
) -> None:
    async with site(tmp_path) as served:
        answer = await served.request("POST", "/v1/dev/keys", json=body)
        assert answer.status_code == 422
        assert named in answer.json()["detail"]
        assert (await served.get("/v1/dev/keys")).json() == []


async def test_a_key_with_scopes_opens_no_other_route_and_makes_no_keys(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        key = await served.store.tokens.create("alice", scopes=SCOPES)
        for method, path in [("GET", "/v1/conversations"), ("GET", "/v1/usage"), ("POST", "/v1/dev/keys")]:
            answer = await ask(served, key, method, path)
            assert answer.status_code == 403
            assert answer.json()["detail"].startswith("this key has scopes")


async def test_a_user_may_have_so_many_keys(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for number in range(MOST):
            await served.store.tokens.issue("alice", str(number))
        refused = await served.request("POST", "/v1/dev/keys", json={"name": "one more"})
        assert refused.status_code == 409
        assert (
            await served.request("POST", "/v1/dev/keys", uid="bob", json={"name": "one"})
        ).status_code == 200
