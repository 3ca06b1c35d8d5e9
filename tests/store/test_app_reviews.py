"""What users say of apps."""

import pytest

from engine.store import Store
from engine.store.app_reviews import PAGE_LIMIT, AppReviewRow

from .making import NOW


def review(uid: str, **values: object) -> AppReviewRow:
    said = {"app_id": "notes", "id": f"by-{uid}", "score": 4.0, "rated_at": NOW, **values}
    return AppReviewRow(uid=uid, **said)  # type: ignore[arg-type]


async def test_each_user_has_one_review_which_keeps_its_id_and_its_answer(store: Store) -> None:
    await store.app_reviews.put(review("u1", review="Good."))
    assert await store.app_reviews.reply("notes", "by-u1", "Thanks.", NOW + 1)
    await store.app_reviews.put(review("u1", id="other", score=2.5, review="Not so good.", rated_at=NOW + 2))
    (kept,) = await store.app_reviews.of("notes")
    assert kept == review(
        "u1", score=2.5, review="Not so good.", response="Thanks.", rated_at=NOW + 2, responded_at=NOW + 1
    )
    assert await store.app_reviews.own("u1", "notes") == kept
    assert await store.app_reviews.own("u2", "notes") is None


async def test_only_who_wrote_a_review_changes_it(store: Store) -> None:
    await store.app_reviews.put(review("u1", review="Good."))
    assert not await store.app_reviews.change("u2", "notes", {"review": "Bad."})
    assert await store.app_reviews.change("u1", "notes", {"review": "Fine.", "updated_at": NOW + 1})
    assert await store.app_reviews.own("u1", "notes") == review("u1", review="Fine.", updated_at=NOW + 1)


async def test_reviews_are_read_in_pages_the_newest_first(store: Store) -> None:
    for number in range(3):
        await store.app_reviews.put(review(f"u{number}", rated_at=NOW + number))
    await store.app_reviews.put(review("u0", app_id="other"))
    assert [row.uid for row in await store.app_reviews.of("notes")] == ["u2", "u1", "u0"]
    assert [row.uid for row in await store.app_reviews.of("notes", limit=1, offset=1)] == ["u1"]
    with pytest.raises(ValueError, match="limit"):
        await store.app_reviews.of("notes", limit=PAGE_LIMIT + 1)


async def test_a_review_is_answered_by_its_id_and_its_app(store: Store) -> None:
    await store.app_reviews.put(review("u1"))
    assert not await store.app_reviews.reply("other", "by-u1", "Hm.", NOW)
    assert not await store.app_reviews.reply("notes", "u1", "Hm.", NOW)
