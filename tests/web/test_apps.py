"""/v1/apps: apps that users register, and those that they see."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.web.apps import MAKER, make, submission
from tests.web.serving import Site, site
from tests.webhooks.receiving import answering, receiver

PNG = b"\x89PNG\r\n\x1a\n picture"
TOOL = {"name": "post", "description": "Posts.", "endpoint": "http://127.0.0.1:9/post"}


async def seen(served: Site, uid: str = "alice", **query: Any) -> list[str]:
    answer = await served.get("/v1/apps", uid=uid, **query)
    assert answer.status_code == 200, answer.text
    return [app["name"] for app in answer.json()]


async def test_what_is_registered_is_seen_with_the_names_that_clients_know(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        made = await served.request("POST", "/v1/apps", uid=MAKER, json=submission())
        assert (made.status_code, made.json()["status"]) == (200, "ok")
        id = made.json()["app_id"]
        (listed,) = (await served.get("/v1/apps")).json()
        one = (await served.get(f"/v1/apps/{id}")).json()
        for app in (listed, one):
            assert {name: app[name] for name in ("id", "name", "author", "category", "capabilities")} == {
                "id": id,
                "name": "Notes",
                "author": "Ann",
                "category": "productivity-and-organization",
                "capabilities": ["chat"],
            }
            assert (app["private"], app["approved"], app["status"]) == (False, True, "approved")
            assert (app["enabled"], app["installs"], app["rating_avg"], app["rating_count"]) == (
                False,
                0,
                None,
                0,
            )
            assert app["deleted"] is False
        assert one["reviews"] == []
        assert one["user_review"] is None


async def test_prompts_and_where_an_app_is_told_what_are_its_owners_to_know(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        integration = {
            "triggers_on": "memory_creation",
            "webhook_url": "http://127.0.0.1:9/hook?secret=1",
            "setup_completed_url": "http://127.0.0.1:9/setup",
        }
        said: dict[str, Any] = {
            "capabilities": ["chat", "external_integration"],
            "external_integration": integration,
        }
        id = await make(served, chat_tools=[TOOL], **said)
        mine, others = [(await served.get(f"/v1/apps/{id}", uid=uid)).json() for uid in (MAKER, "alice")]
        assert (mine["uid"], mine["chat_prompt"]) == (MAKER, "Be brief.")
        assert mine["external_integration"]["webhook_url"] == integration["webhook_url"]
        assert [tool["name"] for tool in mine["chat_tools"]] == ["post"]
        assert (others["uid"], others["chat_prompt"], others["chat_tools"]) == (None, None, [])
        assert others["external_integration"]["webhook_url"] is None
        assert others["external_integration"]["setup_completed_url"] == integration["setup_completed_url"]
        assert "secret" not in json.dumps([mine, others]).replace("secret=1", "")


async def test_a_private_app_is_its_owners_alone(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        own = await make(served, name="Own", private=True)
        for path in (f"/v1/apps/{own}", f"/v1/apps/{own}/reviews", f"/v1/apps/{own}/setup"):
            assert (await served.get(path)).status_code == 404
        assert await seen(served) == []
        assert await seen(served, uid=MAKER) == ["Own"]
        visibility = f"/v1/apps/{own}/change-visibility"
        assert (await served.request("PATCH", f"{visibility}?private=false")).status_code == 404
        assert (await served.request("PATCH", f"{visibility}?private=false", uid=MAKER)).status_code == 200
        assert await seen(served) == ["Own"]
        assert (await served.request("PATCH", f"{visibility}?private=true")).status_code == 403


async def test_an_app_is_private_unless_it_says_otherwise(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        said = submission()
        del said["private"]
        assert (await served.request("POST", "/v1/apps", uid=MAKER, json=said)).status_code == 200
        assert await seen(served) == []


async def test_apps_are_found_by_name_category_and_capability(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await make(served, name="Whales", category="travel-and-exploration")
        await make(served, name="Bears", capabilities=["memories"], memory_prompt="Sum it up.")
        assert await seen(served) == ["Bears", "Whales"]
        assert await seen(served, q="whale") == ["Whales"]
        assert await seen(served, category="travel-and-exploration") == ["Whales"]
        assert await seen(served, capability="memories") == ["Bears"]
        assert await seen(served, limit=1, offset=1) == ["Whales"]


async def test_its_owner_changes_what_an_app_says_and_the_rest_stays(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served)
        path = f"/v1/apps/{id}"
        assert (await served.request("PATCH", path, json={"name": "x"})).status_code == 403
        said = {"name": "Better notes", "capabilities": ["memories"], "memory_prompt": "Sum it up."}
        assert (await served.request("PATCH", path, uid=MAKER, json=said)).status_code == 200
        app = (await served.get(path, uid=MAKER)).json()
        assert (app["name"], app["memory_prompt"], app["chat_prompt"]) == (
            "Better notes",
            "Sum it up.",
            "Be brief.",
        )
        wrong = await served.request("PATCH", path, uid=MAKER, json={"memory_prompt": None})
        assert wrong.status_code == 422
        assert "memory_prompt" in wrong.json()["detail"]
        assert (await served.request("PATCH", "/v1/apps/none", json={})).status_code == 404


async def test_an_app_is_removed_by_its_owner_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served)
        assert (await served.request("POST", f"/v1/apps/enable?app_id={id}")).status_code == 200
        assert (await served.request("DELETE", f"/v1/apps/{id}")).status_code == 403
        assert (await served.request("DELETE", f"/v1/apps/{id}", uid=MAKER)).json() == {"status": "ok"}
        assert (await served.request("DELETE", f"/v1/apps/{id}", uid=MAKER)).status_code == 404
        assert (await served.get("/v1/apps/enabled")).json() == []


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"name": " "}, "name"),
        ({"description": ""}, "description"),
        ({"capabilities": []}, "capabilities"),
        ({"capabilities": ["fly"]}, "capabilities"),
        ({"chat_prompt": None}, "chat_prompt"),
        ({"chat_prompt": "x" * 8001}, "chat_prompt"),
        ({"capabilities": ["external_integration"]}, "external_integration"),
        (
            {
                "capabilities": ["external_integration"],
                "external_integration": {"triggers_on": "audio_bytes", "webhook_url": "http://10.0.0.1/hook"},
            },
            "http://10.0.0.1/hook",
        ),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name(
    tmp_path: Path, said: dict[str, Any], named: str
) -> None:
    async with site(tmp_path) as served:
        answer = await served.request("POST", "/v1/apps", uid=MAKER, json=submission(**said))
        assert answer.status_code == 422
        assert named in answer.json()["detail"]
        assert await seen(served) == []


async def test_clients_that_exist_send_a_form_with_a_picture(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        form = {"data": {"app_data": json.dumps(submission())}, "files": {"file": ("logo.png", PNG)}}
        made = await served.request("POST", "/v1/apps", uid=MAKER, **form)
        assert made.status_code == 200, made.text
        id = made.json()["app_id"]
        image = (await served.get(f"/v1/apps/{id}")).json()["image"]
        assert image == f"http://127.0.0.1:{served.port}/v1/apps/{id}/image"
        got = await served.client.get(image)
        assert (got.status_code, got.headers["content-type"], got.content) == (200, "image/png", PNG)
        other = {
            "data": {"app_data": '{"name": "Renamed"}'},
            "files": {"file": ("logo.jpg", b"\xff\xd8\xff.")},
        }
        assert (await served.request("PATCH", f"/v1/apps/{id}", uid=MAKER, **other)).status_code == 200
        assert (await served.client.get(image)).headers["content-type"] == "image/jpeg"
        assert await seen(served) == ["Renamed"]
        assert (await served.client.get("/v1/apps/none/image")).status_code == 404
        await served.request("PATCH", f"/v1/apps/{id}/change-visibility", uid=MAKER, params={"private": True})
        assert (await served.client.get(image)).status_code == 404
        assert (await served.client.get(image, params={"uid": "alice"})).status_code == 404
        assert (await served.client.get(image, params={"uid": MAKER})).status_code == 200


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"data": {"other": "{}"}, "files": {"file": ("a.png", PNG)}}, 422),
        ({"data": {"app_data": "{"}, "files": {"file": ("a.png", PNG)}}, 400),
        ({"data": {"app_data": json.dumps(submission())}, "files": {"file": ("a.svg", b"<svg/>")}}, 422),
    ],
)
async def test_a_form_that_is_none_is_refused(tmp_path: Path, form: dict[str, Any], status: int) -> None:
    async with site(tmp_path) as served:
        assert (await served.request("POST", "/v1/apps", **form)).status_code == status


async def test_a_form_that_comes_twice_under_one_key_makes_one_app(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        headers = {"Authorization": f"Bearer dev:{MAKER}", "Idempotency-Key": "k"}
        headers["Content-Type"] = "multipart/form-data; boundary=x"

        async def send(name: str) -> httpx2.Response:
            part = b'--x\r\nContent-Disposition: form-data; name="app_data"\r\n\r\n'
            body = part + json.dumps(submission(name=name)).encode() + b"\r\n--x--\r\n"
            return await served.client.post("/v1/apps", headers=headers, content=body)

        first, again, other = await send("Notes"), await send("Notes"), await send("Other")
        assert first.status_code == 200
        assert again.json() == first.json()
        assert other.status_code == 409
        assert await seen(served) == ["Notes"]


async def test_tools_are_read_from_a_manifest(tmp_path: Path) -> None:
    tools = [{**TOOL, "endpoint": "/post"}]
    async with (
        site(tmp_path) as served,
        receiver(answering(body=json.dumps({"tools": tools}).encode())) as there,
    ):
        integration = {"chat_tools_manifest_url": there.url("/tools"), "app_home_url": there.url("/home")}
        said: dict[str, Any] = {"capabilities": ["external_integration"], "external_integration": integration}
        id = await make(served, **said)
        (tool,) = (await served.get(f"/v1/apps/{id}", uid=MAKER)).json()["chat_tools"]
        assert tool["endpoint"] == there.url("/home/post")
        tools.append({**TOOL, "name": "read"})
        there.answer = answering(body=json.dumps({"tools": tools}).encode())
        path = f"/v1/apps/{id}/refresh-manifest"
        assert (await served.request("POST", path)).status_code == 403
        assert (await served.request("POST", path, uid=MAKER)).json() == {"status": "ok", "tools_count": 2}
        tools.append({**TOOL, "name": "write"})
        there.answer = answering(body=json.dumps({"tools": tools}).encode())
        change = {"external_integration": integration}
        assert (await served.request("PATCH", f"/v1/apps/{id}", uid=MAKER, json=change)).status_code == 200
        there.answer = answering(500)
        wrong = await served.request("POST", path, uid=MAKER)
        assert wrong.status_code == 422
        assert "500" in wrong.json()["detail"]
        assert len((await served.get(f"/v1/apps/{id}", uid=MAKER)).json()["chat_tools"]) == 3
        plain = await make(served)
        assert (
            await served.request("POST", f"/v1/apps/{plain}/refresh-manifest", uid=MAKER)
        ).status_code == 409


async def test_a_phone_that_sends_null_for_what_it_does_not_say_is_understood(tmp_path: Path) -> None:
    integration: dict[str, Any] = {
        "triggers_on": None,
        "webhook_url": "",
        "setup_completed_url": None,
        "app_home_url": "",
        "is_instructions_url": None,
        "setup_instructions_file_path": None,
        "auth_steps": [],
        "actions": None,
    }
    said = submission(
        image=None,
        memory_prompt=None,
        external_integration=integration,
        proactive_notification=None,
        uid="somebody else",
        is_paid=False,
        price=None,
        thumbnails=[],
        deleted=False,
    )
    async with site(tmp_path) as served:
        made = await served.request("POST", "/v1/apps", uid=MAKER, json=said)
        assert made.status_code == 200, made.text
        path = f"/v1/apps/{made.json()['app_id']}"
        change = await served.request("PATCH", path, uid=MAKER, data={"app_data": "x"}, json=None)
        assert change.status_code == 400
        changed = await served.request("PATCH", path, uid=MAKER, json=said)
        assert changed.status_code == 200, changed.text
        app = (await served.get(path, uid=MAKER)).json()
        assert (app["uid"], app["image"], app["external_integration"]["actions"]) == (MAKER, "", None)
        form = {"data": {"app_data": "{}"}, "files": {"file": ("logo.png", PNG)}}
        assert (await served.request("PATCH", path, uid=MAKER, **form)).status_code == 200
        for image, ending in ((None, "/image"), ("https://app.example/a.png", "/a.png")):
            changed = await served.request("PATCH", path, uid=MAKER, json={"image": image})
            assert changed.status_code == 200
            assert (await served.get(path)).json()["image"].endswith(ending)
