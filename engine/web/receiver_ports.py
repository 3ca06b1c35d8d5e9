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

    async def get(self, uid: str, id: str) -> ReceivedFileRow | None:
        """The row, or None."""
        ...

    async def some(self, uid: str, ids: Sequence[str]) -> Sequence[ReceivedFileRow]:
        """Those of a user's rows that have one of `ids` (at most `PAGE_LIMIT`), newest first."""
        ...

    async def of_kind(self, uid: str, kind: str, *, limit: int, offset: int = 0) -> Sequence[ReceivedFileRow]:
        """A page of a user's, newest first."""
        ...

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        ...


class Messages(Protocol):
    """Rows of messages."""

    async def get(self, uid: str, id: str) -> ReceivedMessageRow | None:
        """The row, or None."""
        ...

    async def of_trigger(
        self, uid: str, trigger: str | None, *, limit: int, offset: int = 0
    ) -> Sequence[ReceivedMessageRow]:
        """A page of a user's, newest first, of one trigger or of all."""
        ...

    async def add(self, row: ReceivedMessageRow) -> bool:
        """Keep a message; False, and nothing is changed, when one with its id is there."""
        ...

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        ...


class Received(Protocol):
    """What is kept."""

    @property
    def files(self) -> AudioFiles: ...
    @property
    def messages(self) -> Messages: ...

    async def totals(self, uid: str | None = None) -> ReceivedTotals:
        """What is kept of one user, or of all."""
        ...


class ReceivedBlobs(Protocol):
    """Where files are."""

    async def delete(self, uid: str, *names: str) -> None:
        """Remove those that are there."""
        ...

    async def link(self, uid: str, name: str, seconds: float) -> str:
        """An address from which whoever has it may read the blob for `seconds`, there or not."""
        ...


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

    async def read(self, uid: str, after: int = 0, wait: float = 0.0) -> EventsRead:
        """The user's events after number `after`, those kept."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReceiverServices:
    """All of it."""

    settings: Settings
    intake: Intake
    received: Received
    blobs: ReceivedBlobs
    events: Events
