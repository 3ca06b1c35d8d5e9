"""Rows and records for the tests, and a wall clock that stands still."""

from typing import Any

import msgspec

from engine.store import ConversationOpened, ConversationRow, SegmentsChanged, UsageRow
from engine.store.app_registry import AppRow
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.wire.messages import Segment

NOW = 1_750_000_000_000_000
HOUR = NOW - NOW % 3_600_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def conversation(id: str = "c1", uid: str = "u1", **changes: Any) -> ConversationRow:
    row = ConversationRow(
        uid=uid,
        id=id,
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW,
        last_speech_at=NOW,
        timeout_seconds=120,
        source="omi",
        language="en",
    )
    return msgspec.structs.replace(row, **changes)


def segment(id: str = "s1", **changes: Any) -> Segment:
    values: dict[str, Any] = {"text": f"Text of {id}.", "start": 0.0, "end": 1.0}
    return Segment(id=id, **(values | changes))


def opened(id: str = "c1", uid: str = "u1", **changes: Any) -> ConversationOpened:
    return ConversationOpened(conversation(id, uid, **changes))


def changed(*segments: Segment, id: str = "c1", uid: str = "u1", at: int = NOW) -> SegmentsChanged:
    return SegmentsChanged(uid, id, segments, finished_at=at, last_speech_at=at)


def usage_row(uid: str = "u1", hour: int = HOUR, **sums: Any) -> UsageRow:
    return UsageRow(uid=uid, hour=hour, **sums)


def memory(id: str = "m1", uid: str = "u1", **changes: Any) -> MemoryRow:
    row = MemoryRow(uid=uid, id=id, content=f"Fact {id}.", created_at=NOW, updated_at=NOW)
    return msgspec.structs.replace(row, **changes)


def action_item(id: str = "a1", uid: str = "u1", **changes: Any) -> ActionItemRow:
    row = ActionItemRow(uid=uid, id=id, description=f"Do {id}.", created_at=NOW, updated_at=NOW)
    return msgspec.structs.replace(row, **changes)


def app(id: str = "app1", uid: str = "maker", **changes: Any) -> AppRow:
    """A public app."""
    row = AppRow(
        id=id,
        uid=uid,
        name=f"App {id}",
        description="Does things.",
        private=False,
        secret="whsec_AAAA",
        created_at=NOW,
        updated_at=NOW,
    )
    return msgspec.structs.replace(row, **changes)
