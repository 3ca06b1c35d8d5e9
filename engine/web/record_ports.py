"""What the routes about a user's records need from the store. Every call names the owner."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from engine.store.action_items import ItemFilter
from engine.store.goals import GoalDay
from engine.store.recordings import RecordingSum
from engine.store.user_records import (
    ActionItemRow,
    DaySummaryRow,
    FolderRow,
    GoalRow,
    MemoryRow,
    PersonRow,
    RecordingRow,
    UserRow,
)
from engine.web.idempotency import Keys

__all__ = [
    "ActionItems",
    "DaySummaries",
    "Folders",
    "Goals",
    "Memories",
    "People",
    "Recordings",
    "Records",
    "Users",
]


class Memories(Protocol):
    """What is known about users."""

    async def get(self, uid: str, id: str) -> MemoryRow | None:
        """The row, or None."""
        ...

    async def shown(
        self, uid: str, *, limit: int, offset: int = 0, categories: Collection[str] = ()
    ) -> Sequence[MemoryRow]:
        """A page of a user's memories (of some categories), newest first, but for those they said are wrong."""
        ...

    async def put(self, *rows: MemoryRow) -> None:
        """Keep `rows`, in the place of those with their uids and ids."""
        ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> MemoryRow | None:
        """Set these columns of a row; as it is then, or None when there is none."""
        ...

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        ...

    async def delete_all(self, uid: str) -> int:
        """Remove all of a user's rows; how many there were."""
        ...


class ActionItems(Protocol):
    """What is to be done."""

    async def get(self, uid: str, id: str) -> ActionItemRow | None:
        """The row, or None."""
        ...

    async def find(
        self, uid: str, filter: ItemFilter, *, limit: int, offset: int = 0
    ) -> Sequence[ActionItemRow]:
        """A page of a user's action items, newest first."""
        ...

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[ActionItemRow]:
        """Those of one conversation, in order."""
        ...

    async def put(self, *rows: ActionItemRow) -> None:
        """Keep `rows`, in the place of those with their uids and ids."""
        ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> ActionItemRow | None:
        """Set these columns of a row; as it is then, or None when there is none."""
        ...

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        ...


class People(Protocol):
    """Whom users know."""

    async def get(self, uid: str, id: str) -> PersonRow | None:
        """The row, or None."""
        ...

    async def list(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[PersonRow]:
        """A page of the people a user knows, newest first."""
        ...

    async def names(self, uid: str) -> Mapping[str, str]:
        """The names of all the user knows, by person id."""
        ...

    async def find_or_add(self, row: PersonRow) -> PersonRow:
        """The user's person of that name, who is `row` when there was none: nobody is there twice."""
        ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> PersonRow | None:
        """Set these columns of a row; as it is then, or None when there is none."""
        ...

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        ...


class Users(Protocol):
    """What users have set."""

    async def get(self, uid: str) -> UserRow:
        """What the user has set, or the defaults."""
        ...

    async def change(self, uid: str, values: Mapping[str, Any]) -> UserRow:
        """Set these fields; what is set then."""
        ...

    async def delete(self, uid: str) -> None:
        """Forget all that the user has set."""
        ...


class Folders(Protocol):
    """Folders of conversations."""

    async def get(self, uid: str, id: str) -> FolderRow | None:
        """The row, or None."""
        ...

    async def ordered(self, uid: str) -> Sequence[FolderRow]:
        """A user's folders in the order they gave them."""
        ...

    async def counts(self, uid: str) -> Mapping[str, int]:
        """How many conversations each of a user's folders has; none where there are none."""
        ...

    async def add(self, row: FolderRow, limit: int) -> FolderRow | None:
        """Keep `row` behind the user's others; None, and nothing is kept, when they have `limit` already."""
        ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> FolderRow | None:
        """Set these columns of a row; as it is then, or None when there is none."""
        ...

    async def reorder(self, uid: str, places: Mapping[str, int]) -> None:
        """Set the place of each of these folders."""
        ...

    async def remove(self, uid: str, id: str, move_to: str | None) -> bool:
        """Remove a folder, its conversations moving to another or to none; False when there is none."""
        ...

    async def move(self, uid: str, conversation_ids: Collection[str], folder_id: str | None) -> int:
        """Put conversations in a folder, or in none; how many there were."""
        ...


class Goals(Protocol):
    """What users want to reach."""

    async def get(self, uid: str, id: str) -> GoalRow | None:
        """The row, or None."""
        ...

    async def list(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[GoalRow]:
        """A page of a user's goals, newest first."""
        ...

    async def active(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[GoalRow]:
        """A page of a user's active goals, newest first."""
        ...

    async def add(self, row: GoalRow) -> None:
        """Keep a new goal. Of more than `ACTIVE_LIMIT` active ones the oldest are so no more."""
        ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> GoalRow | None:
        """Set these columns of a row; as it is then, or None when there is none."""
        ...

    async def progress(self, uid: str, id: str, values: Mapping[str, Any], now: int) -> GoalRow | None:
        """Set these columns of a goal and note its value of today; None when there is none."""
        ...

    async def history(self, uid: str, id: str, since: int) -> Sequence[GoalDay]:
        """The days of a goal from that of `since` (µs) on, latest first."""
        ...

    async def remove(self, uid: str, id: str) -> bool:
        """Remove a goal with its history; False when there is none."""
        ...


class DaySummaries(Protocol):
    """What users' days were like."""

    async def get(self, uid: str, id: str) -> DaySummaryRow | None:
        """The row, or None."""
        ...

    async def dated(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[DaySummaryRow]:
        """A page of a user's summaries, the latest day first."""
        ...

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        ...


class Recordings(Protocol):
    """What was recorded of conversations."""

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[RecordingRow]:
        """The pieces of a conversation, in the order of time."""
        ...

    async def sums(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[RecordingSum]:
        """A page of the conversations that have recordings, those recorded last first; no deleted ones."""
        ...

    async def drop(self, uid: str, conversation_id: str) -> bool:
        """Remove what was recorded of a conversation; False when nothing was."""
        ...


class Decisions(Protocol):
    """Why segments have the speakers they have."""

    async def decision(self, uid: str, conversation_id: str, segment_id: str) -> dict[str, Any] | None:
        """Why this segment has its speaker; None when nobody was heard out."""
        ...


class Records(Protocol):
    """All of them, as the store has them."""

    @property
    def memories(self) -> Memories: ...
    @property
    def action_items(self) -> ActionItems: ...
    @property
    def people(self) -> People: ...
    @property
    def voices(self) -> Decisions: ...
    @property
    def users(self) -> Users: ...
    @property
    def folders(self) -> Folders: ...
    @property
    def goals(self) -> Goals: ...
    @property
    def day_summaries(self) -> DaySummaries: ...
    @property
    def recordings(self) -> Recordings: ...
    @property
    def idempotency(self) -> Keys: ...
    @property
    def now(self) -> "Now":
        """Microseconds since the epoch."""
        ...


class Now(Protocol):
    """The wall clock."""

    def __call__(self) -> int:
        """Microseconds since the epoch (UTC)."""
        ...
