"""Deliveries: kept once, held by one, sent in order where order counts, never gone without a reason."""

from functools import partial
from typing import Any

import msgspec
import pytest
import trio

from engine.store import Store
from engine.store.deliveries import Claiming, DeliveryFilter, Result, Step
from engine.store.webhook_records import DeliveryRow

from .making import NOW, Clock

SECOND = 1_000_000
ORDERED = frozenset(("audio_bytes", "realtime_transcript"))


def delivery(id: str = "m1", **changes: Any) -> DeliveryRow:
    values: dict[str, Any] = {
        "uid": "ada",
        "id": id,
        "endpoint": "developer",
        "trigger": "memory_created",
        "body": b"{}",
        "size": 2,
        "created_at": NOW,
        "due_at": NOW,
    }
    return DeliveryRow(**(values | changes))


def claiming(clock: Clock, owner: str = "one", **changes: Any) -> Claiming:
    values: dict[str, Any] = {
        "owner": owner,
        "now": clock.now,
        "until": clock.now + 60 * SECOND,
        "ordered": ORDERED,
        "room": 4,
        "threshold": 5,
    }
    return Claiming(**(values | changes))


async def claim(store: Store, clock: Clock, owner: str = "one", **changes: Any) -> list[Step]:
    return await store.deliveries.claim(claiming(clock, owner, **changes), 10)


async def one_claimed(store: Store, clock: Clock, owner: str = "one", **changes: Any) -> Step:
    (step,) = await claim(store, clock, owner, **changes)
    return step


def delivered(id: str, **values: Any) -> Result:
    return Result(
        id=id,
        delivery={"state": "delivered", "due_at": None, "ended_at": NOW, "attempts": 1, "status": 200},
        counts={"requests": 1, "bytes": 2, "delivered": 1},
        values=values,
        settings_at=NOW,
    )


def failed(id: str, due_at: int, **values: Any) -> Result:
    return Result(
        id=id,
        delivery={
            "state": "pending",
            "due_at": due_at,
            "attempts": 1,
            "status": 500,
            "reason": "answered 500",
        },
        counts={"requests": 1, "bytes": 2},
        values=values,
        settings_at=NOW,
    )


def ids(step: Step) -> list[str]:
    return [row.id for row in step.due]


async def test_a_delivery_is_kept_once_and_claimed_as_it_was_offered(store: Store, clock: Clock) -> None:
    offered = delivery(query={"uid": "ada"}, body='{"text":"Größe"}'.encode(), expires_at=NOW + 5)
    assert (await store.deliveries.offer(offered)).new == 1
    assert (await store.deliveries.offer(offered)).new == 0
    step = await one_claimed(store, clock)
    assert step.due == (msgspec.structs.replace(offered, sequence=1),)
    assert (step.held, step.endpoint.name, step.endpoint.trigger) == (True, "developer", "memory_created")


async def test_an_endpoint_has_one_holder_until_the_claim_runs_out(store: Store, clock: Clock) -> None:
    await store.deliveries.offer(delivery())
    await one_claimed(store, clock)
    assert await claim(store, clock, "two") == []
    assert await store.deliveries.next_due() == NOW + 60 * SECOND
    clock.now += 60 * SECOND
    assert ids(await one_claimed(store, clock, "two")) == ["m1"]


async def test_a_stopping_process_lets_go_at_once(store: Store, clock: Clock) -> None:
    await store.deliveries.offer(delivery())
    await one_claimed(store, clock)
    await store.deliveries.release("one")
    assert await store.deliveries.next_due() == NOW
    assert ids(await one_claimed(store, clock, "two")) == ["m1"]


async def test_what_was_sent_is_written_down_and_the_endpoint_let_go_of(store: Store, clock: Clock) -> None:
    await store.deliveries.offer(delivery())
    step = await one_claimed(store, clock)
    step = await store.deliveries.step(claiming(clock), step.endpoint, [delivered("m1", last_status=200)], ())
    assert (step.held, step.due, step.next_at) == (False, (), None)
    row = await store.deliveries.get("ada", "m1")
    assert row is not None
    assert (row.state, row.status, row.attempts, row.due_at) == ("delivered", 200, 1, None)
    endpoint = await store.webhooks.get("ada", "developer", "memory_created")
    assert endpoint is not None
    assert (endpoint.requests, endpoint.bytes, endpoint.delivered, endpoint.last_status) == (1, 2, 1, 200)
    assert (endpoint.owner, endpoint.claimed_until, endpoint.due_at) == (None, None, None)
    assert await store.deliveries.next_due() is None


async def test_a_slow_holders_result_counts_though_another_holds_the_endpoint(
    store: Store, clock: Clock
) -> None:
    await store.deliveries.offer(delivery())
    slow = await one_claimed(store, clock)
    clock.now += 61 * SECOND
    quick = await one_claimed(store, clock, "two")
    step = await store.deliveries.step(claiming(clock), slow.endpoint, [delivered("m1")], ())
    assert not step.held
    step = await store.deliveries.step(claiming(clock, "two"), quick.endpoint, [delivered("m1")], ())
    endpoint = await store.webhooks.get("ada", "developer", "memory_created")
    assert endpoint is not None
    assert (endpoint.requests, endpoint.delivered) == (2, 1)


async def test_of_an_ordered_endpoint_only_the_first_is_sent_also_while_it_waits(
    store: Store, clock: Clock
) -> None:
    rows = [delivery(f"a{n}", trigger="audio_bytes", body=None, file=f"{n}") for n in range(3)]
    await store.deliveries.offer(*rows)
    step = await one_claimed(store, clock)
    assert ids(step) == ["a0"]
    later = NOW + 5 * SECOND
    step = await store.deliveries.step(claiming(clock), step.endpoint, [failed("a0", later)], ())
    assert (ids(step), step.next_at, step.held) == ([], later, False)
    clock.now = later
    step = await one_claimed(store, clock)
    assert ids(step) == ["a0"]
    step = await store.deliveries.step(claiming(clock), step.endpoint, [delivered("a0")], ())
    assert ids(step) == ["a1"]


async def test_what_comes_behind_one_that_waits_is_nothing_to_look_after_unless_it_becomes_too_old_before(
    store: Store, clock: Clock
) -> None:
    first, second, brief = (
        delivery(f"a{n}", trigger="audio_bytes", body=None, file=f"{n}") for n in range(3)
    )
    assert (await store.deliveries.offer(first)).now
    step = await one_claimed(store, clock)
    later = NOW + 40 * SECOND
    await store.deliveries.step(claiming(clock), step.endpoint, [failed("a0", later)], ())
    assert not (await store.deliveries.offer(second)).now
    assert await store.deliveries.next_due() == later
    soon = NOW + 10 * SECOND
    assert not (await store.deliveries.offer(msgspec.structs.replace(brief, expires_at=soon))).now
    assert await store.deliveries.next_due() == soon


async def test_others_are_sent_several_at_once_and_overtake(store: Store, clock: Clock) -> None:
    await store.deliveries.offer(*(delivery(f"m{n}") for n in range(6)))
    step = await one_claimed(store, clock)
    assert ids(step) == ["m0", "m1", "m2", "m3"]
    busy = {"m0", "m2", "m3"}
    step = await store.deliveries.step(claiming(clock), step.endpoint, [failed("m1", NOW + SECOND)], busy)
    assert ids(step) == ["m4"]


async def test_a_failing_endpoint_is_sent_one_at_a_time(store: Store, clock: Clock) -> None:
    await store.deliveries.offer(*(delivery(f"m{n}") for n in range(3)))
    step = await one_claimed(store, clock)
    results = [failed(f"m{n}", NOW + SECOND, failures=5) for n in range(3)]
    await store.deliveries.step(claiming(clock), step.endpoint, results, ())
    clock.now += SECOND
    assert len((await one_claimed(store, clock)).due) == 1


async def test_nothing_is_sent_before_a_pause_is_over_and_new_deliveries_do_not_end_it(
    store: Store, clock: Clock
) -> None:
    await store.deliveries.offer(delivery())
    step = await one_claimed(store, clock)
    until = NOW + 30 * SECOND
    result = failed("m1", NOW + SECOND, paused_until=until)
    step = await store.deliveries.step(claiming(clock), step.endpoint, [result], ())
    assert step.next_at == until
    await store.deliveries.offer(delivery("m2"))
    assert await store.deliveries.next_due() == until
    clock.now += 29 * SECOND
    assert await claim(store, clock) == []
    clock.now += SECOND
    assert ids(await one_claimed(store, clock)) == ["m2", "m1"]


async def test_what_became_too_old_is_dropped_and_counted_also_during_a_pause(
    store: Store, clock: Clock
) -> None:
    old = delivery("a1", trigger="audio_bytes", body=None, file="one", expires_at=NOW + 10 * SECOND)
    await store.deliveries.offer(old)
    step = await one_claimed(store, clock)
    result = failed(
        "a1", NOW + SECOND, paused_until=NOW + 3600 * SECOND, failures=5, last_reason="answered 500"
    )
    step = await store.deliveries.step(claiming(clock), step.endpoint, [result], ())
    assert step.next_at is not None
    assert 0 <= step.next_at - NOW - 10 * SECOND <= 20 * SECOND
    clock.now = step.next_at
    step = await one_claimed(store, clock)
    assert [row.file for row in step.dropped] == ["one"]
    row = await store.deliveries.get("ada", "a1")
    endpoint = await store.webhooks.get("ada", "developer", "audio_bytes")
    assert row is not None
    assert endpoint is not None
    assert (row.state, row.reason, endpoint.dropped) == ("dropped", "it became too old: answered 500", 1)


async def test_what_waits_for_an_endpoint_that_is_off_is_dead_with_the_reason(
    store: Store, clock: Clock
) -> None:
    await store.deliveries.offer(delivery("m1"), delivery("m2"))
    step = await one_claimed(store, clock)
    off = failed("m1", NOW + SECOND, disabled_at=NOW, disabled_reason="it answered 410: it is gone for good")
    step = await store.deliveries.step(claiming(clock), step.endpoint, [off], ())
    assert {row.id for row in step.dropped} == {"m1", "m2"}
    row = await store.deliveries.get("ada", "m2")
    assert row is not None
    assert (row.state, row.reason) == ("dead", "the endpoint is off: it answered 410: it is gone for good")


async def test_an_owner_who_changes_the_endpoint_meanwhile_is_not_overruled(
    store: Store, clock: Clock
) -> None:
    await store.webhooks.set_url("ada", "developer", "memory_created", "https://a.example/", None)
    await store.deliveries.offer(delivery())
    step = await one_claimed(store, clock)
    clock.now += 1
    await store.webhooks.set_url("ada", "developer", "memory_created", "https://b.example/", None)
    off = failed("m1", NOW + SECOND, disabled_at=NOW, disabled_reason="gone", failures=9)
    await store.deliveries.step(claiming(clock), step.endpoint, [off], ())
    endpoint = await store.webhooks.get("ada", "developer", "memory_created")
    assert endpoint is not None
    assert (endpoint.disabled_at, endpoint.failures, endpoint.requests) == (None, 0, 1)


async def test_turning_an_endpoint_off_makes_what_waits_due_to_be_given_up(
    store: Store, clock: Clock
) -> None:
    await store.deliveries.offer(delivery(due_at=NOW + 3600 * SECOND))
    step = await one_claimed(store, clock)
    assert not step.held
    assert await store.deliveries.next_due() == NOW + 3600 * SECOND
    await store.webhooks.disable("ada", "developer", "memory_created")
    assert [row.id for row in (await one_claimed(store, clock)).dropped] == ["m1"]


async def test_a_dead_one_is_sent_again_on_request_and_one_that_waits_is_not(
    store: Store, clock: Clock
) -> None:
    await store.deliveries.offer(delivery("m1"), delivery("m2"), delivery("m3", body=None, file="x"))
    assert not await store.deliveries.replay("ada", "m1")
    for id in ("m1", "m3"):
        assert await store.deliveries.drop("ada", id, "no room") is not None
    assert await store.deliveries.drop("ada", "m1", "no room") is None
    assert not await store.deliveries.replay("bob", "m1")
    assert await store.deliveries.replay("ada", "m1") == 1
    assert await store.deliveries.replay("ada", "m1", "m2", "m3") == 1
    assert ids(await one_claimed(store, clock)) == ["m2", "m1", "m3"]
    row = await store.deliveries.get("ada", "m1")
    assert row is not None
    assert (row.state, row.attempts, row.sequence) == ("pending", 0, 4)


async def test_what_may_be_sent_again_since_a_time_is_read_in_pages_the_oldest_first(store: Store) -> None:
    await store.deliveries.offer(*(delivery(f"m{n}", created_at=NOW + n) for n in range(5)))
    for n in range(4):
        await store.deliveries.drop("ada", f"m{n}", "no room")
    chosen = DeliveryFilter(since=NOW + 1, until=NOW + 5)
    read = partial(store.deliveries.ended, "ada", chosen)
    assert [row.id for row in await read(limit=2)] == ["m1", "m2"]
    assert [row.id for row in await read(limit=2, offset=2)] == ["m3"], "what waits has not ended"
    assert await store.deliveries.ended("bob", chosen, limit=2) == []


async def test_the_files_of_what_is_pending_are_known(store: Store) -> None:
    await store.deliveries.offer(delivery("m1"), delivery("m2", file="a"), delivery("m3", file="b"))
    await store.deliveries.drop("ada", "m3", "no room")
    assert await store.deliveries.files_waiting() == ["a"]


async def test_the_log_is_a_users_own_newest_first_without_bodies(store: Store) -> None:
    await store.deliveries.offer(*(delivery(f"m{n}", created_at=NOW + n) for n in range(3)))
    await store.deliveries.offer(delivery("m9", uid="bob"))
    rows = await store.deliveries.list("ada", DeliveryFilter(trigger="memory_created"), limit=2)
    assert [(row.id, row.body, row.size) for row in rows] == [("m2", None, 2), ("m1", None, 2)]
    assert await store.deliveries.list("ada", DeliveryFilter(trigger="day_summary")) == []
    assert await store.deliveries.get("bob", "m1") is None
    assert await store.deliveries.counts("ada") == {("developer", "memory_created"): 3}
    with pytest.raises(ValueError, match="limit 0"):
        await store.deliveries.list("ada", DeliveryFilter(), limit=0)


async def test_what_never_was_a_delivery_is_in_the_log_once(store: Store) -> None:
    row = delivery(
        "l1", state="lost", trigger="audio_bytes", body=None, due_at=None, ended_at=NOW, reason="died"
    )
    assert await store.deliveries.add_lost(row)
    assert not await store.deliveries.add_lost(row)
    endpoint = await store.webhooks.get("ada", "developer", "audio_bytes")
    assert endpoint is not None
    assert (endpoint.lost, endpoint.due_at) == (1, None)


async def test_the_log_is_bounded_in_age_and_length(store: Store) -> None:
    await store.deliveries.offer(*(delivery(f"m{n}") for n in range(6)), delivery("waits"))
    for n in range(6):
        await store.deliveries.drop("ada", f"m{n}", "no room")
    assert await store.deliveries.prune(NOW, 4) == 2
    assert await store.deliveries.prune(NOW, 4) == 0
    assert await store.deliveries.prune(NOW + 1, 4) == 4
    assert [row.id for row in await store.deliveries.list("ada", DeliveryFilter())] == ["waits"]


async def test_of_many_who_claim_at_once_each_endpoint_goes_to_one(store: Store, clock: Clock) -> None:
    await store.deliveries.offer(*(delivery(f"m{n}", uid=f"u{n}") for n in range(12)))
    taken: list[str] = []

    async def take(owner: str) -> None:
        for step in await store.deliveries.claim(claiming(clock, owner), 5):
            taken.extend(ids(step))

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(take, f"owner{number}")
    assert sorted(taken) == sorted(f"m{n}" for n in range(12))


async def test_offering_while_the_holder_lets_go_leaves_nothing_behind(store: Store, clock: Clock) -> None:
    await store.deliveries.offer(delivery("m0"))
    step = await one_claimed(store, clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.deliveries.step, claiming(clock), step.endpoint, [delivered("m0")], ())
        nursery.start_soon(store.deliveries.offer, delivery("m1"))
    endpoint = await store.webhooks.get("ada", "developer", "memory_created")
    assert endpoint is not None
    assert endpoint.owner == "one" or endpoint.due_at == NOW
