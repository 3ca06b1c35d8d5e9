"""What the life of a conversation needs from the store, as Protocols that it implements."""

from collections.abc import Sequence
from typing import Any, Protocol

from engine.store.records import ConversationRow, JournalRecord
from engine.wire.messages import Segment


class Journal(Protocol):
    """What a session has told its client, on the disk before it is sent."""

    def append(self, record: JournalRecord) -> int:
        """Raises `JournalFull` when the disk takes no more."""
        ...

    def end(self) -> None:
        """Nothing follows."""
        ...


class Writer(Protocol):
    """Brings the database up to date behind the journals."""

    async def open_journal(self, session_id: str) -> Journal:
        """Raises `JournalFull`."""
        ...

    def submit(self, journal: Any, records: Sequence[JournalRecord]) -> None:
        """Records just appended to a journal that `open_journal` gave. Raises `WriterFull`."""
        ...

    async def flush(self) -> None:
        """Return when all submitted so far is in the database."""
        ...


class Conversations(Protocol):
    """The conversations in the database; every call names the owner."""

    async def all_unfinished(self) -> Sequence[ConversationRow]: ...

    async def unfinished(self, uid: str) -> Sequence[ConversationRow]: ...

    async def latest_completed(self, uid: str) -> ConversationRow | None: ...

    async def segments(self, uid: str, id: str) -> list[Segment]: ...

    async def resume(self, uid: str, id: str, timeout_seconds: int) -> ConversationRow | None: ...

    async def delete(self, uid: str, id: str) -> bool: ...


class Ownership(Protocol):
    """Which users are this process's. One that has lost a user must not close their conversations any more."""

    async def holds(self, uid: str) -> bool:
        """Whether the user is this process's, for some time to come. Raises `DatabaseUnavailable`."""
        ...


class Alone:
    """There is no other process. Implements `Ownership`."""

    async def holds(self, uid: str) -> bool:
        """See `Ownership`."""
        return True
