"""Apps that were registered: who sees them, who has enabled them, and what goes when one goes."""

import pytest

from engine.store import Store
from engine.store.app_registry import PAGE_LIMIT
from engine.store.app_reviews import AppReviewRow

from .making import NOW, Clock, app


def review(uid: str, app_id: str = "app1", **values: object) -> AppReviewRow:
    said = {"score": 4.0, "review": "Fine.", **values}
    return AppReviewRow(uid=uid, app_id=app_id, id=f"by-{uid}", rated_at=NOW, **said)  # type: ignore[arg-type]


async def names(store: Store, uid: str, **filter: object) -> list[str]:
    return [found.app.id for found in await store.app_registry.list(uid, **filter)]  # type: ignore[arg-type]


async def test_a_public_app_is_seen_by_all_and_a_private_one_by_its_owner(store: Store) -> None:
    await store.app_registry.add(app("open"), 10)
    await store.app_registry.add(app("own", private=True), 10)
    assert await names(store, "maker") == ["open", "own"]
    assert await names(store, "u1") == ["open"]
    assert await store.app_registry.get("u1", "own") is None
    assert await store.app_registry.owned("u1", "open") is None
    assert await store.app_registry.owned("maker", "open") == app("open")


async def test_a_user_registers_so_many_and_no_more(store: Store) -> None:
    assert await store.app_registry.add(app("a"), 1)
    assert not await store.app_registry.add(app("b"), 1)
    assert await store.app_registry.add(app("c", uid="another"), 1)


async def test_only_its_owner_changes_an_app(store: Store, clock: Clock) -> None:
    await store.app_registry.add(app(), 10)
    assert await store.app_registry.change("u1", "app1", {"name": "Mine"}) is None
    clock.now += 5
    changed = await store.app_registry.change("maker", "app1", {"name": "Ours", "scopes": ["user_name"]})
    assert changed == app(name="Ours", scopes=["user_name"], updated_at=NOW + 5)
    assert not await store.app_registry.remove("u1", "app1")


async def test_apps_are_found_by_what_they_are(store: Store) -> None:
    await store.app_registry.add(app("a", name="Whales", category="travel", capabilities=["chat"]), 10)
    await store.app_registry.add(app("b", description="About 100% of WHALES", capabilities=["memories"]), 10)
    await store.app_registry.add(app("c", uid="u1", capabilities=["chat_no"]), 10)
    await store.apps.enable("u1", "b")
    assert await names(store, "u1", text="whale") == ["b", "a"]
    assert await names(store, "u1", text="100%") == ["b"]
    assert await names(store, "u1", text="_") == []
    assert await names(store, "u1", category="travel") == ["a"]
    assert await names(store, "u1", capability="chat") == ["a"]
    assert await names(store, "u1", mine=True) == ["c"]
    assert await names(store, "u1", enabled=True) == ["b"]
    assert await store.app_registry.count("u1", text="whale") == 2
    assert await names(store, "u1", limit=1, offset=1) == ["c"]
    for limit in (0, PAGE_LIMIT + 1):
        with pytest.raises(ValueError, match="limit"):
            await store.app_registry.list("u1", limit=limit)


async def test_an_app_tells_how_many_have_it_and_what_is_thought_of_it(store: Store) -> None:
    await store.app_registry.add(app(), 10)
    found = await store.app_registry.get("u1", "app1")
    assert found is not None
    assert (found.enabled, found.installs, found.rating, found.ratings) == (False, 0, None, 0)
    for uid, score in (("u1", 5.0), ("u2", 2.0)):
        await store.apps.enable(uid, "app1")
        await store.app_reviews.put(review(uid, score=score))
    found = await store.app_registry.get("u1", "app1")
    assert found is not None
    assert (found.enabled, found.installs, found.rating, found.ratings) == (True, 2, 3.5, 2)


async def test_it_is_known_whether_anybody_has_enabled_an_app(store: Store) -> None:
    await store.app_registry.add(app(), 10)
    assert not await store.app_registry.any_enabled()
    await store.apps.enable("u1", app().id)
    assert await store.app_registry.any_enabled()


async def test_the_app_that_was_preferred_last_comes_first(store: Store, clock: Clock) -> None:
    for id in ("a", "b", "c"):
        await store.app_registry.add(app(id), 10)
        await store.apps.enable("u1", id)
        clock.now += 1
    assert [row.id for row in await store.app_registry.enabled("u1")] == ["a", "b", "c"]
    for id in ("b", "c"):
        assert await store.app_registry.prefer("u1", id)
        clock.now += 1
    assert [row.id for row in await store.app_registry.enabled("u1")] == ["c", "b", "a"]
    assert not await store.app_registry.prefer("u2", "a")


async def test_an_app_that_is_made_private_is_its_owners_alone_at_once(store: Store) -> None:
    await store.app_registry.add(app(), 10)
    for uid in ("u1", "maker"):
        await store.apps.enable(uid, "app1")
    await store.app_registry.change("maker", "app1", {"private": True})
    assert await store.app_registry.enabled("u1") == []
    assert await store.app_registry.enabled_one("u1", "app1") is None
    assert await store.apps.enabled("u1") == []
    assert not await store.apps.is_enabled("u1", "app1")
    assert not await store.apps.exists("app1", "u1")
    assert await store.apps.exists("app1", "maker")
    assert await store.apps.is_enabled("maker", "app1")
    assert await store.app_registry.enabled_one("maker", "app1") is not None


async def test_what_belongs_to_an_app_goes_with_it(store: Store) -> None:
    await store.app_registry.add(app(), 10)
    await store.app_registry.give_image("maker", "app1", b"first")
    await store.app_registry.give_image("maker", "app1", b"picture")
    assert await store.app_registry.image("", "app1") == b"picture"
    key = await store.apps.create_key("app1", "maker")
    await store.apps.enable("u1", "app1")
    await store.app_reviews.put(review("u1"))
    assert await store.app_registry.remove("maker", "app1")
    assert await store.app_registry.image("maker", "app1") is None
    assert not await store.apps.verify("app1", key)
    assert not await store.apps.exists("app1")
    assert await store.apps.enabled("u1") == []
    assert await store.app_reviews.of("app1") == []
    assert not await store.app_registry.drop("app1")


async def test_the_operator_sees_and_removes_all(store: Store) -> None:
    await store.app_registry.add(app("b", private=True), 10)
    await store.app_registry.add(app("a", uid="another"), 10)
    assert [row.id for row in await store.app_registry.all()] == ["a", "b"]
    assert await store.app_registry.get_any("b") is not None
    assert await store.app_registry.drop("b")
    assert await store.app_registry.get_any("b") is None


async def test_an_app_that_is_known_by_its_key_alone_stays_what_it_was(store: Store) -> None:
    await store.apps.create_key("notes", "maker")
    assert await store.apps.exists("notes", "u1")
    await store.apps.enable("u1", "notes")
    assert await store.apps.enabled("u1") == ["notes"]
    assert await store.app_registry.enabled("u1") == []
    (key,) = await store.apps.list_keys("notes")
    await store.apps.revoke_key(key.id)
    assert await store.apps.enabled("u1") == []
