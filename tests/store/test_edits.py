"""What owners change about their conversations, over both databases."""

from typing import Any

import pytest

from engine.store import Store
from engine.store.edits import SegmentEdit, Speaker, edited
from engine.store.texts import words_of
from engine.store.user_records import ActionItemRow
from engine.wire.messages import Translation

from .making import NOW, Clock, changed, opened, segment


async def some(store: Store, **fields: Any) -> None:
    structured = {"title": "Old", "events": [{"title": "Lunch", "start": "2026-11-22T12:00:00Z"}]}
    row = opened("c1", **({"status": "completed", "structured": structured} | fields))
    await store.conversations.apply([row, changed(segment("s1", text="One."), segment("s2", text="Two."))])
    for number, what in enumerate(("Call Bob", "Buy varnish")):
        item = ActionItemRow(
            uid="u1",
            id=f"i{number}",
            conversation_id="c1",
            ordinal=number,
            description=what,
            created_at=NOW,
            updated_at=NOW,
        )
        await store.action_items.put(item)
    await store.texts.index("u1", "c1")


async def found(store: Store, query: str) -> list[str]:
    return [hit.id for hit in await store.texts.search("u1", words_of(query))]


async def test_a_title_is_changed_and_found(store: Store) -> None:
    await some(store)
    assert await store.edits.set_title("u1", "c1", "Regatta")
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert (row.structured["title"], len(row.structured["events"])) == ("Regatta", 1)
    assert await found(store, "regatta") == ["c1"]
    assert await found(store, "old") == []


async def test_what_is_not_there_is_not_changed(store: Store) -> None:
    await some(store, deleted_at=NOW)
    edits, edit = store.edits, SegmentEdit(ids=("s1",), text="No.")
    for uid in ("u1", "u2"):
        assert not await edits.set_title(uid, "c1", "x")
        assert not await edits.set_starred(uid, "c1", True)
        assert not await edits.set_visibility(uid, "c1", "public")
        assert not await edits.set_events(uid, "c1", {0: True})
        assert not await edits.set_items(uid, "c1", {0: True})
        assert not await edits.describe_item(uid, "c1", "Call Bob", "x")
        assert await edits.delete_items(uid, "c1", "Call Bob") == 0
        assert await edits.edit_segments(uid, "c1", edit) == ["s1"]
    assert await edits.owner_of_shared("c1") is None


async def test_a_conversation_is_a_favourite_until_it_is_not(store: Store) -> None:
    await some(store)
    assert await store.edits.set_starred("u1", "c1", True)
    assert [row.id for row in await store.conversations.list("u1", starred=True)] == ["c1"]
    assert await store.edits.set_starred("u1", "c1", False)
    assert await store.conversations.count("u1", starred=True) == 0


async def test_a_link_is_its_owners_until_the_conversation_is_private_again(store: Store) -> None:
    await some(store)
    await store.conversations.apply([opened("c1", "u2")])
    assert await store.edits.set_visibility("u1", "c1", "shared")
    assert await store.edits.set_visibility("u1", "c1", "public")
    assert await store.edits.owner_of_shared("c1") == "u1"
    with pytest.raises(ValueError, match="shared by somebody else"):
        await store.edits.set_visibility("u2", "c1", "public")
    theirs = await store.conversations.get("u2", "c1")
    assert theirs is not None
    assert theirs.visibility == "private"
    assert await store.edits.set_visibility("u2", "c1", "private")
    assert await store.edits.owner_of_shared("c1") == "u1"
    assert await store.edits.set_visibility("u1", "c1", "private")
    assert await store.edits.owner_of_shared("c1") is None


async def test_events_and_action_items_are_changed_by_their_place(store: Store, clock: Clock) -> None:
    await some(store)
    assert await store.edits.set_events("u1", "c1", {0: True})
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert row.structured["events"][0]["created"] is True
    clock.now += 5
    assert await store.edits.set_items("u1", "c1", {1: True})
    items = await store.action_items.of_conversation("u1", "c1")
    assert [(item.completed, item.completed_at) for item in items] == [(False, None), (True, NOW + 5)]
    assert await store.edits.set_items("u1", "c1", {1: False})
    items = await store.action_items.of_conversation("u1", "c1")
    assert [(item.completed, item.completed_at) for item in items] == [(False, None), (False, None)]
    for change in (store.edits.set_events, store.edits.set_items):
        with pytest.raises(IndexError, match="given, a place among"):
            await change("u1", "c1", {0: True, 2: True})
    assert not (await store.action_items.of_conversation("u1", "c1"))[0].completed


async def test_action_items_are_described_anew_and_deleted_by_their_description(store: Store) -> None:
    await some(store)
    assert await store.edits.describe_item("u1", "c1", "Buy varnish", "Buy paint")
    assert not await store.edits.describe_item("u1", "c1", "Buy varnish", "Buy oil")
    assert (await found(store, "paint"), await found(store, "varnish")) == (["c1"], [])
    assert await store.edits.delete_items("u1", "c1", "Buy paint") == 1
    assert await found(store, "paint") == []
    assert [item.id for item in await store.action_items.of_conversation("u1", "c1")] == ["i0"]


async def test_an_edited_segment_outlives_an_older_journal(store: Store) -> None:
    await some(store)
    assert await store.edits.edit_segments("u1", "c1", SegmentEdit(ids=("s1",), text="Regatta.")) == []
    await store.conversations.apply([changed(segment("s1", text="One."))])
    first, second = await store.conversations.segments("u1", "c1")
    assert (first.text, first.revision) == ("Regatta.", 2)
    assert (second.text, second.revision) == ("Two.", 1)
    assert (await found(store, "regatta"), await found(store, "one")) == (["c1"], [])


async def test_who_is_said_to_be_another_than_expected_stays_who_they_are(store: Store) -> None:
    await some(store)
    grace, ada = Speaker(person_id="p1"), Speaker(is_user=True)
    for ids, who, was in [
        (("s1",), grace, Speaker()),
        (("s1", "s2"), ada, Speaker()),
        (("s1", "s2"), Speaker(), grace),
    ]:
        edit = SegmentEdit(ids=ids, speaker=who, was=was)
        assert await store.edits.edit_segments("u1", "c1", edit) == []
    said = await store.conversations.segments("u1", "c1")
    assert [(one.is_user, one.person_id, one.revision) for one in said] == [(False, None, 3), (True, None, 2)]


async def test_speakers_are_assigned_or_nothing_is_when_one_is_not_there(store: Store) -> None:
    await some(store)
    edit = SegmentEdit(ids=("s1", "s2"), speaker=Speaker(person_id="p1"))
    assert await store.edits.edit_segments("u1", "c1", edit) == []
    said = await store.conversations.segments("u1", "c1")
    assert [(one.is_user, one.person_id, one.revision) for one in said] == [(False, "p1", 2)] * 2
    mixed = SegmentEdit(ids=("s1", "s9"), speaker=Speaker(is_user=True))
    assert await store.edits.edit_segments("u1", "c1", mixed) == ["s9"]
    assert not (await store.conversations.segments("u1", "c1"))[0].is_user


def test_an_edit_of_a_segment_says_what_the_store_does() -> None:
    said = segment("s1", text="One.", translations=(Translation("de", "Eins."),))
    again = edited(said, SegmentEdit(ids=("s1",), text="Two.", speaker=Speaker(is_user=True)))
    assert (again.text, again.translations, again.is_user, again.revision) == ("Two.", (), True, 2)
    assert edited(said, SegmentEdit(ids=("s1",))).translations == said.translations
