"""/v1/conversations over a real store."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.store import FAILED, IN_PROGRESS, PROCESSING, Store
from engine.store.database import wall_clock
from engine.store.user_records import ActionItemRow, PersonRow, PhotoRow
from tests.web.apps import make
from tests.web.serving import T0, add, row, segment, site


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
                "statuses=finished is not accepted: use one of completed, failed"
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


async def kept(store: Store) -> None:
    """Of Alice: c1 with all that can be kept of it, and a locked one."""
    structured = {"title": "Plans", "overview": "About boats.", "events": []}
    location = {"latitude": 52.5, "longitude": 13.4}
    whole = row("c1", structured=structured, geolocation=location, folder_id="f1", starred=True, source="omi")
    mine = replace(segment("s1", "One two three."), is_user=True, end=2.0)
    theirs = replace(segment("s2", "Four.", 2.0), speaker="SPEAKER_01", person_id="p1")
    await add(store, whole, mine, theirs, replace(segment("s3", "Five.", 3.0), stt_provider=None))
    await add(store, row("c2", age=10, is_locked=True, structured=structured), segment("s4", "Secret."))
    at = T0
    await store.people.put(PersonRow(uid="alice", id="p1", name="Marta", created_at=at, updated_at=at))
    await store.photos.put(
        PhotoRow(uid="alice", conversation_id="c1", id="p1", image=b"\xff\xd8", created_at=at)
    )
    await store.action_items.put(
        ActionItemRow(
            uid="alice", id="i1", conversation_id="c1", description="Call Bob", created_at=at, updated_at=at
        )
    )


async def test_action_items_and_photos_are_part_of_a_conversation(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        document = (await served.get("/v1/conversations/c1")).json()
        assert [item["description"] for item in document["structured"]["action_items"]] == ["Call Bob"]
        assert [photo["base64"] for photo in document["photos"]] == ["/9g="]
        assert (await served.get("/v1/conversations/c1/photos")).json() == document["photos"]
        (listed, _) = (await served.get("/v1/conversations")).json()
        assert listed == document | {"photos": []}


async def test_a_picture_that_is_a_file_is_shown_as_before_and_has_a_link(tmp_path: Path) -> None:
    async def moved(store: Store) -> None:
        await kept(store)
        await store.blobs.put("alice", "photos/p1.jpg", b"\xff\xd8\xff")
        await store.photos.change("alice", "p1", {"image": b"", "blob": "photos/p1.jpg"})

    async with site(tmp_path, filled=moved) as served:
        assert [one["base64"] for one in (await served.get("/v1/conversations/c1/photos")).json()] == ["/9j/"]
        (file,) = (await served.get("/v1/conversations/c1/photos/files")).json()
        assert file["id"] == "p1"
        answer = await served.get(file["url"], uid=None)
        assert (answer.headers["content-type"], answer.content) == ("image/jpeg", b"\xff\xd8\xff")


async def test_a_locked_conversation_is_listed_without_what_was_said_and_not_given(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        (_, listed) = (await served.get("/v1/conversations")).json()
        assert (listed["id"], listed["is_locked"], listed["transcript_segments"]) == ("c2", True, [])
        assert listed["structured"]["title"] == "Plans"
        for path in (
            "",
            "/photos",
            "/photos/files",
            "/transcripts",
            "/recording",
            "/suggested-apps",
            "/analytics",
        ):
            answer = await served.get(f"/v1/conversations/c2{path}")
            assert answer.status_code == 402, path
            assert "locked" in answer.json()["detail"]


async def test_folder_favourites_and_sources_choose(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        for query, expected in (
            ({"folder_id": "f1"}, ["c1"]),
            ({"folder_id": "f2"}, []),
            ({"starred": "true"}, ["c1"]),
            ({"starred": "false"}, ["c2"]),
            ({"sources": "omi,phone"}, ["c1"]),
            ({"sources": "unknown"}, ["c2"]),
        ):
            assert ids((await served.get("/v1/conversations", **query)).json()) == expected, query
            counted = await served.get("/v1/conversations/count", **query)
            assert counted.json() == {"count": len(expected)}, query


async def test_segments_are_told_apart_by_who_transcribed_them(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        found = (await served.get("/v1/conversations/c1/transcripts")).json()
    assert {vendor: [s["id"] for s in said] for vendor, said in found.items()} == {
        "local": ["s1", "s2"],
        "unknown": ["s3"],
    }


async def test_there_is_no_recording_and_no_suggested_app(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        assert (await served.get("/v1/conversations/c1/recording")).json()["has_recording"] is False
        answer = await served.get("/v1/conversations/c1/suggested-apps")
        assert answer.json() == {"suggested_apps": [], "conversation_id": "c1"}


async def test_the_apps_that_a_user_has_enabled_for_conversations_are_suggested(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        said: dict[str, Any] = {"capabilities": ["memories"], "memory_prompt": "Sum it up."}
        ids = [await make(served, **said) for _ in range(2)]
        await served.request("POST", "/v1/apps/enable", params={"app_id": ids[0]})
        (app,) = (await served.get("/v1/conversations/c1/suggested-apps")).json()["suggested_apps"]
        assert (app["id"], app["name"], app["enabled"]) == (ids[0], "Notes", True)


async def test_who_spoke_how_much_is_reckoned(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        found = (await served.get("/v1/conversations/c1/analytics")).json()
    assert found == {
        "conversation_id": "c1",
        "total_seconds": 4.0,
        "total_words": 5,
        "words_per_minute": 75.0,
        "speaker_count": 3,
        "speakers": [
            {
                "speaker": "You",
                "person_id": None,
                "is_user": True,
                "talk_seconds": 2.0,
                "word_count": 3,
                "words_per_minute": 90.0,
                "talk_share": 0.5,
            },
            {
                "speaker": "Marta",
                "person_id": "p1",
                "is_user": False,
                "talk_seconds": 1.0,
                "word_count": 1,
                "words_per_minute": 60.0,
                "talk_share": 0.25,
            },
            {
                "speaker": "Speaker 0",
                "person_id": None,
                "is_user": False,
                "talk_seconds": 1.0,
                "word_count": 1,
                "words_per_minute": 60.0,
                "talk_share": 0.25,
            },
        ],
    }


async def test_what_is_shared_is_read_by_anybody_without_place_and_owner(tmp_path: Path) -> None:
    async with site(tmp_path, filled=kept) as served:
        path = "/v1/conversations/c1"
        private = await served.get(f"{path}/shared", uid=None)
        assert (private.status_code, private.json()) == (404, {"detail": "Conversation is private"})
        await served.request("PATCH", f"{path}/visibility", params={"value": "shared"})
        shared = await served.get(f"{path}/shared", uid=None)
        assert shared.status_code == 200
        assert "alice" not in shared.text
        document = shared.json()
        assert (document["geolocation"], document["folder_id"]) == (None, None)
        assert document["transcript_segments"][0]["text"] == "One two three."
        await served.request("DELETE", path)
        assert (await served.get(f"{path}/shared", uid=None)).status_code == 404


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
            assert answer.status_code in (400, 422)
            assert "the body is not accepted" in answer.json()["detail"] or "body=" in answer.json()["detail"]
        assert (await served.get("/v1/conversations/live")).json()["status"] == "in_progress"
