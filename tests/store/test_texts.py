"""Full text search over both databases."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

import engine.store.texts as texts_module
from engine.store import Store
from engine.store.database import DATABASE_FILE
from engine.store.owned import put_rows
from engine.store.tables import action_items, conversations, texts
from engine.store.texts import TEXT_LIMIT, TextFilter, drop_texts, words_of
from engine.store.user_records import ActionItemRow

from .conftest import on_sqlite
from .making import NOW, changed, opened, segment


async def keep(store: Store, id: str, *said: str, uid: str = "u1", **fields: Any) -> None:
    spoken = [segment(f"{id}-{n}", text=text, start=float(n)) for n, text in enumerate(said)]
    await store.conversations.apply(
        [opened(id, uid, status="completed", **fields), changed(*spoken, id=id, uid=uid)]
    )
    await store.texts.index(uid, id)


async def found(store: Store, query: str, uid: str = "u1", **how: Any) -> list[str]:
    return [hit.id for hit in await store.texts.search(uid, words_of(query), **how)]


async def test_all_words_must_be_there_in_whatever_order_and_form(store: Store) -> None:
    await keep(store, "c1", "The boats are at the harbour.", "Marta repairs one.")
    await keep(store, "c2", "The harbour is closed.")
    assert await found(store, "HARBOUR boat") == ["c1"]
    assert await found(store, "repair, marta!") == ["c1"]
    assert sorted(await found(store, "harbour")) == ["c1", "c2"]
    assert await found(store, "harbour submarine") == []
    assert await found(store, "submarine marta", every=False) == ["c1"]
    assert await found(store, "") == []


async def test_what_speaks_more_of_it_comes_first(store: Store) -> None:
    await keep(store, "c1", "We went to the zoo, then home, then to bed, and there was a lion somewhere.")
    await keep(store, "c2", "A lion and a lion.")
    assert await found(store, "lion") == ["c2", "c1"]


async def test_words_that_are_in_very_many_tell_nothing_and_the_newest_come_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_module, "RANKED", 2)
    for number, said in enumerate(
        ("A lion and a lion.", "A lion at last.", "A lion, and then a lion, a lion.")
    ):
        await keep(store, f"c{number}", said, created_at=NOW + number)
        hits = await store.texts.search("u1", ["lion"])
        assert all(hit.score > 0 for hit in hits) == (number < 2)
    assert [hit.id for hit in hits] == ["c2", "c1", "c0"]


async def test_title_overview_events_and_action_items_are_found(store: Store) -> None:
    structured = {
        "title": "Regatta",
        "overview": "About sails.",
        "events": [{"title": "Christening", "description": "with champagne"}],
    }
    await keep(store, "c1", "Hello.", structured=structured, external_data={"text": "A letter."})
    item = ActionItemRow(
        uid="u1", id="i1", conversation_id="c1", description="Buy varnish", created_at=NOW, updated_at=NOW
    )
    await store._database.write(put_rows, action_items, [item])
    await store.texts.index("u1", "c1")
    for word in ("regatta", "sails", "christening", "champagne", "varnish", "hello", "letter"):
        assert await found(store, word) == ["c1"], word


async def test_what_changed_is_found_by_its_new_words_alone(store: Store) -> None:
    await keep(store, "c1", "The harbour.")
    await store.conversations.apply([changed(segment("c1-0", text="The airport.", revision=2))])
    await store.texts.index("u1", "c1")
    assert await found(store, "harbour") == []
    assert await found(store, "airport") == ["c1"]
    await store._database.write(drop_texts, "u1", ["c1"])
    assert await found(store, "airport") == []


async def test_nobody_finds_what_is_somebody_elses(store: Store) -> None:
    await keep(store, "c1", "The harbour.")
    await keep(store, "c1", "The harbour at night.", uid="u2")
    await keep(store, "c2", "The harbour by day.", uid="U2")
    assert await found(store, "harbour") == ["c1"]
    assert await found(store, "night", uid="u1") == []
    assert await found(store, "night", uid="u2") == ["c1"]
    assert await found(store, "harbour", uid="U2") == ["c2"]


async def test_what_is_hidden_or_locked_is_not_found_and_time_bounds_are_inclusive(store: Store) -> None:
    await keep(store, "c1", "A harbour.", created_at=NOW - 2)
    await keep(store, "c2", "A harbour.", created_at=NOW - 1, discarded=True)
    await keep(store, "c3", "A harbour.", is_locked=True)
    await keep(store, "c4", "A harbour.", deleted_at=NOW)
    assert sorted(await found(store, "harbour")) == ["c1", "c2"]
    for filter, expected in (
        (TextFilter(include_discarded=False), ["c1"]),
        (TextFilter(start=NOW - 1), ["c2"]),
        (TextFilter(end=NOW - 2), ["c1"]),
        (TextFilter(start=NOW), []),
    ):
        assert await found(store, "harbour", filter=filter) == expected


async def test_of_more_than_the_limit_the_newest_are_ranked(store: Store) -> None:
    for number in range(4):
        await keep(store, f"c{number}", "A harbour.", created_at=NOW + number)
    assert sorted(await found(store, "harbour", limit=2)) == ["c2", "c3"]
    with pytest.raises(ValueError, match="limit: 1001 given, 1 to 1000 accepted"):
        await found(store, "harbour", limit=1001)


async def test_a_very_long_conversation_is_indexed_as_far_as_the_databases_go(store: Store) -> None:
    words = " ".join(f"w{number:06}" for number in range(2 * TEXT_LIMIT // 8))
    await keep(store, "c1", words)
    assert await found(store, "w000001") == ["c1"]
    assert await found(store, f"w{2 * TEXT_LIMIT // 8 - 1:06}") == []


async def test_with_its_row_the_words_of_a_conversation_are_gone(store: Store) -> None:
    await keep(store, "c1", "A harbour.")
    await keep(store, "c2", "A harbour.")
    await store._database.write(
        lambda connection: connection.execute(delete(texts).where(texts.c.id == "c1"))
    )
    assert await found(store, "harbour") == ["c2"]


@given(st.text(max_size=40))
def test_words_have_no_character_that_a_search_could_take_for_syntax(query: str) -> None:
    assert all(word.isalnum() for word in words_of(query))


@on_sqlite
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(
    query=st.text(max_size=60)
    | st.sampled_from(["AND", 'a" OR "b', "words:a", "^a*", "NEAR(a b)", "-", "🙂 ⅷ ²"])
)
def test_nothing_that_is_typed_makes_a_search_fail(tmp_path: Path, query: str, database_url: str) -> None:
    async def search() -> None:
        store = await Store.open(tmp_path, trio.to_thread.run_sync)
        for every in (True, False):
            assert await found(store, query, every=every) == []
        await store.close()

    trio.run(search)


async def test_strange_queries_find_nothing_and_raise_nothing(store: Store) -> None:
    await keep(store, "c1", "A harbour.")
    for query in ("AND OR NOT", 'harb" OR "x', "owner:u1", "*", "((", "' & | !", "🙂", "\\", "a" * 5000):
        for every in (True, False):
            assert await found(store, query, every=every) == [], query


@on_sqlite
async def test_numbers_of_the_index_are_not_used_twice(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        await keep(store, f"c{number}", "A harbour.")
        await store.texts.index("u1", f"c{number}")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / DATABASE_FILE}")
    with engine.connect() as connection:
        assert sorted(connection.execute(sqlalchemy.select(texts.c.number)).scalars()) == [1, 2, 3]
        assert (
            connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(conversations)).scalar()
            == 3
        )
