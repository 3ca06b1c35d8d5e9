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

    async def get(self, uid: str, id: str) -> MemoryRow | None: ...

    async def shown(
        self, uid: str, *, limit: int, offset: int = 0, categories: Collection[str] = ()
    ) -> Sequence[MemoryRow]: ...

    async def put(self, *rows: MemoryRow) -> None: ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> MemoryRow | None: ...

    async def delete(self, uid: str, id: str) -> bool: ...

    async def delete_all(self, uid: str) -> int: ...


class ActionItems(Protocol):
    """What is to be done."""

    async def get(self, uid: str, id: str) -> ActionItemRow | None: ...

    async def find(
        self, uid: str, filter: ItemFilter, *, limit: int, offset: int = 0
    ) -> Sequence[ActionItemRow]: ...

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[ActionItemRow]: ...

    async def put(self, *rows: ActionItemRow) -> None: ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> ActionItemRow | None: ...

    async def delete(self, uid: str, id: str) -> bool: ...


class People(Protocol):
    """Whom users know."""

    async def get(self, uid: str, id: str) -> PersonRow | None: ...

    async def list(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[PersonRow]: ...

    async def names(self, uid: str) -> Mapping[str, str]: ...

    async def find_or_add(self, row: PersonRow) -> PersonRow: ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> PersonRow | None: ...

    async def delete(self, uid: str, id: str) -> bool: ...


class Users(Protocol):
    """What users have set."""

    async def get(self, uid: str) -> UserRow: ...

    async def change(self, uid: str, values: Mapping[str, Any]) -> UserRow: ...

    async def delete(self, uid: str) -> None: ...


class Folders(Protocol):
    """Folders of conversations."""

    async def get(self, uid: str, id: str) -> FolderRow | None: ...

    async def ordered(self, uid: str) -> Sequence[FolderRow]: ...

    async def counts(self, uid: str) -> Mapping[str, int]: ...

    async def add(self, row: FolderRow, limit: int) -> FolderRow | None: ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> FolderRow | None: ...

    async def reorder(self, uid: str, places: Mapping[str, int]) -> None: ...

    async def remove(self, uid: str, id: str, move_to: str | None) -> bool: ...

    async def move(self, uid: str, conversation_ids: Collection[str], folder_id: str | None) -> int: ...


class Goals(Protocol):
    """What users want to reach."""

    async def get(self, uid: str, id: str) -> GoalRow | None: ...

    async def list(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[GoalRow]: ...

    async def active(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[GoalRow]: ...

    async def add(self, row: GoalRow) -> None: ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> GoalRow | None: ...

    async def progress(self, uid: str, id: str, values: Mapping[str, Any], now: int) -> GoalRow | None: ...

    async def history(self, uid: str, id: str, since: int) -> Sequence[GoalDay]: ...

    async def remove(self, uid: str, id: str) -> bool: ...


class DaySummaries(Protocol):
    """What users' days were like."""

    async def get(self, uid: str, id: str) -> DaySummaryRow | None: ...

    async def dated(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[DaySummaryRow]: ...

    async def delete(self, uid: str, id: str) -> bool: ...


class Recordings(Protocol):
    """What was recorded of conversations."""

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[RecordingRow]: ...

    async def sums(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[RecordingSum]: ...

    async def drop(self, uid: str, conversation_id: str) -> bool: ...


class Decisions(Protocol):
    """Why segments have the speakers they have."""

    async def decision(self, uid: str, conversation_id: str, segment_id: str) -> dict[str, Any] | None: ...


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
    def now(self) -> "Now": ...


class Now(Protocol):
    """The wall clock."""

    def __call__(self) -> int:
        """Microseconds since the epoch (UTC)."""
        ...
