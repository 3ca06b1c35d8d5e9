"""What an owner changes about a conversation, over a real store."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.store import IN_PROGRESS, Store
from engine.store.database import wall_clock
from engine.store.user_records import ActionItemRow, PersonRow
from tests.web.serving import T0, Site, add, row, segment, site

PATH = "/v1/conversations/c1"
EVENT = {"title": "Lunch", "start": "2026-11-22T12:00:00Z"}


async def some(store: Store) -> None:
    structured = {"title": "Old", "events": [EVENT]}
    other = replace(segment("s3", "Three.", 2.0), speaker="SPEAKER_01")
    await add(
        store, row("c1", structured=structured), segment("s1", "One."), segment("s2", "Two.", 1.0), other
    )
    await add(store, row("locked", is_locked=True, structured=structured), segment("s4", "Secret."))
    live = row("live", status=IN_PROGRESS, last_speech_at=wall_clock())
    await add(store, live, segment("s5", "Still talking."))
    await add(store, row("c1", uid="bob", visibility="shared"), segment("b1", "Bob's."))
    await store.people.put(PersonRow(uid="alice", id="p1", name="Marta", created_at=T0, updated_at=T0))
    await store.people.put(PersonRow(uid="bob", id="p2", name="Eve", created_at=T0, updated_at=T0))
    for number, what in enumerate(("Call Bob", "Buy varnish")):
        item = ActionItemRow(
            uid="alice",
            id=f"i{number}",
            conversation_id="c1",
            ordinal=number,
            description=what,
            created_at=T0,
            updated_at=T0,
        )
        await store.action_items.put(item)


async def items(served: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await served.get(PATH)).json()["structured"]["action_items"]
    return found


async def spoken(served: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await served.get(PATH)).json()["transcript_segments"]
    return found


async def test_it_is_renamed_and_made_a_favourite_and_shown_as_it_is_then(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        named = (await served.request("PATCH", f"{PATH}/title", params={"title": "New"})).json()
        assert (named["status"], named["conversation"]["structured"]["title"]) == ("Ok", "New")
        starred = (await served.request("PATCH", f"{PATH}/starred", params={"starred": "true"})).json()
        assert starred["conversation"]["starred"] is True
        assert starred["conversation"] == (await served.get(PATH)).json()


async def test_events_and_action_items_are_ticked_by_their_place(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        body = {"events_idx": [0], "values": [True]}
        assert (await served.request("PATCH", f"{PATH}/events", json=body)).json() == {"status": "Ok"}
        assert (await served.get(PATH)).json()["structured"]["events"][0]["created"] is True
        body = {"items_idx": [1], "values": [True]}
        assert (await served.request("PATCH", f"{PATH}/action-items", json=body)).status_code == 200
        assert [item["completed"] for item in await items(served)] == [False, True]


async def test_a_place_that_is_not_there_is_named_and_nothing_changes(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        for body, said in (
            ({"items_idx": [0, 2], "values": [True, True]}, "items_idx is not accepted: 2 given"),
            ({"items_idx": [0], "values": []}, "values has 0 elements: use as many as items_idx has (1)"),
        ):
            refused = await served.request("PATCH", f"{PATH}/action-items", json=body)
            assert refused.status_code == 422
            assert said in refused.json()["detail"]
        assert [item["completed"] for item in await items(served)] == [False, False]


async def test_an_action_item_is_said_in_other_words_and_deleted(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        body = {"old_description": "Call Bob", "description": "Write to Bob"}
        assert (await served.request("PATCH", f"{PATH}/action-items/0", json=body)).status_code == 200
        assert (await served.request("PATCH", f"{PATH}/action-items/0", json=body)).status_code == 404
        gone = {"description": "Buy varnish", "completed": False}
        assert (await served.request("DELETE", f"{PATH}/action-items", json=gone)).status_code == 200
        assert [item["description"] for item in await items(served)] == ["Write to Bob"]
        assert (await served.request("DELETE", f"{PATH}/action-items")).status_code == 200
        assert await items(served) == []


async def test_what_was_said_is_corrected(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        body = {"segment_id": "s2", "text": "Too."}
        assert (await served.request("PATCH", f"{PATH}/segments/text", json=body)).json() == {"status": "Ok"}
        assert [(s["text"], s["revision"]) for s in await spoken(served)] == [
            ("One.", 1),
            ("Too.", 2),
            ("Three.", 1),
        ]
        body = {"segment_id": "b1", "text": "Ha."}
        missing = await served.request("PATCH", f"{PATH}/segments/text", json=body)
        assert (missing.status_code, missing.json()) == (404, {"detail": "Segment not found: b1"})


async def test_speakers_are_assigned_by_segment_in_bulk_and_by_number(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        marta = {"assign_type": "person_id", "value": "p1"}
        answer = await served.request("PATCH", f"{PATH}/segments/0/assign", params=marta)
        assert [s["person_id"] for s in answer.json()["transcript_segments"]] == ["p1", None, None]
        mine = {"segment_ids": ["s1", "s2"], "assign_type": "is_user", "value": "true"}
        answer = await served.request("PATCH", f"{PATH}/segments/assign-bulk", json=mine)
        assert [(s["is_user"], s["person_id"]) for s in answer.json()["transcript_segments"]] == [
            (True, None),
            (True, None),
            (False, None),
        ]
        await served.request("PATCH", f"{PATH}/assign-speaker/1", params=marta)
        assert [s["person_id"] for s in await spoken(served)] == [None, None, "p1"]
        nobody = {"assign_type": "is_user", "value": "null"}
        await served.request("PATCH", f"{PATH}/assign-speaker/0", params=nobody)
        assert not any(s["is_user"] for s in await spoken(served))


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("segments/9/assign", {"params": {"assign_type": "is_user"}}),
        ("assign-speaker/7", {"params": {"assign_type": "is_user"}}),
        ("segments/0/assign", {"params": {"assign_type": "person_id", "value": "p2"}}),
        ("segments/assign-bulk", {"json": {"segment_ids": ["s1", "b1"], "assign_type": "is_user"}}),
    ],
)
async def test_who_or_what_is_not_there_cannot_be_assigned(
    tmp_path: Path, path: str, options: dict[str, Any]
) -> None:
    async with site(tmp_path, filled=some) as served:
        assert (await served.request("PATCH", f"{PATH}/{path}", **options)).status_code == 404
        assert all(s["revision"] == 1 for s in await spoken(served))


EDITS: list[tuple[str, str, dict[str, Any]]] = [
    ("PATCH", "title", {"params": {"title": "x"}}),
    ("PATCH", "starred", {"params": {"starred": "true"}}),
    ("PATCH", "visibility", {"params": {"value": "public"}}),
    ("PATCH", "events", {"json": {"events_idx": [0], "values": [True]}}),
    ("PATCH", "action-items", {"json": {"items_idx": [], "values": []}}),
    ("PATCH", "action-items/0", {"json": {"old_description": "a", "description": "b"}}),
    ("DELETE", "action-items", {"json": {"description": "a"}}),
    ("PATCH", "segments/text", {"json": {"segment_id": "s4", "text": "x"}}),
    ("PATCH", "segments/0/assign", {"params": {"assign_type": "is_user", "value": "true"}}),
    ("PATCH", "segments/assign-bulk", {"json": {"segment_ids": ["s4"], "assign_type": "is_user"}}),
    ("PATCH", "assign-speaker/0", {"params": {"assign_type": "is_user", "value": "true"}}),
]


async def test_nothing_of_a_locked_conversation_and_of_somebody_elses_is_changed(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        before = await served.store.wholes.get("alice", "locked")
        for method, path, options in EDITS:
            locked = await served.request(method, f"/v1/conversations/locked/{path}", **options)
            assert locked.status_code == 402, path
            other = await served.request(method, f"/v1/conversations/locked/{path}", uid="bob", **options)
            assert other.status_code == 404, path
        assert await served.store.wholes.get("alice", "locked") == before


async def test_a_link_that_is_somebody_elses_is_not_taken_over(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        public = {"value": "public"}
        first = await served.request("PATCH", f"{PATH}/visibility", uid="bob", params=public)
        assert first.status_code == 200
        second = await served.request("PATCH", f"{PATH}/visibility", params=public)
        assert second.status_code == 409
        shared = (await served.get(f"{PATH}/shared", uid=None)).json()
        assert [s["text"] for s in shared["transcript_segments"]] == ["Bob's."]
