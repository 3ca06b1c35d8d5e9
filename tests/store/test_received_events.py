"""Events are numbered by user, and the latest are kept."""

import trio

from engine.store import Store
from engine.store.received_events import MOST, MOST_BYTES


async def test_each_user_has_numbers_of_their_own(store: Store) -> None:
    await store.received_events.add({"ann": [b"1", b"2"], "bob": [b"3"]}, 0)
    await store.received_events.add({"ann": [b"4"]}, 0)
    found = await store.received_events.after("ann", 1)
    assert (list(found.bodies), found.last, found.missed) == ([b"2", b"4"], 3, 0)
    found = await store.received_events.after("bob", 0)
    assert (list(found.bodies), found.last, found.missed) == ([b"3"], 1, 0)
    found = await store.received_events.after("cid", 5)
    assert (list(found.bodies), found.last, found.missed) == ([], 0, 0)


async def test_the_latest_are_kept_so_many_and_so_much(store: Store) -> None:
    await store.received_events.add({"ann": [b"x"] * (2 * MOST)}, 0)
    found = await store.received_events.after("ann", 10)
    assert (len(found.bodies), found.last, found.missed) == (MOST, 2 * MOST, MOST - 10)
    large = bytes(MOST_BYTES // 2)
    await store.received_events.add({"ann": [large, large, large]}, 0)
    assert list((await store.received_events.after("ann", 0)).bodies) == [large, large]
    await store.received_events.add({"ann": [bytes(2 * MOST_BYTES)]}, 0)
    assert len((await store.received_events.after("ann", 0)).bodies) == 1


async def test_two_processes_that_add_at_once_lose_none(store: Store) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(store.received_events.add, {"ann": [b"%d" % number]}, 0)
    found = await store.received_events.after("ann", 0)
    assert sorted(found.bodies, key=int) == [b"%d" % number for number in range(20)]
    assert found.last == 20


async def test_old_ones_are_erased(store: Store) -> None:
    await store.received_events.add({"ann": [b"1"]}, 100)
    await store.received_events.add({"ann": [b"2"]}, 200)
    assert await store.received_events.expire(200) == 1
    assert list((await store.received_events.after("ann", 0)).bodies) == [b"2"]
