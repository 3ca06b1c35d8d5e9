"""Ids: drawn, or those of a request that is done again."""

from uuid import UUID

import pytest
import trio

from engine.ids import ids_of, new_id

SEED = "0123456789abcdef0123456789abcdef"


def some() -> list[str]:
    return [new_id() for _ in range(3)]


def test_ids_are_uuids_and_all_different() -> None:
    found = some() + some()
    assert len(set(found)) == 6
    assert all(str(UUID(id)) == id for id in found)


def test_with_a_seed_they_are_the_same_each_time_and_drawn_again_after_it() -> None:
    with ids_of(SEED):
        first = some()
    with ids_of(SEED):
        assert some() == first
        with ids_of(SEED[::-1]):
            assert not set(some()) & set(first)
        assert new_id() not in first
    assert not set(some()) & set(first)
    with pytest.raises(ValueError, match="badly formed"), ids_of("x"):
        pass


async def test_tasks_that_are_begun_within_draw_on() -> None:
    found: list[str] = []

    async def make() -> None:
        found.append(new_id())

    with ids_of(SEED):
        found.append(new_id())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(make)
    with ids_of(SEED):
        assert found == [new_id(), new_id()]
