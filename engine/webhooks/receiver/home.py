"""Which of several processes joins a user's received audio, and what brings it there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from engine.webhooks.receiver.chunk import Chunk

__all__ = ["Bring", "Here", "Home", "NotTaken"]

Bring = Callable[[Chunk], Awaitable[None]]
"""Brings a chunk to the process where its user's audio is joined. Raises `NotTaken`."""


class NotTaken(Exception):
    """The other process did not take it: it has no room, or is gone. Trying again is right."""


class Home(Protocol):
    """Which of several processes joins a user's audio."""

    def at(self, uid: str) -> AbstractAsyncContextManager[Bring | None]:
        """None inside: this one does, until the block ends. Raises `DatabaseUnavailable`."""
        ...


class Here:
    """There is one process."""

    @asynccontextmanager
    async def at(self, uid: str) -> AsyncIterator[Bring | None]:
        """See `Home`."""
        yield None
