"""Jobs: claimed by one, ended once, due again when their owner died."""

from pathlib import Path
from typing import Any

import pytest
import trio
from sqlalchemy import Connection

from engine.store import Job, Store
from engine.store.jobs import ERROR_CHARACTERS, add, finish

from .making import NOW, Clock

SECOND = 1_000_000
KIND = ("process",)


async def claim(store: Store, owner: str = "one", limit: int = 10, **more: Any) -> list[Job]:
    return await store.jobs.claim(owner, more.get("kinds", KIND), 60, limit)


async def one_claimed(store: Store, owner: str = "one") -> Job:
    (job,) = await claim(store, owner)
    return job


async def test_a_job_is_claimed_as_it_was_added_and_gone_when_done(store: Store) -> None:
    assert await store.jobs.add("u1", "process", "c1", {"version": 1, "text": "Größe"})
    job = await one_claimed(store)
    assert job == Job(
        uid="u1",
        kind="process",
        key="c1",
        payload={"version": 1, "text": "Größe"},
        created_at=NOW,
        due_at=NOW + 60 * SECOND,
        attempts=1,
        owner="one",
    )
    assert await store.jobs.find("u1", "process", "c1") == job
    assert await store.jobs.done(job)
    assert await store.jobs.find("u1", "process", "c1") is None
    assert not await store.jobs.done(job)


async def test_a_job_that_is_let_go_is_anothers_at_once(store: Store) -> None:
    await store.jobs.add("u1", "process", "c1")
    mine = await one_claimed(store)
    assert await store.jobs.release(mine)
    theirs = await one_claimed(store, "two")
    assert (theirs.attempts, theirs.failures) == (2, 0)
    assert not await store.jobs.release(mine)
    assert await store.jobs.done(theirs)


async def test_what_waits_and_what_has_failed_is_counted(store: Store) -> None:
    for key in ("c1", "c2", "c3"):
        await store.jobs.add("u1", "process", key)
    (job,) = await claim(store, limit=1)
    await store.jobs.failed(job, "no such model")
    assert await store.jobs.counts(KIND) == (2, 1)
    assert await store.jobs.counts(["erase"]) == (0, 0)


async def test_adding_one_that_is_there_changes_nothing(store: Store) -> None:
    assert await store.jobs.add("u1", "process", "c1", {"n": 1})
    assert not await store.jobs.add("u1", "process", "c1", {"n": 2})
    assert await store.jobs.add("u2", "process", "c1", {"n": 3})
    assert await store.jobs.add("u1", "other", "c1", {"n": 4})
    assert {(job.uid, job.payload["n"]) for job in await claim(store)} == {("u1", 1), ("u2", 3)}


async def test_what_waited_longest_comes_first_and_what_is_not_due_not_at_all(
    store: Store, clock: Clock
) -> None:
    for key, delay in (("late", 9.0), ("second", 2.0), ("first", 1.0), ("third", 2.5)):
        await store.jobs.add("u1", "process", key, delay=delay)
    assert await store.jobs.next_due(KIND) == NOW + SECOND
    assert await claim(store) == []
    clock.now += 5 * SECOND
    assert [job.key for job in await claim(store, limit=2)] == ["first", "second"]
    assert [job.key for job in await claim(store)] == ["third"]
    assert await store.jobs.next_due(("other",)) is None


async def test_a_job_whose_owner_died_is_due_again_and_the_dead_one_can_do_no_more(
    store: Store, clock: Clock
) -> None:
    await store.jobs.add("u1", "process", "c1")
    dead = await one_claimed(store, "dead")
    assert await claim(store, "next") == []
    clock.now += 60 * SECOND
    again = await one_claimed(store, "next")
    assert (again.attempts, again.failures) == (2, 0)
    for late in (
        store.jobs.renew(dead, 60),
        store.jobs.done(dead),
        store.jobs.retry(dead, "x", 0),
        store.jobs.failed(dead, "x"),
    ):
        assert not await late
    assert await store.jobs.find("u1", "process", "c1") == again


async def test_the_same_owner_knows_an_earlier_claim_of_its_own_as_lost(store: Store, clock: Clock) -> None:
    await store.jobs.add("u1", "process", "c1")
    before = await one_claimed(store)
    clock.now += 60 * SECOND
    await one_claimed(store)
    assert not await store.jobs.done(before)


async def test_a_claim_is_kept_by_renewing_it(store: Store, clock: Clock) -> None:
    await store.jobs.add("u1", "process", "c1")
    job = await one_claimed(store)
    clock.now += 50 * SECOND
    assert await store.jobs.renew(job, 60)
    clock.now += 50 * SECOND
    assert await claim(store, "other") == []
    assert await store.jobs.done(job)


async def test_what_did_not_work_is_tried_again_later_with_its_error_kept(store: Store, clock: Clock) -> None:
    await store.jobs.add("u1", "process", "c1")
    assert await store.jobs.retry(await one_claimed(store), "e" * 1000, 30)
    waiting = await store.jobs.find("u1", "process", "c1")
    assert waiting is not None
    assert (waiting.owner, waiting.failures, waiting.error) == (None, 1, "e" * ERROR_CHARACTERS)
    assert await claim(store) == []
    clock.now += 30 * SECOND
    job = await one_claimed(store)
    assert (job.attempts, job.failures) == (2, 1)


async def test_what_failed_for_good_waits_to_be_revived_or_discarded(store: Store, clock: Clock) -> None:
    for uid, key in (("u1", "a"), ("u1", "b"), ("u2", "c")):
        await store.jobs.add(uid, "process", key)
        clock.now += SECOND
        assert await store.jobs.failed(await one_claimed(store), f"no {key}")
    assert [job.key for job in await store.jobs.list_failed()] == ["c", "b", "a"]
    assert [job.error for job in await store.jobs.list_failed("u1", limit=1)] == ["no b"]
    assert await store.jobs.next_due(KIND) is None
    clock.now += 3600 * SECOND
    assert await claim(store) == []
    assert await store.jobs.revive("u1", "process", "a")
    assert not await store.jobs.revive("u1", "process", "a")
    job = await one_claimed(store)
    assert (job.key, job.failures, job.failed_at) == ("a", 0, None)
    assert await store.jobs.discard("u1", "process", "b")
    assert not await store.jobs.discard("u1", "process", "b")
    assert [job.key for job in await store.jobs.list_failed()] == ["c"]


async def test_a_discarded_job_is_lost_to_who_works_on_it(store: Store) -> None:
    await store.jobs.add("u1", "process", "c1")
    job = await one_claimed(store)
    await store.jobs.discard("u1", "process", "c1")
    assert not await store.jobs.done(job)


class TooLate(Exception):
    pass


@pytest.mark.parametrize("late", [False, True])
async def test_a_result_and_the_end_of_its_job_are_one_commit(store: Store, clock: Clock, late: bool) -> None:
    await store.jobs.add("u1", "process", "c1")
    job = await one_claimed(store)
    if late:
        clock.now += 60 * SECOND
        await one_claimed(store, "other")

    def result(connection: Connection) -> None:
        add(connection, Job(uid="u1", kind="result", key="c1", created_at=NOW, due_at=NOW))
        if not finish(connection, job):
            raise TooLate

    if late:
        with pytest.raises(TooLate):
            await store._database.write(result)
    else:
        await store._database.write(result)
    assert (await store.jobs.find("u1", "result", "c1") is None) is late
    assert (await store.jobs.find("u1", "process", "c1") is None) is not late


async def test_many_claimants_get_each_job_once(store: Store, tmp_path: Path, database_url: str) -> None:
    for n in range(60):
        await store.jobs.add("u1", "process", f"c{n}")
    others = [
        await Store.open(tmp_path, trio.to_thread.run_sync, url=database_url, busy_timeout=30, now=store.now)
        for _ in range(3)
    ]
    got: list[str] = []

    async def work(place: Store, owner: str) -> None:
        while found := await claim(place, owner, limit=3):
            for job in found:
                got.append(job.key)
                assert await place.jobs.done(job)

    async with trio.open_nursery() as nursery:
        for number, place in enumerate((store, *others)):
            nursery.start_soon(work, place, f"owner-{number}")
    assert sorted(got) == sorted(f"c{n}" for n in range(60))
    for place in others:
        await place.close()
