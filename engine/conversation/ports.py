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

    async def all_unfinished(self) -> Sequence[ConversationRow]:
        """Every user's conversations that are in progress, oldest first."""
        ...

    async def unfinished(self, uid: str) -> Sequence[ConversationRow]:
        """One user's conversations that are in progress, oldest first."""
        ...

    async def latest_completed(self, uid: str) -> ConversationRow | None:
        """The user's newest completed conversation."""
        ...

    async def get(self, uid: str, id: str) -> ConversationRow | None:
        """The conversation, or None."""
        ...

    async def segments(self, uid: str, id: str) -> list[Segment]:
        """Its segments by start time, equal ones in the order they first came."""
        ...

    async def resume(self, uid: str, id: str, timeout_seconds: int) -> ConversationRow | None:
        """Take up a conversation again under another timeout; None when it is not in progress any more."""
        ...

    async def delete(self, uid: str, id: str, *, cascade: bool = False, delay: float = 0.0) -> bool:
        """Delete one with its action items (`cascade`: and memories); its rows are erased `delay` seconds later."""
        ...


class Wholes(Protocol):
    """Conversations with all that is shown of them."""

    async def get(self, uid: str, id: str, *, pictures: bool = True) -> Whole | None:
        """One conversation with its photos; None when there is none. Not `pictures`: without those in blobs."""
        ...


class Jobs(Protocol):
    """Work that survives the process. `engine.store.jobs` says what each does."""

    async def claim(self, owner: str, kinds: Collection[str], seconds: float, limit: int) -> list[Job]:
        """Take at most `limit` jobs that are due, those that waited longest first."""
        ...

    async def renew(self, job: Job, seconds: float) -> bool:
        """Keep it for `seconds` from now; False when it is somebody else's by now, or nobody's."""
        ...

    async def release(self, job: Job) -> bool:
        """Let another have it at once, as it was; False when the claim was lost."""
        ...

    async def done(self, job: Job) -> bool:
        """It is done and forgotten; False when the claim was lost."""
        ...

    async def retry(self, job: Job, error: str, delay: float) -> bool:
        """It did not work; have it tried again in `delay` seconds. False when the claim was lost."""
        ...

    async def failed(self, job: Job, error: str) -> bool:
        """It did not work and is not tried again, but kept to be looked at. False when the claim was lost."""
        ...

    async def find(self, uid: str, kind: str, key: str) -> Job | None:
        """One job, if it is not done."""
        ...

    async def next_due(self, kinds: Collection[str]) -> int | None:
        """When the next one can be claimed (µs since the epoch, maybe in the past); None: nothing waits."""
        ...

    async def counts(self, kinds: Collection[str]) -> tuple[int, int]:
        """How many jobs of these kinds are to be done or being done, and how many have failed for good."""
        ...


class Processing(Protocol):
    """The steps of processing, each a transaction. `engine.store.processing` says what each does."""

    async def begin(
        self, row: ConversationRow, segments: Sequence[Segment], payload: Mapping[str, Any]
    ) -> bool:
        """Keep a new conversation that is `processing`, and its job; False when there is one of that id."""
        ...

    async def again(
        self, uid: str, id: str, payload: Mapping[str, Any], expected: Collection[str]
    ) -> ConversationRow | None:
        """Have a conversation processed again; None when it is not there, or in none of the statuses `expected`."""
        ...

    async def merge(
        self,
        row: ConversationRow,
        segments: Sequence[Segment],
        payload: Mapping[str, Any],
        sources: Sequence[str],
        expected: Collection[str],
    ) -> bool:
        """As `begin`, of one that is made of `sources`; False, with nothing changed, when one is not as
        `expected`.
        """
        ...

    async def finish(self, job: Job, done: Processed, *, source_delay: float) -> bool:
        """Keep what was made of it, `completed` now; False when it is gone. Its sources are erased after
        `source_delay` s.
        """
        ...

    async def fail(self, job: Job, reason: str) -> None:
        """The conversation has `failed`, for `reason`. Raises `ClaimLost`."""
        ...

    async def erase_due(self, job: Job) -> None:
        """Remove the rows of a deleted conversation. Raises `ClaimLost`."""
        ...

    async def sweep(self) -> int:
        """Give every conversation that is `processing` and has no job one; how many there were."""
        ...


class Memories(Protocol):
    """What is known about users; every call names the owner."""

    async def get(self, uid: str, id: str) -> MemoryRow | None:
        """The row, or None."""
        ...


class Photos(Protocol):
    """The pictures of conversations."""

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[PhotoRow]:
        """Those of one conversation, oldest first. Raises `DatabaseUnavailable`, also when pictures cannot be
        read.
        """
        ...

    async def get(self, uid: str, id: str) -> PhotoRow | None:
        """The row with its picture, or None. Raises `DatabaseUnavailable`, also when pictures cannot be read."""
        ...

    async def add(self, row: PhotoRow, *, describe: bool) -> bool:
        """Keep a picture, and leave a job to move it (and one to `describe` it); False when its conversation is
        gone.
        """
        ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> PhotoRow | None:
        """Set these columns of a row; as it is then, or None when there is none."""
        ...

    async def described(self, job: Job, description: str, discarded: bool) -> bool:
        """Keep what is to be seen on the job's picture and end the job; False when the claim was lost."""
        ...


class Owners(Protocol):
    """What users have set."""

    async def get(self, uid: str) -> UserRow:
        """What the user has set, or the defaults."""
        ...


class People(Protocol):
    """Whom users know."""

    async def names(self, uid: str) -> Mapping[str, str]:
        """The names of all the user knows, by person id."""
        ...


class Work(Protocol):
    """Who processes conversations that have ended. `engine.conversation.processor` says what each does."""

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Work until cancelled, beginning with what an earlier process left."""
        ...

    def wake(self) -> None:
        """There is a job to be done."""
        ...

    async def wait(self, uid: str, id: str, seconds: float) -> None:
        """Return once the conversation is not being processed any more, wherever that is done, or time is up."""
        ...


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
