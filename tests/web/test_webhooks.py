"""Webhooks as their owners set them, and what they are shown of what was sent."""

from pathlib import Path
from typing import Any

import pytest

from engine.store import Store
from engine.store.webhook_records import DeliveryRow
from tests.web.serving import T0, Site, site

PATH = "/v1/users/developer"
URL = "https://93.184.216.34/hook"


async def put(served: Site, url: str, type: str = "memory_created", uid: str = "alice") -> int:
    answer = await served.request("POST", f"{PATH}/webhook/{type}", uid=uid, json={"url": url})
    return answer.status_code


async def shown(served: Site, type: str = "memory_created", uid: str = "alice") -> str:
    answer = await served.get(f"{PATH}/webhook/{type}", uid=uid)
    assert answer.status_code == 200
    url: str = answer.json()["url"]
    return url


async def status(served: Site, uid: str = "alice") -> dict[str, Any]:
    found: dict[str, Any] = (await served.get(f"{PATH}/webhooks/status", uid=uid)).json()
    return found


async def test_saving_a_url_turns_the_webhook_on_and_an_empty_one_off(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        assert await shown(served) == ""
        assert await put(served, URL) == 200
        assert await shown(served) == URL
        assert (await status(served))["memory_created"] is True
        for nothing in ("", ","):
            assert await put(served, nothing) == 200
            assert await shown(served) == ""
            assert (await status(served))["memory_created"] is False
        assert await shown(served, uid="bob") == ""


async def test_a_webhook_is_turned_off_and_on_without_its_url_being_lost(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await put(served, URL, "day_summary")
        for way, on in (("disable", False), ("enable", True)):
            answer = await served.request("POST", f"{PATH}/webhook/day_summary/{way}")
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert (await status(served))["day_summary"] is on
            assert await shown(served, "day_summary") == URL
        answer = await served.request("POST", f"{PATH}/webhook/audio_bytes/enable")
        assert answer.status_code == 200
        assert (await status(served))["audio_bytes"] is False


@pytest.mark.parametrize(
    ("given", "back", "seconds"),
    [(f"{URL},10", f"{URL},10", 10), (URL, URL, 5), (f"{URL},", URL, 5), (f"{URL},5", URL, 5)],
)
async def test_audio_is_set_with_its_seconds(tmp_path: Path, given: str, back: str, seconds: int) -> None:
    async with site(tmp_path) as served:
        assert await put(served, given, "audio_bytes") == 200
        assert await shown(served, "audio_bytes") == back
        (endpoint,) = (await status(served))["endpoints"]
    assert (endpoint["trigger"], endpoint["seconds"], endpoint["enabled"]) == ("audio_bytes", seconds, True)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://10.0.0.1/hook", "not on the public Internet"),
        ("http://169.254.169.254/latest", "not on the public Internet"),
        ("http://[::ffff:10.0.0.1]/", "not on the public Internet"),
        ("http://0xa.1/", "not on the public Internet"),
        ("http://93.184.216.34:22/", "port 22"),
        ("ftp://93.184.216.34/", "begins with https"),
        ("not a url", "without spaces"),
        ("https://alice:secret@93.184.216.34/", "without a name"),
    ],
)
async def test_an_address_that_may_not_be_reached_is_refused_with_the_reason(
    tmp_path: Path, url: str, why: str
) -> None:
    async with site(tmp_path) as served:
        answer = await served.request("POST", f"{PATH}/webhook/memory_created", json={"url": url})
        assert answer.status_code == 422
        assert why in answer.json()["detail"]
        assert await shown(served) == ""


async def test_a_type_that_nobody_knows_is_not_found(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        answer = await served.get(f"{PATH}/webhook/telepathy")
        assert answer.status_code == 404
        assert "use one of audio_bytes, memory_created" in answer.json()["detail"]
        assert await put(served, URL, "telepathy") == 404


async def _log(store: Store) -> None:
    rows = [
        DeliveryRow(
            uid="alice",
            id=f"msg_{number}",
            endpoint="developer",
            trigger="memory_created" if number else "audio_bytes",
            body=b'{"id":"c1"}' if number else None,
            file=None if number else "gone.pcm",
            query={"uid": "alice"},
            size=11,
            created_at=T0 + number,
            due_at=T0 + number,
            attempts=1,
            status=500,
            milliseconds=12,
            reason="answered 500",
            history=[[T0, 500, 12, "answered 500"]],
        )
        for number in range(3)
    ]
    await store.deliveries.offer(*rows)
    for number in (0, 1):
        await store.deliveries.drop("alice", f"msg_{number}", "answered 500")


async def test_the_log_says_what_was_sent_how_it_went_and_when_it_is_tried_next(tmp_path: Path) -> None:
    async with site(tmp_path, filled=_log) as served:
        found = (await served.get(f"{PATH}/webhooks/deliveries")).json()["deliveries"]
        assert [(row["id"], row["state"]) for row in found] == [
            ("msg_2", "pending"),
            ("msg_1", "dropped"),
            ("msg_0", "dropped"),
        ]
        assert (found[0]["status"], found[0]["milliseconds"], found[0]["attempts"]) == (500, 12, 1)
        assert found[0]["next_attempt_at"] is not None
        assert found[1]["next_attempt_at"] is None
        chosen = {"state": "dropped", "trigger": "memory_created", "endpoint": "developer"}
        found = (await served.get(f"{PATH}/webhooks/deliveries", **chosen)).json()["deliveries"]
        assert [row["id"] for row in found] == ["msg_1"]
        assert (await served.get(f"{PATH}/webhooks/deliveries", uid="bob")).json() == {"deliveries": []}
        (endpoint, other) = (await status(served))["endpoints"]
        assert {endpoint["waiting"], other["waiting"]} == {0, 1}


async def test_one_delivery_is_shown_whole_to_its_owner_alone(tmp_path: Path) -> None:
    async with site(tmp_path, filled=_log) as served:
        one = (await served.get(f"{PATH}/webhooks/deliveries/msg_1")).json()
        assert one["body"] == '{"id":"c1"}'
        assert one["query"] == {"uid": "alice"}
        (attempt,) = one["history"]
        assert (attempt["status"], attempt["milliseconds"], attempt["reason"]) == (500, 12, "answered 500")
        assert (await served.get(f"{PATH}/webhooks/deliveries/msg_1", uid="bob")).status_code == 404


async def test_what_failed_is_sent_again_one_by_one_or_since_a_time(tmp_path: Path) -> None:
    async with site(tmp_path, filled=_log) as served:
        path = f"{PATH}/webhooks/deliveries"
        for id, expected in (("msg_1", 200), ("msg_1", 409), ("msg_0", 409), ("msg_9", 404)):
            assert (await served.request("POST", f"{path}/{id}/replay")).status_code == expected
        assert (await served.request("POST", f"{path}/msg_1/replay", uid="bob")).status_code == 404
        await served.store.deliveries.drop("alice", "msg_1", "again")
        replay = {"since": "2023-11-14T22:13:20Z"}
        for uid, count, gone in (("bob", 0, 0), ("alice", 1, 1), ("alice", 0, 1)):
            answer = await served.request("POST", f"{PATH}/webhooks/replay", uid=uid, json=replay)
            assert answer.json() == {"count": count, "gone": gone}
        row = await served.store.deliveries.get("alice", "msg_1")
        assert row is not None
        assert (row.state, row.attempts) == ("pending", 0)


async def test_a_secret_is_shown_and_replaced_with_an_overlap(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        first = (await served.get(f"{PATH}/webhooks/secret")).json()
        assert first["secret"].startswith("whsec_")
        assert (await served.get(f"{PATH}/webhooks/secret")).json() == first
        rotated = (await served.request("POST", f"{PATH}/webhooks/secret/rotate")).json()
        assert rotated["secret"] != first["secret"]
        assert [one["secret"] for one in rotated["secrets"]] == [rotated["secret"], first["secret"]]
        assert [one["expires_at"] is None for one in rotated["secrets"]] == [True, False]
        assert (await served.get(f"{PATH}/webhooks/secret", uid="bob")).json()["secret"] not in (
            rotated["secret"],
            first["secret"],
        )
