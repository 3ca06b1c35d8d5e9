"""Translations are kept of what has not changed since."""

import msgspec

from engine.store import Store
from engine.wire.messages import Segment, Translation

from .making import changed, opened, segment

GERMAN = (Translation("de", "Hallo."),)


def translated(of: Segment) -> Segment:
    return msgspec.structs.replace(of, translations=GERMAN, revision=of.revision + 1)


async def test_a_translation_is_kept_with_the_next_revision(store: Store) -> None:
    await store.conversations.apply([opened(), changed(segment("s1"), segment("s2", start=1.0))])
    kept = await store.translations.keep("u1", "c1", [translated(segment("s1"))])
    assert [one.id for one in kept] == ["s1"]
    first, second = await store.conversations.segments("u1", "c1")
    assert (first.translations, first.revision, first.text) == (GERMAN, 2, "Text of s1.")
    assert (second.translations, second.revision) == ((), 1)


async def test_what_changed_was_deleted_or_is_anothers_stays_as_it_is(store: Store) -> None:
    newer = segment("s1", text="Changed.", revision=2)
    await store.conversations.apply([opened(), changed(newer)])
    await store.conversations.apply([opened("c2", "u2"), changed(segment("s1"), id="c2", uid="u2")])
    for uid, id in (("u1", "c1"), ("u1", "c2"), ("u1", "gone")):
        assert await store.translations.keep(uid, id, [translated(segment("s1"))]) == []
    assert await store.conversations.segments("u1", "c1") == [newer]
    assert (await store.conversations.segments("u2", "c2"))[0].translations == ()


async def test_a_translation_does_not_hold_up_a_later_change(store: Store) -> None:
    await store.conversations.apply([opened(), changed(segment("s1"))])
    await store.translations.keep("u1", "c1", [translated(segment("s1"))])
    await store.conversations.apply([changed(segment("s1", text="More.", revision=3))])
    (only,) = await store.conversations.segments("u1", "c1")
    assert (only.text, only.translations) == ("More.", ())
