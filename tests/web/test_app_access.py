"""What users let apps do, and what apps need for that."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.apps import MAKER, make
from tests.web.serving import Site, site
from tests.webhooks.receiving import Behaviour, answering, cutting, receiver

YES, NO = b'{"is_setup_completed": true}', b'{"is_setup_completed": false}'


async def enable(served: Site, id: str, uid: str = "alice") -> Any:
    return await served.request("POST", "/v1/apps/enable", uid=uid, params={"app_id": id})


async def enabled(served: Site, uid: str = "alice") -> list[str]:
    found: list[str] = (await served.get("/v1/apps/enabled", uid=uid)).json()
    return found


async def test_an_app_is_enabled_by_each_user_for_themselves(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served)
        for _ in range(2):
            assert (await enable(served, id)).json() == {"status": "ok"}
        assert (await enabled(served), await enabled(served, "bob")) == ([id], [])
        app = (await served.get(f"/v1/apps/{id}")).json()
        assert (app["enabled"], app["installs"]) == (True, 1)
        off = await served.request("POST", "/v1/apps/disable", params={"app_id": id})
        assert (off.status_code, await enabled(served)) == (200, [])
        assert (await served.request("POST", "/v1/apps/disable", params={"app_id": id})).status_code == 404


async def test_what_a_user_does_not_see_they_cannot_enable(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        own = await make(served, private=True)
        for id in (own, "none"):
            assert (await enable(served, id)).status_code == 404
        assert (await enable(served, own, MAKER)).status_code == 200


async def test_enabling_waits_until_the_app_is_set_up(tmp_path: Path) -> None:
    async with site(tmp_path) as served, receiver(answering(body=NO)) as there:
        integration = {"setup_completed_url": there.url("/setup?x=1")}
        said: dict[str, Any] = {"capabilities": ["external_integration"], "external_integration": integration}
        id = await make(served, **said)
        refused = await enable(served, id)
        assert (refused.status_code, refused.json()) == (400, {"detail": "App setup is not completed"})
        assert await enabled(served) == []
        state = (await served.get(f"/v1/apps/{id}/setup")).json()
        assert (state["is_setup_completed"], state["reason"]) == (False, None)
        there.answer = answering(body=YES)
        assert (await served.get(f"/v1/apps/{id}/setup")).json()["is_setup_completed"]
        assert (await enable(served, id)).status_code == 200
        assert await enabled(served) == [id]
        assert {asked.target for asked in there.requests} == {"/setup?x=1&uid=alice"}


@pytest.mark.parametrize(("answer", "why"), [(answering(500), "500"), (cutting, "connection")])
async def test_an_app_that_does_not_say_is_not_enabled(tmp_path: Path, answer: Behaviour, why: str) -> None:
    async with site(tmp_path) as served, receiver(answer) as there:
        integration = {"setup_completed_url": there.url()}
        said: dict[str, Any] = {"capabilities": ["external_integration"], "external_integration": integration}
        id = await make(served, **said)
        refused = await enable(served, id)
        assert refused.status_code == 400
        assert why in refused.json()["detail"]
        assert why in (await served.get(f"/v1/apps/{id}/setup")).json()["reason"]


async def test_pages_and_links_are_shown_with_the_users_id_in_their_query(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        integration = {
            "auth_steps": [{"name": "Sign in", "url": "https://app.example/in?step=1#top"}],
            "setup_instructions_file_path": "Open https://app.example/help, please.",
        }
        said: dict[str, Any] = {"capabilities": ["external_integration"], "external_integration": integration}
        id = await make(served, **said)
        shown = (await served.get(f"/v1/apps/{id}/setup")).json()
        assert shown == {
            "is_setup_completed": True,
            "reason": None,
            "auth_steps": [{"name": "Sign in", "url": "https://app.example/in?step=1&uid=alice#top"}],
            "setup_instructions": "Open https://app.example/help?uid=alice, please.",
            "is_instructions_url": False,
        }
        as_registered = (await served.get(f"/v1/apps/{id}")).json()["external_integration"]
        assert as_registered["auth_steps"][0]["url"] == "https://app.example/in?step=1#top"
        integration["setup_instructions_file_path"] = "https://app.example/help"
        change = {"external_integration": integration}
        assert (await served.request("PATCH", f"/v1/apps/{id}", uid=MAKER, json=change)).status_code == 200
        shown = (await served.get(f"/v1/apps/{id}/setup")).json()
        assert (shown["setup_instructions"], shown["is_instructions_url"]) == (
            "https://app.example/help?uid=alice",
            True,
        )


async def test_an_app_has_keys_that_its_owner_makes(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served, capabilities=["external_integration"], external_integration={})
        path = f"/v1/apps/{id}/keys"
        assert (await served.request("POST", path)).status_code == 403
        made = (await served.request("POST", path, uid=MAKER)).json()
        assert made["secret"].startswith("sk_")
        (listed,) = (await served.get(path, uid=MAKER)).json()
        assert listed == {**made, "secret": None}
        assert await served.store.apps.verify(id, made["secret"])
        other = await make(served)
        for wrong in (f"/v1/apps/{other}/keys/{made['id']}", f"{path}/none"):
            assert (await served.request("DELETE", wrong, uid=MAKER)).status_code == 404
        assert (await served.request("DELETE", f"{path}/{made['id']}", uid=MAKER)).status_code == 200
        assert not await served.store.apps.verify(id, made["secret"])
        assert (await served.get(path, uid=MAKER)).json() == []


async def test_an_app_does_through_its_key_what_it_was_registered_for(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        integration = {"actions": [{"action": "read_memories"}]}
        said: dict[str, Any] = {"capabilities": ["external_integration"], "external_integration": integration}
        id = await make(served, **said)
        await enable(served, id)
        key = (await served.request("POST", f"/v1/apps/{id}/keys", uid=MAKER)).json()["secret"]
        headers = {"Authorization": f"Bearer {key}"}

        async def status(method: str, path: str, **body: Any) -> int:
            at = f"/v2/integrations/{id}{path}?uid=alice"
            return (await served.client.request(method, at, headers=headers, json=body)).status_code

        assert await status("GET", "/memories") == 200
        assert await status("GET", "/conversations") == 403
        assert await status("POST", "/user/memories", memories=[{"content": "x"}]) == 403
        assert await status("POST", "/user/conversations", text="Hello.") == 403


async def test_what_an_app_is_sent_is_signed_with_a_secret_that_its_owner_can_replace(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served)
        path = f"/v1/apps/{id}/secret"
        assert (await served.get(path)).status_code == 403
        old = (await served.get(path, uid=MAKER)).json()["secret"]
        assert old.startswith("whsec_")
        assert (await served.request("POST", f"{path}/rotate")).status_code == 403
        new = (await served.request("POST", f"{path}/rotate", uid=MAKER)).json()["secret"]
        assert new != old
        assert (await served.get(path, uid=MAKER)).json()["secret"] == new
        row = await served.store.app_registry.get_any(id)
        assert row is not None
        assert (row.old_secret, (row.old_secret_until or 0) > row.updated_at) == (old, True)


async def test_the_preferred_app_is_asked_first(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        ids = [await make(served, name=name) for name in ("a", "b")]
        for id in ids:
            await enable(served, id)
        prefer = "/v1/users/preferences/app"
        assert (await served.request("PUT", prefer, params={"app_id": ids[1]})).status_code == 200
        assert [row.id for row in await served.store.app_registry.enabled("alice")] == ids[::-1]
        assert (await served.request("PUT", prefer, uid="bob", params={"app_id": ids[1]})).status_code == 404


async def test_enabling_an_app_again_turns_its_webhook_on_again(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        integration = {"triggers_on": "memory_creation", "webhook_url": "http://127.0.0.1:9/hook"}
        said: dict[str, Any] = {"capabilities": ["external_integration"], "external_integration": integration}
        id = await make(served, **said)
        await enable(served, id)
        table, which = served.store.webhooks, ("alice", f"app:{id}", "memory_created")
        await table.disable(*which)
        await enable(served, id)
        row = await table.get(*which)
        assert row is not None
        assert row.enabled
