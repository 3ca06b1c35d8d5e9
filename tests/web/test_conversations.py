"""/v1/conversations over a real store."""

from pathlib import Path
from typing import Any

import pytest

from engine.store import FAILED, IN_PROGRESS, PROCESSING, Store
from engine.store.database import wall_clock
from tests.web.serving import add, row, segment, site


async def some(store: Store) -> None:
    """Alice's, newest first: one going on, c1, c2 and c4, c3; and one of Bob's."""
    await add(store, row("c1", age=10), segment("s1", "One."), segment("s2", "Two.", 1.5))
    await add(store, row("c2", age=20, discarded=True), segment("s3", "Nothing."))
    await add(store, row("c3", age=3600))
    await add(store, row("c4", age=40, status=FAILED))
    live = row("live", status=IN_PROGRESS, last_speech_at=wall_clock())
    await add(store, live, segment("s4", "Still talking."))
    await add(store, row("b1", uid="bob", age=10), segment("s5", "Secret."))


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [document["id"] for document in documents]


async def test_the_list_is_newest_first_with_segments_and_without_those_in_progress(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        await add(served.store, row("c5", age=30, status=PROCESSING))
        answer = await served.get("/v1/conversations")
        assert answer.headers["content-type"] == "application/json"
        documents = answer.json()
    assert ids(documents) == ["c1", "c2", "c5", "c3"]
    assert [s["text"] for s in documents[0]["transcript_segments"]] == ["One.", "Two."]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"limit": 2}, ["c1", "c2"]),
    ({"limit": 2, "offset": 1}, ["c2", "c3"]),
    ({"offset": 9}, []),
    ({"statuses": "in_progress"}, ["live"]),
    ({"statuses": "in_progress, failed"}, ["live", "c4"]),
    ({"statuses": ""}, ["live", "c1", "c2", "c4", "c3"]),
    ({"include_discarded": "false"}, ["c1", "c3"]),
    ({"start_date": "2023-11-14T22:12:50Z"}, ["c1", "c2"]),
    ({"end_date": "2023-11-14T23:00:00+01:00"}, ["c3"]),
    ({"start_date": "2023-11-14T22:12:50.5", "end_date": "2023-11-14T22:13:00"}, ["c2"]),
    ({"start_date": "2023-11-15"}, []),
]


async def test_the_list_and_its_count_are_filtered(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        for query, expected in FILTERS:
            assert ids((await served.get("/v1/conversations", **query)).json()) == expected, query
            if query.keys().isdisjoint(("limit", "offset")):
                counted = await served.get("/v1/conversations/count", **query)
                assert counted.json() == {"count": len(expected)}, query


async def test_a_list_longer_than_one_reading_is_complete(tmp_path: Path) -> None:
    async def many(store: Store) -> None:
        for n in range(45):
            await add(store, row(f"c{n}", age=n), segment(f"s{n}", f"Number {n}."))

    async with site(tmp_path, filled=many) as served:
        documents = (await served.get("/v1/conversations")).json()
    assert [d["transcript_segments"][0]["text"] for d in documents] == [f"Number {n}." for n in range(45)]


async def test_a_bad_value_is_named_with_what_is_accepted(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for path in ("/v1/conversations", "/v1/conversations/count"):
            answer = await served.get(path, statuses="completed,finished")
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith(
                "statuses=finished is not accepted: use some of in_progress"
            )
        assert (await served.get("/v1/conversations", limit=1001)).status_code == 422


async def test_one_conversation_is_given_whole(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        document = (await served.get("/v1/conversations/c1")).json()
    assert document["status"] == "completed"
    assert document["created_at"] == "2023-11-14T22:13:10Z"
    assert document["transcript_segments"][1] == {
        "id": "s2",
        "text": "Two.",
        "speaker": "SPEAKER_00",
        "speaker_id": 0,
        "is_user": False,
        "person_id": None,
        "start": 1.5,
        "end": 2.5,
        "translations": [],
        "speech_profile_processed": True,
        "stt_provider": "local",
        "revision": 1,
    }


async def test_nobody_sees_or_deletes_what_is_somebody_elses(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        assert ids((await served.get("/v1/conversations", uid="bob")).json()) == ["b1"]
        assert (await served.get("/v1/conversations/c1", uid="bob")).status_code == 404
        assert (await served.request("DELETE", "/v1/conversations/c1", uid="bob")).status_code == 404
        assert (await served.get("/v1/conversations/c1")).status_code == 200


async def test_a_deleted_conversation_is_gone(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        deleted = await served.request("DELETE", "/v1/conversations/c1")
        assert (deleted.status_code, deleted.content) == (204, b"")
        gone = await served.get("/v1/conversations/c1")
        assert (gone.status_code, gone.json()) == (404, {"detail": "Conversation not found"})
        assert (await served.request("DELETE", "/v1/conversations/c1")).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{}", b'{"calendar_meeting_context": null}'])
async def test_the_conversation_in_progress_is_finished_at_once(tmp_path: Path, body: bytes) -> None:
    async with site(tmp_path, filled=some) as served:
        answer = await served.request("POST", "/v1/conversations", content=body)
        assert answer.status_code == 200
        finished = answer.json()
        assert finished["messages"] == []
        assert finished["conversation"]["id"] == "live"
        assert finished["conversation"]["status"] == "completed"
        assert finished["conversation"]["transcript_segments"][0]["text"] == "Still talking."
        assert (await served.get("/v1/conversations/live")).json() == finished["conversation"]


async def test_without_one_in_progress_there_is_nothing_to_finish(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        answer = await served.request("POST", "/v1/conversations", uid="bob")
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Conversation in progress not found"}


async def test_a_body_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        for body in (b"[]", b"{", b"1", b"\xff", b"[" * 100_000):
            answer = await served.request("POST", "/v1/conversations", content=body)
            assert answer.status_code == 400
            assert "use a JSON object" in answer.json()["detail"]
        assert (await served.get("/v1/conversations/live")).json()["status"] == "in_progress"
