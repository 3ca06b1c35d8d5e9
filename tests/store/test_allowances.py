"""How often somebody may do something is counted for all processes together."""

import trio

from engine.moments import SECOND
from engine.store import Store
from engine.store.allowances import Allowances


async def test_so_many_at_once_and_then_one_after_the_other(store: Store) -> None:
    now = 1_000 * SECOND
    allowances = Allowances(store._database, lambda: now)
    assert [await allowances.take("ann", "say", 3, 60) for _ in range(3)] == [0, 0, 0]
    assert await allowances.take("ann", "say", 3, 60) == 20
    assert await allowances.take("ann", "ask", 3, 60) == 0
    assert await allowances.take("bob", "say", 3, 60) == 0
    now += 20 * SECOND
    assert await allowances.take("ann", "say", 3, 60) == 0
    assert await allowances.take("ann", "say", 3, 60) == 20
    now += 60 * SECOND
    assert [await allowances.take("ann", "say", 3, 60) for _ in range(4)] == [0, 0, 0, 20]


async def test_of_many_at_the_same_moment_each_is_counted(store: Store) -> None:
    allowances = Allowances(store._database, lambda: 1_000 * SECOND)
    waits: list[float] = []

    async def take() -> None:
        waits.append(await allowances.take("ann", "say", 5, 60))

    async with trio.open_nursery() as nursery:
        for _ in range(12):
            nursery.start_soon(take)
    assert sorted(waits) == [0] * 5 + [12] * 7
