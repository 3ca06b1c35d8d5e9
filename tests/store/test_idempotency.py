"""Idempotency keys: one request under a key is done, its answer kept for the others."""

from unittest.mock import ANY

import trio

from engine.store import Store
from engine.store.idempotency import Answered, Begun, InProgress, Mismatch

from .making import Clock


async def test_a_request_is_done_once_and_answered_alike_after_that(store: Store) -> None:
    assert await store.idempotency.begin("u1", "k", "d", 60) == Begun(ANY)
    assert await store.idempotency.begin("u1", "k", "d", 60) == InProgress()
    await store.idempotency.finish("u1", "k", 201, b"{}")
    assert await store.idempotency.begin("u1", "k", "d", 60) == Answered(201, b"{}")


async def test_of_many_at_once_one_begins(store: Store) -> None:
    outcomes = []

    async def ask() -> None:
        outcomes.append(await store.idempotency.begin("u1", "k", "d", 60))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(ask)
    assert sum(isinstance(outcome, Begun) for outcome in outcomes) == 1
    assert outcomes.count(InProgress()) == 5


async def test_another_request_or_user_is_told_apart(store: Store) -> None:
    await store.idempotency.begin("u1", "k", "d", 60)
    assert await store.idempotency.begin("u1", "k", "other", 60) == Mismatch()
    assert await store.idempotency.begin("u2", "k", "other", 60) == Begun(ANY)


async def test_what_was_abandoned_or_left_behind_may_begin_again(store: Store, clock: Clock) -> None:
    await store.idempotency.begin("u1", "k", "d", 60)
    await store.idempotency.abandon("u1", "k")
    assert await store.idempotency.begin("u1", "k", "d", 60) == Begun(ANY)
    begun = await store.idempotency.begin("u2", "k", "d", 60)
    clock.now += 60_000_000
    assert await store.idempotency.begin("u1", "k", "d", 60) == Begun(ANY)
    assert await store.idempotency.begin("u2", "k", "d", 60) == begun
    await store.idempotency.abandon("u2", "k")
    assert await store.idempotency.begin("u2", "k", "d", 60) != begun


async def test_an_answer_cannot_be_abandoned_but_is_forgotten_with_time(store: Store, clock: Clock) -> None:
    await store.idempotency.begin("u1", "k", "d", 60)
    await store.idempotency.finish("u1", "k", 200, b"x")
    await store.idempotency.abandon("u1", "k")
    assert await store.idempotency.forget(clock.now) == 0
    assert await store.idempotency.begin("u1", "k", "d", 60) == Answered(200, b"x")
    assert await store.idempotency.forget(clock.now + 1) == 1
    assert await store.idempotency.begin("u1", "k", "d", 60) == Begun(ANY)
