"""Group commit: many ask, one transaction answers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from sqlalchemy import Connection

from engine.store.database import Database
from engine.store.errors import DatabaseUnavailable
from engine.together import MOST, Together


class Writes(Database):
    """A database whose transactions wait until they are let go on, and which has none."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = trio.Semaphore(0)
        self.error: Exception | None = None

    async def write(self, fn: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        await self.go.acquire()
        if self.error is not None:
            raise self.error
        return fn(None, *args)


def together() -> tuple[Writes, Together[int, int]]:
    writes = Writes()

    def double(_connection: Connection, asked: Sequence[int]) -> list[int]:
        if 13 in asked:
            raise ValueError("13")
        writes.batches.append(list(asked))
        return [2 * number for number in asked]

    return writes, Together(partial(writes.write, double), DatabaseUnavailable)


async def test_what_comes_while_one_is_written_is_written_together_in_order() -> None:
    writes, ask = together()
    answers: dict[int, int] = {}

    async def one(number: int) -> None:
        answers[number] = await ask(number)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            writes.go.release()
    assert writes.batches == [[0], [1, 2, 3, 4]]
    assert answers == {number: 2 * number for number in range(5)}


async def test_a_transaction_has_a_bounded_number_of_requests() -> None:
    writes, ask = together()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, -1)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(100, 100 + MOST + 1):
            nursery.start_soon(ask, number)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            writes.go.release()
    assert [len(batch) for batch in writes.batches] == [1, MOST, 1]


async def test_one_bad_request_spoils_no_other() -> None:
    writes, ask = together()
    results: dict[int, Any] = {}

    async def one(number: int) -> None:
        try:
            results[number] = await ask(number)
        except ValueError as error:
            results[number] = str(error)

    async with trio.open_nursery() as nursery:
        for number in (1, 12, 13, 14):
            nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
        for _ in range(5):
            writes.go.release()
    assert results == {1: 2, 12: 24, 13: "13", 14: 28}


async def test_while_the_database_is_away_everybody_is_told() -> None:
    writes, ask = together()
    writes.error = DatabaseUnavailable("locked")
    told: list[str] = []

    async def one(number: int) -> None:
        with pytest.raises(DatabaseUnavailable) as raised:
            await ask(number)
        told.append(str(raised.value))

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            writes.go.release()
    assert told == ["locked"] * 3
    assert writes.batches == []


async def test_who_is_cancelled_while_it_waits_is_forgotten_and_the_others_are_not() -> None:
    writes, ask = together()
    answers: list[int] = []

    async def one(number: int) -> None:
        answers.append(await ask(number))

    async with trio.open_nursery() as nursery:
        scopes = [trio.CancelScope() for _ in range(3)]

        async def scoped(number: int) -> None:
            with scopes[number]:
                await one(number)

        for number in range(3):
            nursery.start_soon(scoped, number)
            await trio.testing.wait_all_tasks_blocked()
        scopes[0].cancel()  # has the turn, and its transaction has not begun
        scopes[1].cancel()
        await trio.testing.wait_all_tasks_blocked()
        writes.go.release()
    assert writes.batches == [[2]]
    assert answers == [4]


async def test_all_that_are_written_together_are_told_before_the_next_are_written() -> None:
    writes, ask = together()
    told: list[int] = []

    async def one(number: int) -> None:
        await ask(number)
        told.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(one, number)
        await trio.testing.wait_all_tasks_blocked()  # one moment: they are one batch
        for number in range(4, 8):
            nursery.start_soon(one, number)
        await trio.testing.wait_all_tasks_blocked()
        writes.go.release()
        await trio.testing.wait_all_tasks_blocked()
        assert (sorted(told), len(writes.batches)) == ([0, 1, 2, 3], 1)
        writes.go.release()
    assert sorted(told) == list(range(8))
    assert len(writes.batches) == 2
