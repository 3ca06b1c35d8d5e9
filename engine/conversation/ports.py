"""What the life of a conversation needs from the store, as Protocols that it implements."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import trio

from engine.store.jobs import Job
from engine.store.processing import Processed
from engine.store.records import ConversationRow, JournalRecord
from engine.store.user_records import MemoryRow, PhotoRow, UserRow
from engine.store.whole import Whole
from engine.wire.messages import Segment


class Clock(Protocol):
    """Microseconds since the epoch, UTC."""

    def __call__(self) -> int: ...


class Journal(Protocol):
    """What a session has told its client, on the disk before it is sent."""

    def append(self, *records: JournalRecord) -> int:
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

    async def get(self, uid: str, id: str) -> ConversationRow | None: ...

    async def segments(self, uid: str, id: str) -> list[Segment]: ...

    async def resume(self, uid: str, id: str, timeout_seconds: int) -> ConversationRow | None: ...

    async def delete(self, uid: str, id: str, *, cascade: bool = False, delay: float = 0.0) -> bool: ...


class Wholes(Protocol):
    """Conversations with all that is shown of them."""

    async def get(self, uid: str, id: str, *, pictures: bool = True) -> Whole | None: ...


class Jobs(Protocol):
    """Work that survives the process. `engine.store.jobs` says what each does."""

    async def claim(self, owner: str, kinds: Collection[str], seconds: float, limit: int) -> list[Job]: ...

    async def renew(self, job: Job, seconds: float) -> bool: ...

    async def release(self, job: Job) -> bool: ...

    async def done(self, job: Job) -> bool: ...

    async def retry(self, job: Job, error: str, delay: float) -> bool: ...

    async def failed(self, job: Job, error: str) -> bool: ...

    async def find(self, uid: str, kind: str, key: str) -> Job | None: ...

    async def next_due(self, kinds: Collection[str]) -> int | None: ...

    async def counts(self, kinds: Collection[str]) -> tuple[int, int]: ...


class Processing(Protocol):
    """The steps of processing, each a transaction. `engine.store.processing` says what each does."""

    async def begin(
        self, row: ConversationRow, segments: Sequence[Segment], payload: Mapping[str, Any]
    ) -> bool: ...

    async def again(
        self, uid: str, id: str, payload: Mapping[str, Any], expected: Collection[str]
    ) -> ConversationRow | None: ...

    async def merge(
        self,
        row: ConversationRow,
        segments: Sequence[Segment],
        payload: Mapping[str, Any],
        sources: Sequence[str],
        expected: Collection[str],
    ) -> bool: ...

    async def finish(self, job: Job, done: Processed, *, source_delay: float) -> bool: ...

    async def fail(self, job: Job, reason: str) -> None: ...

    async def erase_due(self, job: Job) -> None: ...

    async def sweep(self) -> int: ...


class Memories(Protocol):
    """What is known about users; every call names the owner."""

    async def get(self, uid: str, id: str) -> MemoryRow | None: ...


class Photos(Protocol):
    """The pictures of conversations."""

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[PhotoRow]: ...

    async def get(self, uid: str, id: str) -> PhotoRow | None: ...

    async def add(self, row: PhotoRow, *, describe: bool) -> bool: ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> PhotoRow | None: ...

    async def described(self, job: Job, description: str, discarded: bool) -> bool: ...


class Owners(Protocol):
    """What users have set."""

    async def get(self, uid: str) -> UserRow: ...


class People(Protocol):
    """Whom users know."""

    async def names(self, uid: str) -> Mapping[str, str]: ...


class Work(Protocol):
    """Who processes conversations that have ended. `engine.conversation.processor` says what each does."""

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None: ...

    def wake(self) -> None: ...

    async def wait(self, uid: str, id: str, seconds: float) -> None: ...


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
