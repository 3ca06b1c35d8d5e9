"""One owner at a time, whoever asks and whenever."""

from pathlib import Path

import trio

from engine.store import Store
from engine.store.leases import Lease

from .making import NOW, Clock

SECOND = 1_000_000


async def test_the_first_who_asks_gets_it_and_the_second_learns_who_has_it(store: Store) -> None:
    mine = await store.leases.claim("uid:ada", "one", 10)
    assert (mine.owner, mine.expires_at) == ("one", NOW + 10 * SECOND)
    assert await store.leases.claim("uid:ada", "two", 10) == mine
    assert await store.leases.holder("uid:ada") == mine
    assert (await store.leases.claim("uid:bob", "two", 10)).owner == "two"


async def test_many_are_claimed_at_once_but_for_those_that_others_have(store: Store) -> None:
    theirs = await store.leases.claim("b", "one", 10)
    claimed = await store.leases.claim_all(["a", "b", "c"], "two", 10)
    assert [(lease.name, lease.owner) for lease in claimed] == [("a", "two"), ("b", "one"), ("c", "two")]
    assert claimed[1] == theirs
    assert await store.leases.claim_all([], "two", 10) == []


async def test_claiming_again_extends_it_under_the_same_token(store: Store, clock: Clock) -> None:
    first = await store.leases.claim("n", "one", 10)
    clock.now += 5 * SECOND
    again = await store.leases.claim("n", "one", 10)
    assert again.token == first.token
    assert again.expires_at == first.expires_at + 5 * SECOND


async def test_one_that_has_run_out_is_anybodys_under_a_higher_token(store: Store, clock: Clock) -> None:
    first = await store.leases.claim("n", "one", 10)
    clock.now += 10 * SECOND
    assert await store.leases.holder("n") is None
    second = await store.leases.claim("n", "two", 10)
    assert second.owner == "two"
    assert second.token > first.token
    assert not await store.leases.holds(first, 10), "who was too slow is told apart"
    assert await store.leases.holds(second, 10)


async def test_one_that_has_run_out_and_was_not_taken_is_still_held(store: Store, clock: Clock) -> None:
    lease = await store.leases.claim("n", "one", 10)
    clock.now += 60 * SECOND
    assert await store.leases.holds(lease, 10)
    assert (await store.leases.claim("n", "two", 10)).owner == "one"


async def test_renewing_extends_all_of_an_owner_and_says_which_are_left(store: Store, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        await store.leases.claim(name, "one", 10)
    clock.now += 10 * SECOND
    await store.leases.claim("b", "two", 10)
    assert await store.leases.renew("one", 10) == {"a", "c"}
    clock.now += 9 * SECOND
    assert (await store.leases.claim("a", "two", 10)).owner == "one"


async def test_a_lease_is_given_away_by_its_holder_only(store: Store) -> None:
    mine = await store.leases.claim("n", "one", 10)
    given = await store.leases.give(mine, "two", 10)
    assert given is not None
    assert (given.owner, given.token > mine.token) == ("two", True)
    assert await store.leases.give(mine, "three", 10) is None
    await store.leases.release(mine)
    assert await store.leases.holder("n") == given


async def test_a_released_one_is_free_and_tokens_still_grow(store: Store, clock: Clock) -> None:
    first = await store.leases.claim("n", "one", 10)
    await store.leases.release(first)
    assert await store.leases.holder("n") is None
    clock.now += SECOND
    assert (await store.leases.claim("n", "two", 10)).token > first.token


async def test_what_the_dead_held_is_seized_and_what_others_hold_is_not(store: Store) -> None:
    for name, owner in (("a", "dead"), ("b", "dead"), ("c", "alive")):
        await store.leases.claim(name, owner, 10)
    seized = await store.leases.seize("heir", 10, dead=["dead"])
    assert {(lease.name, lease.owner) for lease in seized} == {("a", "heir"), ("b", "heir")}
    assert (await store.leases.claim("c", "heir", 10)).owner == "alive"
    assert {lease.name for lease in await store.leases.seize("last", 10)} == {"a", "b", "c"}


async def test_of_several_processes_that_want_one_name_at_once_one_gets_it(
    tmp_path: Path,
) -> None:
    owners = 8
    stores = [await Store.open(tmp_path, trio.to_thread.run_sync, busy_timeout=30) for _ in range(owners)]
    answers: list[Lease] = []

    async def want(store: Store, owner: str) -> None:
        answers.append(await store.leases.claim("n", owner, 60))

    async with trio.open_nursery() as nursery:
        for number, store in enumerate(stores):
            nursery.start_soon(want, store, f"owner-{number}")
    assert len(answers) == owners
    assert len(set(answers)) == 1, "all were told the same"
    for store in stores:
        await store.close()
