"""/v1/users/daily-summaries and /v1/users/daily-summary-settings."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.store.database import wall_clock
from engine.store.deliveries import DeliveryFilter

from .serving import SECOND, Site, add, row, segment, site

SETTINGS = "/v1/users/daily-summary-settings"
TEST = f"{SETTINGS}/test"
KEPT = "/v1/users/daily-summaries"
TOKYO = "2023-11-15"
"""The day of `T0` there; it is the 14th in UTC."""


async def talk(served: Site, uid: str = "alice") -> None:
    await add(
        served.store,
        row("c1", uid=uid, structured={"title": "The fence", "overview": "It wants paint."}),
        segment("s1", "We decided to paint the fence."),
    )


async def test_when_days_are_summarised_is_set(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        assert (await served.get(SETTINGS)).json() == {"enabled": True, "hour": 22}
        changed = await served.request("PATCH", SETTINGS, json={"hour": 7})
        assert (changed.status_code, changed.json()) == (200, {"status": "ok"})
        await served.request("PATCH", SETTINGS, json={"enabled": False})
        assert (await served.get(SETTINGS)).json() == {"enabled": False, "hour": 7}
        assert (await served.get(SETTINGS, "bob")).json() == {"enabled": True, "hour": 22}
        for wrong, named in (({"hour": 24}, "hour"), ({"hour": -1}, "hour"), ({"enabled": "no"}, "enabled")):
            answer = await served.request("PATCH", SETTINGS, json=wrong)
            assert (answer.status_code, named in answer.json()["detail"]) == (422, True)


async def test_a_day_is_summarised_listed_read_and_forgotten(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await talk(served)
        await served.request("PATCH", "/v1/users/profile", json={"time_zone": "Asia/Tokyo"})
        made = await served.request("POST", TEST, json={"date": TOKYO})
        said = made.json()
        assert made.status_code == 200
        assert (said["status"], said["conversations_count"]) == ("ok", 1)
        one = f"{KEPT}/{said['summary_id']}"
        summary = (await served.get(one)).json()
        assert (summary["date"], summary["headline"]) == (TOKYO, "The fence")
        assert summary["decisions_made"] == [
            {"decision": "We decided to paint the fence.", "conversation_id": "c1"}
        ]
        again = (await served.request("POST", TEST, json={"date": TOKYO})).json()
        assert again["summary_id"] == said["summary_id"]
        listed = (await served.get(KEPT)).json()
        assert [each["id"] for each in listed["summaries"]] == [said["summary_id"]]
        assert (await served.get(one, "bob")).status_code == 404
        assert (await served.request("DELETE", one, "bob")).status_code == 404
        assert (await served.request("DELETE", one)).json() == {"status": "ok"}
        assert (await served.get(one)).json() == {"detail": "Daily summary not found"}
        assert (await served.request("DELETE", one)).status_code == 404


async def test_a_summary_that_is_asked_for_is_told_to_no_webhook(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await talk(served)
        await served.store.webhooks.set_url("alice", "developer", "day_summary", "https://a.example/", None)
        made = await served.request("POST", TEST, json={"date": "2023-11-14"})
        assert made.status_code == 200
        assert await served.store.deliveries.list("alice", DeliveryFilter()) == []


async def test_without_a_date_it_is_today(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        now = wall_clock()
        times: dict[str, Any] = {"created_at": now, "started_at": now, "finished_at": now + SECOND}
        await add(served.store, row("c1", **times), segment("s1", "Hello there."))
        made = await served.request("POST", TEST)
        assert made.status_code == 200
        (summary,) = (await served.get(KEPT)).json()["summaries"]
        assert made.json()["message"] == f"Daily summary generated for {summary['date']}"


async def test_a_day_on_which_nothing_was_said_has_no_summary(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await talk(served, "bob")
        await add(served.store, row("c2", is_locked=True), segment("s1", "Hello there."))
        await add(served.store, row("c3"))
        answer = await served.request("POST", TEST, json={"date": "2023-11-14"})
        assert (answer.status_code, answer.json()) == (
            400,
            {"detail": "No conversations found for 2023-11-14"},
        )
        assert (await served.get(KEPT)).json() == {"summaries": []}


async def test_days_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        later = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
        for wrong in ("today", "2023-02-30", "0001-01-01", "9999-12-31", later, 5):
            answer = await served.request("POST", TEST, json={"date": wrong})
            assert (answer.status_code, "date=" in answer.json()["detail"]) == (422, True), wrong
        for name, value in (("limit", 101), ("limit", 0), ("offset", -1)):
            answer = await served.request("GET", KEPT, params={name: value})
            assert (answer.status_code, name in answer.json()["detail"]) == (422, True)
