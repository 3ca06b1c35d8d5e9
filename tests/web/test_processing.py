"""Ending, processing again, merging and deleting conversations over REST."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engine.store import FAILED, IN_PROGRESS, Store
from engine.store.database import wall_clock
from tests.web.serving import Site, add, row, segment, site

TALK = (
    segment("s1", "I will send the contract to the lawyer by Friday."),
    segment("s2", "The lawyer wants to read the contract before the meeting.", 3.0),
)


async def some(store: Store) -> None:
    """Of Alice: one going on, two completed ones, one that has failed, one that is locked."""
    await add(store, row("live", status=IN_PROGRESS, last_speech_at=wall_clock()), *TALK)
    await add(store, row("c1", age=600), *TALK)
    await add(store, row("c2", age=300), segment("s3", "The meeting is about the budget of the garden."))
    await add(store, row("c3", age=100, status=FAILED, failure="no such model"), *TALK)
    await add(store, row("c4", age=50, is_locked=True), *TALK)


async def post(served: Site, path: str, **options: Any) -> Any:
    return await served.request("POST", f"/v1/conversations{path}", **options)


async def status(served: Site, id: str) -> int:
    return (await served.get(f"/v1/conversations/{id}")).status_code


async def test_the_conversation_in_progress_is_ended_and_answered_as_it_was_processed(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        answer = await post(served, "", json={})
        assert answer.status_code == 200
        document = answer.json()["conversation"]
        assert (document["id"], document["status"], document["discarded"]) == ("live", "completed", False)
        assert "contract" in document["structured"]["overview"].lower()
        (item,) = document["structured"]["action_items"]
        assert item["due_at"] is not None
        assert (await served.get("/v1/conversations/live")).json() == document


async def test_ending_under_a_key_is_answered_alike_when_it_is_asked_for_again(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        headers = {"Authorization": "Bearer dev:alice", "Idempotency-Key": "k"}
        first, again = [
            await served.client.post("/v1/conversations", json={}, headers=headers) for _ in range(2)
        ]
        assert first.json()["conversation"]["id"] == "live"
        assert (again.status_code, again.content) == (200, first.content)


async def test_ending_one_by_its_id_does_not_wait_and_may_be_repeated(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        before = await served.get("/v1/conversations/live/finalization")
        assert before.status_code == 404
        for _ in range(2):
            answer = await post(served, "/live/finalize")
            assert answer.status_code == 200
            assert answer.json()["conversation"]["status"] in ("processing", "completed")
        await served.processor.wait("alice", "live", 10)
        after = (await served.get("/v1/conversations/live/finalization")).json()
        assert (after["status"], after["terminal"], after["retryable"]) == ("completed", True, False)
        assert (await post(served, "/c1/finalize")).json()["conversation"]["id"] == "c1"
        assert (await post(served, "")).status_code == 404


async def test_what_has_failed_says_why_and_is_processed_again(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        failed = (await served.get("/v1/conversations/c3/finalization")).json()
        assert (failed["status"], failed["failure"], failed["retryable"]) == ("failed", "no such model", True)
        answer = await post(served, "/c3/reprocess", params={"language_code": "en"})
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["discarded"]) == ("completed", False)
        assert answer.json()["structured"]["title"]
        app = await post(served, "/c3/reprocess", params={"app_id": "nobodys"})
        assert (app.status_code, "nobodys" in app.json()["detail"]) == (403, True)


async def test_what_is_going_on_cannot_be_processed_again_or_merged(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        again = await post(served, "/live/reprocess")
        assert (again.status_code, "in_progress" in again.json()["detail"]) == (409, True)
        merge = await post(served, "/merge", json={"conversation_ids": ["c1", "live"]})
        assert merge.status_code == 409
        assert (await served.get("/v1/conversations/c1")).json()["status"] == "completed"


async def test_merging_says_which_conversations_become_which(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        answer = await post(served, "/merge", json={"conversation_ids": ["c2", "c1"]})
        assert answer.status_code == 200
        merging = answer.json()
        assert (merging["status"], merging["conversation_ids"]) == ("merging", ["c2", "c1"])
        again = await post(served, f"/{merging['conversation_id']}/finalize")
        assert again.status_code == 200
        await served.processor.wait("alice", merging["conversation_id"], 10)
        document = (await served.get(f"/v1/conversations/{merging['conversation_id']}")).json()
        assert document["status"] == "completed"
        assert [s["start"] for s in document["transcript_segments"]] == [0.0, 3.0, 300.0]
        assert (await status(served, "c1"), await status(served, "c2")) == (404, 404)


async def test_what_cannot_be_merged_is_named(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        for ids, code in (
            (["c1"], 422),
            (["c1", "c1"], 422),
            (["c1", "x"], 404),
            (["c1", "c4"], 402),
            ("c1", 422),
        ):
            answer = await post(served, "/merge", json={"conversation_ids": ids})
            assert answer.status_code == code, ids
        assert await status(served, "c1") == 200


async def test_locked_ones_are_neither_ended_nor_processed_again(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        for path in ("/c4/finalize", "/c4/reprocess"):
            assert (await post(served, path)).status_code == 402
        assert (await served.get("/v1/conversations/c4/finalization")).status_code == 402


async def test_memories_outlive_their_conversation_unless_they_are_to_go_with_it(tmp_path: Path) -> None:
    talk = replace(segment("m1", "I am allergic to peanuts, tell them."), is_user=True)
    async with site(tmp_path) as served:
        mine = [
            (await served.services.requests.from_segments("alice", [talk], wait=True)).id for _ in range(2)
        ]
        (memory,) = await served.store.memories.list("alice")
        assert memory.conversation_id == mine[0]
        assert (await served.request("DELETE", f"/v1/conversations/{mine[1]}")).status_code == 204
        assert len(await served.store.memories.list("alice")) == 1
        gone = await served.request("DELETE", f"/v1/conversations/{mine[0]}", params={"cascade": "true"})
        assert gone.status_code == 204
        assert await served.store.memories.list("alice") == []
        assert await served.store.action_items.list("alice") == []
