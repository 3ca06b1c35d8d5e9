"""Bodies of responses that are made while they are sent.

Invariants: the work lives exactly as long as the response is being sent: a client that goes away, or the server's end,
cancels it. Nothing is made ahead of what the client has taken.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TypeAlias

import trio
from quart.wrappers.response import ResponseBody

from engine.log import get_logger

__all__ = ["Send", "StreamedBody"]

log = get_logger(__name__)

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends the next piece; returns when the one before it is on its way."""


class StreamedBody(ResponseBody):
    """What `work` sends. When it fails, which is logged, the body ends there."""

    def __init__(self, work: Callable[[Send], Awaitable[None]]) -> None:
        self._work = work
        self._stack = AsyncExitStack()
        self._sending, self._pieces = trio.open_memory_channel[bytes](0)

    async def __aenter__(self) -> AsyncIterator[bytes]:
        nursery = await self._stack.enter_async_context(trio.open_nursery())
        self._stack.callback(nursery.cancel_scope.cancel)
        nursery.start_soon(self._run)
        return self._pieces

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        async with self._sending:
            try:
                await self._work(self._sending.send)
            except Exception as error:
                log.error("request.failed", exc_info=error)
