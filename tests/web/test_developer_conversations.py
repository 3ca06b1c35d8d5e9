"""/v1/dev/user/conversations."""

from pathlib import Path
from typing import Any

import pytest

from engine.store import PROCESSING, Store
from engine.store.user_records import FolderRow, PersonRow
from engine.wire import Segment
from tests.web.serving import T0, Site, add, row, segment, site

PATH = "/v1/dev/user/conversations"


async def ids(served: Site, **params: Any) -> list[str]:
    return [one["id"] for one in (await served.get(PATH, **params)).json()]


async def test_only_what_is_completed_and_kept_is_listed_25_at_a_time(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        store = served.store
        for n in range(27):
            await add(store, row(f"c{n:02}", age=n))
        await add(store, row("discarded", discarded=True), segment("s", "Hm."))
        await add(store, row("locked", is_locked=True), segment("s", "Hm."))
        await add(store, row("busy", status=PROCESSING), segment("s", "Hm."))
        await add(store, row("theirs", uid="bob"), segment("s", "Hm."))
        assert await ids(served) == [f"c{n:02}" for n in range(25)]
        assert await ids(served, limit=2, offset=25) == ["c25", "c26"]
        assert await ids(served, start_date="2023-11-14T22:13:00", end_date="2023-11-14T22:13:01") == [
            "c19",
            "c20",
        ]


async def test_conversations_are_chosen_by_category(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for id, category in [("a", "work"), ("b", "travel"), ("c", "health")]:
            await add(served.store, row(id, structured={"title": "T", "category": category}))
        assert sorted(await ids(served, categories="work,health")) == ["a", "c"]
        assert (await served.get(PATH, categories="work,nonsense")).status_code == 422


async def talk(store: Store) -> None:
    """Ann, whom Alice knows, talks with her in a folder of hers."""
    await store.users.change("alice", {"name": "Alice Liddell"})
    await store.people.put(PersonRow(uid="alice", id="p", name="Ann", created_at=T0, updated_at=T0))
    await store.folders.add(FolderRow(uid="alice", id="f", name="Tea", created_at=T0, updated_at=T0), 9)
    said = [
        Segment(id="1", text="More tea?", start=0, end=1, person_id="p", speaker="SPEAKER_01"),
        Segment(id="2", text="Yes.", start=1, end=2, is_user=True),
        Segment(id="3", text="No.", start=2, end=3, speaker="SPEAKER_02"),
    ]
    await add(store, row("c", folder_id="f"), *said)


async def test_a_transcript_comes_when_asked_for_with_the_names_of_who_speaks(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await talk(served.store)
        without = (await served.get(f"{PATH}/c")).json()
        assert without["transcript_segments"] is None
        assert (without["folder_id"], without["folder_name"]) == ("f", "Tea")
        for shown in (
            (await served.get(f"{PATH}/c", include_transcript="true")).json(),
            (await served.get(PATH, include_transcript="true")).json()[0],
        ):
            names = [(one["speaker_name"], one["text"]) for one in shown["transcript_segments"]]
            assert names == [("Ann", "More tea?"), ("Alice Liddell", "Yes."), ("Speaker 2", "No.")]
        assert (await served.get(PATH)).json()[0] == without


async def test_a_conversation_given_as_a_text_is_kept_and_to_be_processed(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        body = {
            "text": " We meet on Monday. ",
            "text_source": "message",
            "text_source_spec": "mail",
            "started_at": "2026-11-20T10:00:00",
            "finished_at": "2026-11-20T10:05:00",
            "language": "en",
            "geolocation": {"latitude": 1.5, "longitude": 2.5},
        }
        made = (await served.request("POST", PATH, json=body)).json()
        assert (made["status"], made["discarded"]) == ("processing", False)
        kept = await served.store.conversations.get("alice", made["id"])
        assert kept is not None
        assert kept.source == "external_integration"
        assert kept.finished_at - kept.started_at == 300_000_000
        assert (kept.external_data or {})["text"] == "We meet on Monday."
        assert (kept.geolocation or {})["latitude"] == 1.5
        assert await served.store.jobs.find("alice", "process", made["id"]) is not None


async def test_a_conversation_given_as_a_transcript_keeps_who_said_what(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        segments = [
            {"text": "Hello.", "speaker": "SPEAKER_01", "start": 0, "end": 1.5},
            {"text": "Hi.", "speaker_id": 2, "is_user": True, "start": 2, "end": 3},
        ]
        body = {"transcript_segments": segments, "source": "phone"}
        made = (await served.request("POST", f"{PATH}/from-segments", json=body)).json()
        kept = await served.store.conversations.segments("alice", made["id"])
        assert [(one.text, one.speaker, one.is_user, one.end) for one in kept] == [
            ("Hello.", "SPEAKER_01", False, 1.5),
            ("Hi.", "SPEAKER_02", True, 3.0),
        ]
        found = await served.store.conversations.get("alice", made["id"])
        assert found is not None
        assert found.source == "phone"
        odd = await served.request(
            "POST", f"{PATH}/from-segments", json={"transcript_segments": segments, "source": "toaster"}
        )
        found = await served.store.conversations.get("alice", odd.json()["id"])
        assert found is not None
        assert found.source == "unknown"


SAID = {"text": "Hello.", "start": 0, "end": 1}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (PATH, {}, "text"),
        (PATH, {"text": " "}, "text"),
        (PATH, {"text": "x" * 100_001}, "text"),
        (PATH, {"text": "x", "text_source": "dream"}, "text_source"),
        (PATH, {"text": "x", "geolocation": {"latitude": 91, "longitude": 0}}, "latitude"),
        (
            PATH,
            {"text": "x", "started_at": "2026-11-20T10:00:00", "finished_at": "2026-11-20T09:00:00"},
            "finished_at",
        ),
        (f"{PATH}/from-segments", {"transcript_segments": []}, "transcript_segments"),
        (f"{PATH}/from-segments", {"transcript_segments": [SAID] * 501}, "transcript_segments"),
        (f"{PATH}/from-segments", {"transcript_segments": [SAID | {"start": 2}]}, "end=1"),
        (f"{PATH}/from-segments", {"transcript_segments": [SAID | {"start": -1}]}, "start"),
        (f"{PATH}/from-segments", {"transcript_segments": [SAID | {"text": ""}]}, "text"),
    ],
)
async def test_what_is_no_conversation_is_refused_by_name(
    tmp_path: Path, path: str, body: dict[str, Any], named: str
) -> None:
    async with site(tmp_path) as served:
        answer = await served.request("POST", path, json=body)
        assert answer.status_code == 422
        assert named in answer.json()["detail"]
        assert await served.store.conversations.count("alice") == 0


async def test_a_title_is_changed_and_a_conversation_discarded_and_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await add(served.store, row("c"), segment("s", "Hello."))
        changed = await served.request("PATCH", f"{PATH}/c", json={"title": " Tea ", "discarded": True})
        assert (changed.json()["structured"]["title"], changed.json()["discarded"]) == ("Tea", True)
        assert await ids(served) == []
        await served.request("PATCH", f"{PATH}/c", json={"discarded": False})
        assert await ids(served) == ["c"]
        assert (await served.request("PATCH", f"{PATH}/c", json={})).status_code == 422
        assert (await served.request("DELETE", f"{PATH}/c")).json() == {"success": True}
        assert (await served.get(f"{PATH}/c")).status_code == 404
        assert (await served.request("DELETE", f"{PATH}/c")).status_code == 404


async def test_nobody_reads_or_changes_those_of_another_or_locked_ones(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await add(served.store, row("c"), segment("s", "Hello."))
        await add(served.store, row("locked", is_locked=True), segment("s", "Hello."))
        for uid, id, status in [("bob", "c", 404), ("alice", "locked", 402)]:
            assert (await served.get(f"{PATH}/{id}", uid)).status_code == status
            answer = await served.request("PATCH", f"{PATH}/{id}", uid, json={"title": "x"})
            assert answer.status_code == status
        assert (await served.request("DELETE", f"{PATH}/c", "bob")).status_code == 404


async def test_a_conversation_given_twice_under_one_key_is_one(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        headers = {"Authorization": "Bearer dev:alice", "Idempotency-Key": "k1"}
        answers = [
            (await served.client.post(PATH, json={"text": "Hello."}, headers=headers)).json()
            for _ in range(2)
        ]
        assert answers[0] == answers[1]
        assert await served.store.conversations.count("alice") == 1
