"""Conversations with all that is shown of them."""

import pytest

from engine.store import Store
from engine.store.user_records import ActionItemRow, PhotoRow
from engine.store.whole import WHOLE_LIMIT

from .making import NOW, changed, conversation, opened, segment


async def some(store: Store) -> None:
    await store.conversations.apply(
        [opened("c1"), changed(segment("s2", start=2.0, end=3.0), segment("s1")), opened("c2")]
    )
    for ordinal, id in enumerate(("i1", "i2")):
        item = ActionItemRow(
            uid="u1",
            id=id,
            conversation_id="c1",
            ordinal=1 - ordinal,
            description=id,
            created_at=NOW,
            updated_at=NOW,
        )
        await store.action_items.put(item)
    await store.photos.put(PhotoRow(uid="u1", conversation_id="c1", id="p1", image=b"x", created_at=NOW))


async def test_one_is_read_with_segments_action_items_and_photos_in_their_order(store: Store) -> None:
    await some(store)
    whole = await store.wholes.get("u1", "c1")
    assert whole is not None
    assert whole.row == conversation("c1")
    assert [one.id for one in whole.segments] == ["s1", "s2"]
    assert [one.id for one in whole.action_items] == ["i2", "i1"]
    assert [one.id for one in whole.photos] == ["p1"]


async def test_a_page_is_read_without_photos_in_the_order_asked_for(store: Store) -> None:
    await some(store)
    wholes = await store.wholes.of([conversation("c2"), conversation("c1")])
    assert [whole.row.id for whole in wholes] == ["c2", "c1"]
    assert [len(whole.segments) for whole in wholes] == [0, 2]
    assert [len(whole.action_items) for whole in wholes] == [0, 2]
    assert [len(whole.photos) for whole in wholes] == [0, 0]
    with pytest.raises(ValueError, match=f"rows: {WHOLE_LIMIT + 1} given, at most {WHOLE_LIMIT} accepted"):
        await store.wholes.of([conversation()] * (WHOLE_LIMIT + 1))


async def test_what_is_somebody_elses_or_hidden_is_not_there(store: Store) -> None:
    await some(store)
    await store.conversations.apply([opened("c3", deleted_at=NOW)])
    assert await store.wholes.get("u2", "c1") is None
    assert await store.wholes.get("u1", "c3") is None
