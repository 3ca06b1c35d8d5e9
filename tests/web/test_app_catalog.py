"""What an app may be, and the search for apps."""

from pathlib import Path

from tests.web.apps import MAKER, make
from tests.web.serving import site


async def test_what_an_app_may_be_is_told_with_the_ids_that_it_is_registered_with(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        capabilities = {one["id"]: one for one in (await served.get("/v1/app-capabilities")).json()}
        assert set(capabilities) == {"chat", "memories", "external_integration", "proactive_notification"}
        integration = capabilities["external_integration"]
        assert [one["id"] for one in integration["triggers"]] == [
            "memory_creation",
            "transcript_processed",
            "audio_bytes",
        ]
        assert "read_tasks" in [one["id"] for one in integration["actions"]]
        scopes = (await served.get("/v1/app/proactive-notification-scopes")).json()
        assert capabilities["proactive_notification"]["scopes"] == scopes
        assert [one["id"] for one in scopes] == ["user_name", "user_facts", "user_context", "user_chat"]
        categories = (await served.get("/v1/app-categories")).json()
        assert {"title": "Other", "id": "other"} in categories


async def test_apps_are_searched_in_pages(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        ids = [await make(served, name=f"App {number}") for number in range(3)]
        await make(served, name="Own", private=True)
        page = (await served.get("/v2/apps/search", limit=2)).json()
        assert [one["name"] for one in page["data"]] == ["App 0", "App 1"]
        assert page["pagination"] == {
            "total": 3,
            "count": 2,
            "offset": 0,
            "limit": 2,
            "hasNext": True,
            "hasPrevious": False,
        }
        page = (await served.get("/v2/apps/search", limit=2, offset=2)).json()
        assert (page["pagination"]["hasNext"], page["pagination"]["hasPrevious"]) == (False, True)
        mine = (await served.get("/v2/apps/search", uid=MAKER, my_apps="true", q="own")).json()
        assert [one["name"] for one in mine["data"]] == ["Own"]
        await served.request("POST", "/v1/apps/enable", params={"app_id": ids[1]})
        installed = (await served.get("/v2/apps/search", installed_apps="true")).json()
        assert [one["id"] for one in installed["data"]] == [ids[1]]
