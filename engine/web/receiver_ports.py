"""What the routes of the receiving side need from what is behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine._config_receiver import Receiver as Settings
from engine.store.received_records import ReceivedFileRow, ReceivedMessageRow, ReceivedTotals
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.events import EventsRead

__all__ = ["ReceivedBlobs", "ReceiverServices"]


class AudioFiles(Protocol):
    """Rows of files."""

    async def get(self, uid: str, id: str) -> ReceivedFileRow | None: ...

    async def some(self, uid: str, ids: Sequence[str]) -> Sequence[ReceivedFileRow]: ...

    async def of_kind(
        self, uid: str, kind: str, *, limit: int, offset: int = 0
    ) -> Sequence[ReceivedFileRow]: ...

    async def delete(self, uid: str, id: str) -> bool: ...


class Messages(Protocol):
    """Rows of messages."""

    async def get(self, uid: str, id: str) -> ReceivedMessageRow | None: ...

    async def of_trigger(
        self, uid: str, trigger: str | None, *, limit: int, offset: int = 0
    ) -> Sequence[ReceivedMessageRow]: ...

    async def add(self, row: ReceivedMessageRow) -> bool: ...

    async def delete(self, uid: str, id: str) -> bool: ...


class Received(Protocol):
    """What is kept."""

    @property
    def files(self) -> AudioFiles: ...
    @property
    def messages(self) -> Messages: ...

    async def totals(self, uid: str | None = None) -> ReceivedTotals: ...


class ReceivedBlobs(Protocol):
    """Where files are."""

    async def delete(self, uid: str, *names: str) -> None: ...

    async def link(self, uid: str, name: str, seconds: float) -> str: ...


class Intake(Protocol):
    """Where audio goes."""

    def check(self, uid: str, size: int) -> None:
        """Raises `NoRoom`."""
        ...

    async def receive(self, chunk: Chunk) -> None:
        """Take it, and have it on the disk. Raises `NoRoom`."""
        ...


class Events(Protocol):
    """What happened."""

    async def read(self, uid: str, after: int = 0, wait: float = 0.0) -> EventsRead: ...


@dataclass(frozen=True, kw_only=True)
class ReceiverServices:
    """All of it."""

    settings: Settings
    intake: Intake
    received: Received
    blobs: ReceivedBlobs
    events: Events
