"""Whoever may post audio for a user may, nobody else; what was posted is kept once, and its user's alone."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from standardwebhooks.webhooks import Webhook

from engine.audio.wav import decode_wav
from engine.config import Receiver
from engine.store.database import wall_clock
from tests.patience import PATIENCE
from tests.web.serving import Site, site
from tests.webhooks.receiver.chunks import tone

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode()
KEY = "an-app-key-of-the-operator"


async def post(
    served: Site, pcm: bytes, *, headers: dict[str, str] | None = None, **query: Any
) -> httpx2.Response:
    return await served.client.post("/audio", content=pcm, params=query, headers=headers)


async def kept(served: Site, count: int) -> list[dict[str, Any]]:
    """Alice's files, once so many files have been kept; the oldest first."""
    with trio.fail_after(PATIENCE):
        await served.receiving.archive.kept(count)
    found: list[dict[str, Any]] = (await served.get("/v1/received/audio")).json()
    return found[::-1]


async def file(served: Site, audio: dict[str, Any], uid: str = "alice") -> tuple[bytes, int]:
    """PCM and rate of a file, by its link."""
    one = (await served.get(f"/v1/received/audio/{audio['id']}", uid=uid)).json()
    answer = await served.client.get(one["url"])
    assert answer.status_code == 200, answer.text
    samples, rate = decode_wav(answer.content)
    return samples.tobytes(), rate


async def test_each_request_becomes_a_file_of_its_own(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for number in range(3):
            answer = await post(served, tone(400, 400 * number), uid="alice", sample_rate=8000)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        files = await kept(served, 3)
        assert len({one["id"] for one in files}) == 3
        assert len({one["session_id"] for one in files}) == 1
        assert [one["start"] for one in files] == [0.0, 0.05, 0.1]
        heard = [await file(served, one) for one in files]
        assert heard == [(tone(400, 400 * number), 8000) for number in range(3)]
        assert (await served.get("/v1/received/audio", uid="bob")).json() == []
        status = (await served.get("/v1/received/status")).json()
        assert (status["files"], status["bytes"]) == (3, 3 * (800 + 44))


async def test_two_requests_of_one_moment_do_not_collide(tmp_path: Path) -> None:
    async with site(tmp_path) as served, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(lambda: post(served, tone(100), uid="alice"))
        files = await kept(served, 5)
        assert len({one["id"] for one in files}) == 5


async def test_a_delivery_that_is_sent_again_is_kept_once(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for _ in range(2):
            await post(served, tone(100), uid="alice", headers={"webhook-id": "msg_1"})
        await post(served, tone(100, 100), uid="alice", headers={"Idempotency-Key": "msg_2"})
        files = await kept(served, 2)
        assert [one["start"] for one in files] == [0.0, 100 / 16_000]
        assert served.receiving.intake.statistics().duplicate_samples == 100


async def test_a_session_is_one_file_with_silence_in_its_gaps(tmp_path: Path) -> None:
    settings = Receiver(save="session", session_gap=2.0, jitter=0.0)
    async with site(tmp_path, receiver=settings) as served:
        for position in (0, 1000, 2000):
            headers = {"Listen-Session": "s", "Listen-Position": str(position)}
            await post(served, tone(500, position), uid="alice", sample_rate=8000, headers=headers)
        (one,) = await kept(served, 1)
        heard = await file(served, one)
        gap = bytes(1000)
        assert heard == (tone(500) + gap + tone(500, 1000) + gap + tone(500, 2000), 8000)


@pytest.mark.parametrize(
    ("query", "pcm", "named"),
    [
        ({"sample_rate": "7999"}, b"", "sample_rate=7999"),
        ({"sample_rate": "48001"}, b"", "sample_rate=48001"),
        ({"sample_rate": "fast"}, b"", "sample_rate=fast"),
        ({}, b"123", "3 bytes"),
    ],
)
async def test_what_is_no_audio_is_refused(
    tmp_path: Path, query: dict[str, Any], pcm: bytes, named: str
) -> None:
    async with site(tmp_path) as served:
        answer = await post(served, pcm, uid="alice", **query)
        assert answer.status_code == 422
        assert named in answer.json()["detail"]
        assert (await post(served, b"", uid="alice")).status_code == 200


@pytest.mark.parametrize("position", ["-1", "x", "1.5", str(2**60), "٣"])
async def test_a_position_that_is_none_is_refused(tmp_path: Path, position: str) -> None:
    async with site(tmp_path) as served:
        headers = [(b"Listen-Session", b"s"), (b"Listen-Position", position.encode())]
        answer = await served.client.post("/audio", content=b"", params={"uid": "alice"}, headers=headers)
        assert answer.status_code == 422
        assert "Listen-Position" in answer.json()["detail"]


async def test_a_request_may_be_as_large_as_configured_and_no_larger(tmp_path: Path) -> None:
    settings = Receiver(request_limit=4_000_000, save="off")
    async with site(tmp_path, receiver=settings) as served:
        assert (await post(served, bytes(4_000_000), uid="alice")).status_code == 200
        assert (await post(served, bytes(4_000_002), uid="alice")).status_code == 413
        other = await served.client.post(
            "/receive/day_summary", content=bytes(2**21), params={"uid": "alice"}
        )
        assert other.status_code == 413


async def test_without_room_a_request_is_refused_and_told_when_to_come_again(tmp_path: Path) -> None:
    settings = Receiver(user_queue_mib=0.001, retry_after=7.0)
    async with site(tmp_path, receiver=settings) as served:
        served.receiving.intake._known = _never
        assert (await post(served, bytes(2000), uid="alice")).status_code == 200
        answer = await post(served, bytes(2000), uid="alice")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        assert (await post(served, bytes(2000), uid="bob")).status_code == 200
        assert served.metric("listen_receiver_refused_total") == 1
        assert served.metric("listen_receiver_waiting_bytes") == 4000


async def _never(uid: str) -> list[str]:
    await trio.sleep_forever()
    raise AssertionError


async def test_audio_is_posted_where_the_operator_says(tmp_path: Path) -> None:
    async with site(tmp_path, receiver=Receiver(path="/omi/in")) as served:
        assert (await served.client.post("/omi/in", params={"uid": "alice"})).status_code == 200
        assert (await served.client.post("/audio", params={"uid": "alice"})).status_code == 404


# Who may post


async def test_with_tokens_a_key_of_the_user_is_needed_and_may_stand_in_the_url(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        key = await served.store.tokens.create("alice")
        posting = await served.store.tokens.create("alice", scopes=["audio:write"])
        other = await served.store.tokens.create("alice", scopes=["memories:read"])
        assert (await post(served, tone(10))).status_code == 401
        assert (await post(served, tone(10), uid="alice")).status_code == 401
        assert (await post(served, tone(10), uid="alice", key="omi_dev_wrong")).status_code == 401
        assert (await post(served, tone(10), uid="alice", key=other)).status_code == 403
        assert (await post(served, tone(10), uid="bob", key=key)).status_code == 401
        for one in (key, posting):
            assert (await post(served, tone(10), uid="alice", key=one)).status_code == 200
            headers = {"Authorization": f"Bearer {one}"}
            assert (await post(served, tone(10), headers=headers)).status_code == 200
        headers = {"Authorization": f"Bearer {posting}"}
        assert (await served.client.get("/v1/received/audio", headers=headers)).status_code == 403


async def test_the_operators_key_posts_for_anybody_and_reads_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token", receiver=Receiver(app_key=KEY)) as served:
        assert (await post(served, tone(10), uid="alice", key=KEY)).status_code == 200
        assert (await post(served, tone(10), uid="bob", key=KEY)).status_code == 200
        assert (await post(served, tone(10), key=KEY)).status_code == 401
        assert (await post(served, tone(10), uid="x" * 200, key=KEY)).status_code == 401
        assert (await post(served, tone(10), uid="alice", key=KEY + "x")).status_code == 401
        headers = {"Authorization": f"Bearer {KEY}"}
        assert (await served.client.get("/v1/received/audio", headers=headers)).status_code == 401


async def test_a_signature_posts_for_the_user_whose_secret_it_is(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token", receiver=Receiver(secrets=(f"alice:{SECRET}",))) as served:
        body = '{"a": 1}'
        now = datetime.fromtimestamp(wall_clock() / 1_000_000, UTC)
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("msg_1", now, body),
        }

        async def send(uid: str, said: str = body, **changed: str) -> int:
            answer = await served.client.post(
                "/receive/day_summary", content=said, params={"uid": uid}, headers=headers | changed
            )
            return answer.status_code

        assert await send("alice") == 200
        assert await send("bob") == 401
        assert await send("alice", '{"a": 2}') == 401
        assert await send("alice", **{"webhook-timestamp": "1700000000"}) == 401


# The other triggers


async def test_other_triggers_are_kept_once_listed_and_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        bodies = {
            "memory_created": '{"id": "c1", "created_at": "2026-01-01T00:00:00Z"}',
            "realtime_transcript": '[{"text": "hi"}]',
            "day_summary": '{"summary": "{\'headline\': 1}"}',
        }
        for trigger, body in bodies.items():
            for _ in range(2):
                answer = await served.client.post(
                    f"/receive/{trigger}",
                    content=body,
                    params={"uid": "alice", "session_id": "s1"},
                    headers={"webhook-id": "msg_1"},
                )
                assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        found = (await served.get("/v1/received/messages")).json()
        assert [one["trigger"] for one in found] == list(bodies)[::-1]
        for one in found:
            raw = (await served.get(f"/v1/received/messages/{one['id']}")).text
            assert f'"body":{bodies[one["trigger"]]}' in raw
            assert (one["delivery_id"], one["session_id"]) == ("msg_1", "s1")
        first = found[0]["id"]
        only = (await served.get("/v1/received/messages", trigger="memory_created")).json()
        assert [one["trigger"] for one in only] == ["memory_created"]
        assert (await served.get(f"/v1/received/messages/{first}", uid="bob")).status_code == 404
        assert (
            await served.request("DELETE", f"/v1/received/messages/{first}", uid="bob")
        ).status_code == 404
        assert (await served.request("DELETE", f"/v1/received/messages/{first}")).status_code == 200
        assert (await served.request("DELETE", f"/v1/received/messages/{first}")).status_code == 404
        assert len((await served.get("/v1/received/messages")).json()) == 2


@pytest.mark.parametrize("body", [b"{", b"\xff", b'"\\ud800"', b"[" * 100 + b"]" * 100, b'"\\u0000"'])
async def test_what_is_no_json_is_refused(tmp_path: Path, body: bytes) -> None:
    async with site(tmp_path) as served:
        answer = await served.client.post("/receive/memory_created", content=body, params={"uid": "alice"})
        assert answer.status_code in (400, 422)
        assert (await served.get("/v1/received/messages")).json() == []


async def test_audio_is_deleted_with_its_file(tmp_path: Path) -> None:
    async with site(tmp_path, receiver=Receiver(processors=("level",))) as served:
        await post(served, tone(400), uid="alice")
        (one,) = await kept(served, 2)
        path = f"/v1/received/audio/{one['id']}"
        urls = [(await served.get(path)).json()[name] for name in ("url", "results_url")]
        assert (await served.request("DELETE", path, uid="bob")).status_code == 404
        assert (await served.request("DELETE", path)).status_code == 200
        assert (await served.request("DELETE", path)).status_code == 404
        for url in urls:
            assert (await served.client.get(url)).status_code == 404
        assert (await served.get("/v1/received/status")).json()["files"] == 0


async def test_what_is_measured_of_audio_can_be_read_at_once_by_its_user(tmp_path: Path) -> None:
    async with site(tmp_path, receiver=Receiver(processors=("level",))) as served:
        await post(served, tone(400), uid="bob")
        await post(served, tone(400), uid="alice")
        first = (await served.get("/v1/received/events", wait=10)).json()
        assert [event["type"] for event in first["events"]] == ["result"]
        line = first["events"][0]["line"]
        assert (line["processor"], line["seconds"]) == ("level", 0.025)
        assert line["result"]["clipped"] == 0
        assert (await served.get("/v1/received/events", after=first["next"])).json()["events"] == []
        await post(served, tone(400), uid="alice")
        second = (await served.get("/v1/received/events", after=first["next"], wait=10)).json()
        assert [event["line"]["start"] for event in second["events"]] == [0.025]
        assert (await served.get("/v1/received/events", wait=21)).status_code == 422
