"""Goals: their last value of each day is kept."""

import msgspec

from engine.store import Store
from engine.store.goals import ACTIVE_LIMIT, DAY, GoalDay
from engine.store.user_records import GoalRow

from .making import NOW


def goal(id: str = "g1", uid: str = "u1") -> GoalRow:
    return GoalRow(uid=uid, id=id, title="Walk", target_value=10, created_at=NOW, updated_at=NOW)


async def advance(store: Store, value: float, now: int) -> GoalRow | None:
    return await store.goals.progress("u1", "g1", {"current_value": value, "updated_at": now}, now)


async def test_the_last_value_of_a_day_counts(store: Store) -> None:
    await store.goals.put(goal())
    for value, now in ((1.0, NOW), (2.0, NOW + 1), (3.5, NOW + DAY)):
        changed = await advance(store, value, now)
        assert changed is not None
        assert changed.current_value == value
    today = NOW // DAY
    days = [
        GoalDay(day=today + 1, value=3.5, recorded_at=NOW + DAY),
        GoalDay(day=today, value=2.0, recorded_at=NOW + 1),
    ]
    assert await store.goals.history("u1", "g1", NOW) == days
    assert await store.goals.history("u1", "g1", NOW + DAY) == days[:1]
    assert await store.goals.history("u2", "g1", NOW) == []


async def test_a_goal_that_is_not_there_makes_no_progress(store: Store) -> None:
    assert await advance(store, 1.0, NOW) is None
    assert await store.goals.history("u1", "g1", 0) == []


async def test_a_goal_goes_with_its_history(store: Store) -> None:
    await store.goals.put(goal(), goal(uid="u2"))
    await advance(store, 1.0, NOW)
    assert await store.goals.remove("u1", "g1")
    assert not await store.goals.remove("u1", "g1")
    assert await store.goals.history("u1", "g1", 0) == []
    assert await store.goals.get("u2", "g1") == goal(uid="u2")


async def test_of_more_than_three_goals_the_oldest_are_active_no_more(store: Store) -> None:
    for n in range(ACTIVE_LIMIT + 2):
        await store.goals.add(msgspec.structs.replace(goal(f"g{n}"), created_at=NOW + n))
    await store.goals.add(goal("theirs", "u2"))
    assert [row.id for row in await store.goals.active("u1", limit=9)] == ["g4", "g3", "g2"]
    assert len(await store.goals.list("u1")) == ACTIVE_LIMIT + 2
    assert len(await store.goals.active("u2", limit=9)) == 1
