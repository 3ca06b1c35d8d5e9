"""One of everything in every table of a user, so that a test of all routes finds something in each.

A new table with a `uid` is filled by itself; what its columns may hold besides any text stands in `VALUES`.
"""

from typing import Any, get_args

import msgspec
import numpy as np
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    insert,
    select,
)
from sqlalchemy.engine import Engine

from engine.conversation.day_summary import DaySummary
from engine.conversation.day_summary.document import Stats
from engine.store._half_vector import HalfVector
from engine.store.tables import metadata
from engine.store.texts import index_conversation
from engine.webhooks.submission import Action

__all__ = ["AT", "UNFILLED", "fill", "identifiers", "kept"]

PNG = b"\x89PNG\r\n\x1a\n"
"""What a picture begins with: nothing else is shown as one."""

AT = 1_700_000_000_000_000
"""µs: when everything happened."""

VALUES: dict[str, Any] = {
    "app_keys.revoked_at": None,
    "apps.private": True,
    "apps.capabilities": ["external_integration"],
    "apps.external_integration": {"actions": [{"action": action} for action in get_args(Action)]},
    "apps.scopes": [],
    "apps.chat_tools": [],
    "conversations.status": "completed",
    "conversations.source": "omi",
    "conversations.language": "en",
    "conversations.visibility": "private",
    "conversations.labels": {},
    "conversations.apps_results": [],
    "conversations.external_data": None,
    "conversations.geolocation": None,
    "conversations.deleted_at": None,
    "conversations.failure": None,
    "day_summaries.date": "2023-11-14",
    "deleted_conversations.id": "gone",
    "deliveries.endpoint": "developer",
    "deliveries.trigger": "memory_created",
    "deliveries.query": {},
    "deliveries.history": [],
    "deliveries.state": "dead",
    "deliveries.due_at": None,
    "deliveries.file": None,
    "jobs.due_at": None,
    "jobs.failed_at": AT,
    "jobs.payload": {},
    "memories.category": "system",
    "memories.visibility": "private",
    "memories.user_review": None,
    "messages.sender": "human",
    "messages.type": "text",
    "goals.goal_type": "scale",
    "goals.is_active": True,
    "users.language": "en",
    "users.time_zone": "UTC",
    "users.geolocation": None,
    "tokens.scopes": None,
    "tokens.expires_at": None,
    "tokens.revoked_at": None,
    "vectors.kind": "conversation",
    "vector_labels.kind": "conversation",
    "vector_labels.what": "topics",
    "vector_versions.kind": "conversation",
    "recordings.start": 0,
    "received_files.kind": "audio",
    "received_files.name": "received/audio.wav",
    "received_files.sample_rate": 16_000,
    "received_files.size": 100,
    "received_messages.size": 100,
    "segments.speaker": "SPEAKER_00",
    "speaker_decisions.decision": {
        "person": None,
        "verdict": "nobody_known",
        "threshold": 0.5,
        "margin": 0.1,
        "seconds": 2.0,
    },
    "voices.name": "voices/voice.wav",
    "voices.source": None,
    "voices.vendors": {},
    "photos.blob": None,
    "segments.translations": [],
    "idempotency.status": 200,
    "webhooks.name": "developer",
    "webhooks.trigger": "memory_created",
    "webhook_secrets.expires_at": None,
}
"""What a column holds by "table.column", where not just any value will do."""

OF_CONVERSATIONS = ("vectors", "vector_labels", "texts", "shared_conversations")
"""Tables whose `id` is a conversation's."""

UNFILLED = ("texts", "shared_conversations")
"""The first is made of what is in the others; nothing is shared."""


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if "uid" in table.c]


def identifiers(uid: str) -> dict[str, str]:
    """The ids of the user's things, by the name that routes call them in path, query and body."""
    of_table = {table.name: f"{uid}-{table.name}" for table in _tables()}
    return {
        "conversation_id": of_table["conversations"],
        "segment_id": of_table["segments"],
        "item_id": of_table["action_items"],
        "item": of_table["action_items"],
        "memory_id": of_table["memories"],
        "person_id": of_table["people"],
        "folder_id": of_table["folders"],
        "goal_id": of_table["goals"],
        "summary_id": of_table["day_summaries"],
        "photo_id": of_table["photos"],
        "message_id": of_table["messages"],
        "delivery_id": of_table["deliveries"],
        "type": "memory_created",
        "key_id": of_table["tokens"],
        "app_id": of_table["apps"],
        "token": "of-nobody",
        "audio_id": of_table["received_files"],
        "received_id": of_table["received_messages"],
        "uid": uid,
    }


def fill(engine: Engine, uid: str, marker: str) -> None:
    """Give the user one row in each table; every text says `marker`."""
    with engine.begin() as connection:
        for table in _tables():
            if table.name not in UNFILLED:
                values = {column.name: _value(table, column, uid, marker) for column in table.c}
                connection.execute(insert(table).values(values))
        index_conversation(connection, uid, identifiers(uid)["conversation_id"])


def _value(table: Table, column: Column[Any], uid: str, marker: str) -> Any:
    named = f"{table.name}.{column.name}"
    if named in VALUES:
        return VALUES[named]
    if named in ("received_messages.body", "received_events.body"):
        return f'"{marker}"'.encode()
    if column.name == "uid":
        return uid
    if column.name == "id":
        return f"{uid}-{'conversations' if table.name in OF_CONVERSATIONS else table.name}"
    if column.name in identifiers(uid):
        return identifiers(uid)[column.name]
    return _of_type(table, column, marker)


def _of_type(table: Table, column: Column[Any], marker: str) -> Any:
    match column.type:
        case HalfVector():
            return np.ones(8, np.float32) / np.sqrt(8)
        case BigInteger():
            return AT
        case Integer():
            return 0
        case Double():
            return 1.0
        case Boolean():
            return False
        case LargeBinary():
            return PNG + marker.encode()
        case JSON() if column.name == "summary":
            return _day(marker)
        case JSON():
            return {"title": marker, "overview": marker} if column.name == "structured" else [marker]
        case String() | Text():
            return f"{marker} {table.name} {column.name}"
    raise TypeError(f"say in VALUES what {table.name}.{column.name} ({column.type!r}) holds")


def _day(marker: str) -> Any:
    stats = Stats(total_conversations=1, total_duration_minutes=1, action_items_count=1)
    summary = DaySummary(
        id=marker, date="2023-11-14", created_at="2023-11-14T22:13:20", overview=marker, stats=stats
    )
    return msgspec.to_builtins(summary)


def kept(engine: Engine, uid: str) -> dict[str, list[Any]]:
    """All rows of the user, by table."""
    with engine.connect() as connection:
        return {
            table.name: sorted(
                (repr(row) for row in connection.execute(select(table).where(table.c.uid == uid))),
            )
            for table in _tables()
        }
