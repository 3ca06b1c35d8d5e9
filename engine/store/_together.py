"""Group commit: what many ask for at the same time is written in one transaction.

Operations: `Together.__call__` gives the answer to one request.
Invariants: a call returns once its request is committed, or raises and it is not. Requests are written in the order of
the calls. One that breaks a transaction (a value the database refuses) breaks it for nobody else.
Bounded: `MOST` requests in a transaction; those that wait are their callers' to bound.
Cost: a commit for all that came while the one before was being made; alone, a call costs what it did.
Cancellation: before its transaction has begun a request is forgotten; then it is written, and the call returns.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import trio
from sqlalchemy import Connection

from engine.store.database import Database
from engine.store.errors import DatabaseUnavailable

__all__ = ["MOST", "Together"]

MOST = 256
"""Requests in a transaction, so that others need not wait long for the database."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Request(Generic[Asked, Answer]):
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answers: list[Answer] = []
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return bool(self.answers) or self.error is not None


class Together(Generic[Asked, Answer]):
    """Runs `write(connection, requests)`, which gives an answer for each."""

    def __init__(
        self, database: Database, write: Callable[[Connection, Sequence[Asked]], Sequence[Answer]]
    ) -> None:
        self._database = database
        self._write = write
        self._waiting: list[_Request[Asked, Answer]] = []
        self._turn = trio.Lock()

    async def __call__(self, asked: Asked) -> Answer:
        """The answer, once it is committed. Raises `DatabaseUnavailable`, or what the request itself does wrong."""
        request: _Request[Asked, Answer] = _Request(asked)
        self._waiting.append(request)
        try:
            async with self._turn:
                if not request.done:  # else whoever had the turn before took it along
                    await self._commit()
        finally:
            if request in self._waiting:
                self._waiting.remove(request)
        if request.error is not None:
            raise request.error
        return request.answers[0]

    async def _commit(self) -> None:
        """Write what waits. Cancelled before it begins, nothing has happened and all of it waits on."""
        batch = self._waiting[:MOST]
        try:
            await self._try(batch)
        except DatabaseUnavailable as error:
            for request in batch:
                request.error = DatabaseUnavailable(str(error))
        except Exception as error:  # noqa: BLE001 - it is given to whoever asked
            if len(batch) == 1:
                batch[0].error = error
            else:
                await self._one_by_one(batch)
        self._waiting = [request for request in self._waiting if not request.done]

    async def _try(self, batch: Sequence[_Request[Asked, Answer]]) -> None:
        answers = await self._database.write(self._write, [request.asked for request in batch])
        for request, answer in zip(batch, answers, strict=True):
            request.answers.append(answer)

    async def _one_by_one(self, batch: Sequence[_Request[Asked, Answer]]) -> None:
        for request in batch:
            try:
                await self._try([request])
            except Exception as error:  # noqa: BLE001 - the same
                request.error = error
