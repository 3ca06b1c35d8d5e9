"""Group commit: what many ask for at the same time is written at once, in one transaction or by one flush of a file.

Operations: `Together.__call__` gives the answer to one request.
Invariants: a call returns once its request is written, or raises and it is not. Requests are written in the order of
the calls. One that breaks a batch (a value the database refuses) breaks it for nobody else.
Bounded: `MOST` requests in a batch; those that wait are their callers' to bound.
Cost: a batch for all that came while the one before was written; alone, a call costs what it did.
Cancellation: before its batch has begun a request is forgotten; then it is written, and the call returns.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import trio

__all__ = ["MOST", "Together"]

MOST = 256
"""Requests in a batch, so that others need not wait long for what it goes to."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Request(Generic[Asked, Answer]):
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answers: list[Answer] = []
        self.error: Exception | None = None
        self.writes = False
        self.news = trio.Event()
        """It is done, or has the turn to write."""

    @property
    def done(self) -> bool:
        return bool(self.answers) or self.error is not None


class Together(Generic[Asked, Answer]):
    """Runs `write(requests)`, which gives an answer for each, and is not cancelled once it has begun.

    A fault of type `everybodys` has nothing to do with any one request: all of the batch are told of it.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]],
        everybodys: type[Exception] | tuple[()] = (),
    ) -> None:
        self._write = write
        self._everybodys = everybodys
        self._waiting: list[_Request[Asked, Answer]] = []
        self._taken = False

    async def __call__(self, asked: Asked) -> Answer:
        """The answer, once it is written. Raises what `write` does."""
        request: _Request[Asked, Answer] = _Request(asked)
        self._waiting.append(request)
        try:
            if self._taken:
                await request.news.wait()
            else:
                self._taken = request.writes = True
                await trio.lowlevel.checkpoint()  # whoever asks in the same moment is taken along
            if not request.done:  # else whoever had the turn has written it
                await self._commit()
        finally:
            if request in self._waiting:
                self._waiting.remove(request)
            if request.writes:
                self._pass_on()
        if request.error is not None:
            raise request.error
        return request.answers[0]

    def _pass_on(self) -> None:
        """The turn goes to who waits longest. The others are not woken for it, as they would be one after another."""
        self._taken = bool(self._waiting)
        if self._waiting:
            self._waiting[0].writes = True
            self._waiting[0].news.set()

    async def _commit(self) -> None:
        """Write what waits. Cancelled before it begins, nothing has happened and all of it waits on."""
        batch = self._waiting[:MOST]
        try:
            await self._try(batch)
        except self._everybodys as error:
            for request in batch:
                request.error = type(error)(*error.args)
        except Exception as error:  # noqa: BLE001 - it is given to whoever asked
            if len(batch) == 1:
                batch[0].error = error
            else:
                await self._one_by_one(batch)
        finally:
            self._waiting = [request for request in self._waiting if not request.done]
            for request in batch:
                if request.done:
                    request.news.set()

    async def _try(self, batch: Sequence[_Request[Asked, Answer]]) -> None:
        answers = await self._write([request.asked for request in batch])
        for request, answer in zip(batch, answers, strict=True):
            request.answers.append(answer)

    async def _one_by_one(self, batch: Sequence[_Request[Asked, Answer]]) -> None:
        for request in batch:
            try:
                await self._try([request])
            except Exception as error:  # noqa: BLE001 - the same
                request.error = error
