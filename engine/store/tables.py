"""The tables. Every record of a user has a key that begins with `uid`; tokens are a small reference table.

Times are integer microseconds since the epoch (UTC): SQLite would give aware datetimes back without a zone.
There are no foreign keys: a batch must not fail as a whole because one of its conversations was deleted.
A change here needs a revision in `migrations/versions`; a test compares the two.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from engine.store._half_vector import HalfVector
from engine.store._search_words import SearchWords

metadata = MetaData()

NULLABLE_JSON = JSON(none_as_null=True)

conversations = Table(
    "conversations",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("status", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    Column("last_speech_at", BigInteger, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("source", String, nullable=False),
    Column("language", String),
    Column("structured", JSON, nullable=False),
    Column("discarded", Boolean, nullable=False),
    Column("visibility", String, nullable=False),
    Column("starred", Boolean, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("emotions", Text, nullable=False),
    Column("apps_results", JSON, nullable=False),
    Column("external_data", NULLABLE_JSON),
    Column("geolocation", NULLABLE_JSON),
    Column("app_id", String),
    Column("folder_id", String),
    Column("is_locked", Boolean, nullable=False),
    Column("processing_version", Integer, nullable=False),
    Column("failure", Text),
    Column("deleted_at", BigInteger),
    Index("conversations_by_time", "uid", "created_at"),
    Index("conversations_by_status", "uid", "status", "created_at"),
    Index("conversations_unfinished", "status"),
)

# Deleted conversations, so that a journal replayed later does not bring them back.
deleted_conversations = Table(
    "deleted_conversations",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("deleted_at", BigInteger, nullable=False),
    Index("deleted_conversations_by_time", "deleted_at"),
)

# A deleted segment stays as an empty row with `deleted` set, so that a late record does not bring it back.
# `ordinal` counts a conversation's segments in the order they first came: it orders equal start times.
segments = Table(
    "segments",
    metadata,
    Column("uid", String, primary_key=True),
    Column("conversation_id", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("text", Text, nullable=False),
    Column("speaker", String, nullable=False),
    Column("is_user", Boolean, nullable=False),
    Column("person_id", String),
    Column("translations", JSON, nullable=False),
    Column("speech_profile_processed", Boolean, nullable=False),
    Column("stt_provider", String),
    Column("revision", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Index("segments_by_ordinal", "uid", "conversation_id", "ordinal"),
)

# What was drawn from a locked conversation is locked with it.
# Of a conversation's `structured` the action items are here alone. `id` is made of the conversation, its processing
# version and the item's place in it (or drawn, for those made by hand), so that writing them twice makes no second one.
action_items = Table(
    "action_items",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("conversation_id", String),
    Column("ordinal", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("completed", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("speaker", String),
    Column("is_user", Boolean, nullable=False),
    Column("exported", Boolean, nullable=False),
    Column("export_date", BigInteger),
    Column("export_platform", String),
    Column("is_locked", Boolean, nullable=False),
    Index("action_items_by_time", "uid", "created_at"),
    Index("action_items_by_conversation", "uid", "conversation_id", "ordinal"),
)

memories = Table(
    "memories",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("conversation_id", String),
    Column("content", Text, nullable=False),
    Column("category", String, nullable=False),
    Column("visibility", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("reviewed", Boolean, nullable=False),
    Column("user_review", Boolean),
    Column("manually_added", Boolean, nullable=False),
    Column("edited", Boolean, nullable=False),
    Column("app_id", String),
    Column("is_locked", Boolean, nullable=False),
    Index("memories_by_time", "uid", "created_at"),
    Index("memories_by_conversation", "uid", "conversation_id"),
)

# `image` is what the client sent, decoded.
photos = Table(
    "photos",
    metadata,
    Column("uid", String, primary_key=True),
    Column("conversation_id", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("image", LargeBinary, nullable=False),
    Column("description", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("discarded", Boolean, nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# `place` is where the user put it among the others.
folders = Table(
    "folders",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("description", Text),
    Column("color", String),
    Column("icon", String),
    Column("place", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

goals = Table(
    "goals",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("title", Text, nullable=False),
    Column("goal_type", String, nullable=False),
    Column("target_value", Double, nullable=False),
    Column("current_value", Double, nullable=False),
    Column("min_value", Double, nullable=False),
    Column("max_value", Double, nullable=False),
    Column("unit", String),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# One row a day: the last value of that day (UTC, days since the epoch).
goal_progress = Table(
    "goal_progress",
    metadata,
    Column("uid", String, primary_key=True),
    Column("goal_id", String, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("value", Double, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

# The chat. `sender` is "human" or "ai"; `citations` names the conversations an answer rests on.
messages = Table(
    "messages",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("app_id", String),
    Column("sender", String, nullable=False),
    Column("type", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("citations", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("messages_by_time", "uid", "created_at"),
)

# What a user has set. A user without a row has the defaults.
users = Table(
    "users",
    metadata,
    Column("uid", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("language", String, nullable=False),
    Column("time_zone", String, nullable=False),
    Column("single_language_mode", Boolean, nullable=False),
    Column("vocabulary", JSON, nullable=False),
    Column("private_cloud_sync", Boolean, nullable=False),
    Column("store_recording_permission", Boolean, nullable=False),
    Column("geolocation", NULLABLE_JSON),
    Column("updated_at", BigInteger, nullable=False),
)

# What a creation under an idempotency key was answered with. `digest` is of the request.
idempotency = Table(
    "idempotency",
    metadata,
    Column("uid", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("status", Integer),
    Column("answer", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_by_time", "created_at"),
)

usage = Table(
    "usage",
    metadata,
    Column("uid", String, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("audio_seconds", Double, nullable=False),
    Column("speech_seconds", Double, nullable=False),
    Column("words", BigInteger, nullable=False),
    Column("segments", BigInteger, nullable=False),
    Column("conversations", BigInteger, nullable=False),
    Column("sessions", BigInteger, nullable=False),
    Index("usage_by_hour", "hour"),
)

vendor_usage = Table(
    "vendor_usage",
    metadata,
    Column("uid", String, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("vendor", String, primary_key=True),
    Column("seconds", Double, nullable=False),
)

# Which entries were added up, so that a replayed one is not added twice. Pruned once no journal is older.
usage_entries = Table(
    "usage_entries",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("hour", BigInteger, nullable=False),
    Index("usage_entries_by_hour", "hour"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", String, nullable=False),
    Column("uid", String, nullable=False),
    Column("label", String, nullable=False),
    Column("scopes", NULLABLE_JSON),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("tokens_by_uid", "uid", "created_at"),
)

# Keys of apps. `uid` is who made the key, not whose data it opens.
app_keys = Table(
    "app_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", String, nullable=False),
    Column("app_id", String, nullable=False),
    Column("uid", String, nullable=False),
    Column("label", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("app_keys_by_app", "app_id", "created_at"),
    Index("app_keys_by_uid", "uid"),
)

# The apps that a user lets have their data.
enabled_apps = Table(
    "enabled_apps",
    metadata,
    Column("uid", String, primary_key=True),
    Column("app_id", String, primary_key=True),
    Column("enabled_at", BigInteger, nullable=False),
)

# Who may do what: see `engine.store.leases`. A small reference table, as the tokens are.
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("leases_by_owner", "owner"),
)

# Vectors have length 1. `kind` is what `id` is the id of.
vectors = Table(
    "vectors",
    metadata,
    Column("uid", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("vector", HalfVector, nullable=False),
)

# The people, topics and entities (`what`) by which a vector may be asked for, in small letters.
vector_labels = Table(
    "vector_labels",
    metadata,
    Column("uid", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("what", String, primary_key=True),
    Column("label", String, primary_key=True),
    Index("vector_labels_by_label", "uid", "kind", "what", "label"),
)

# Another number after every change of a user's vectors, so that what is kept in memory can be told from what is new.
vector_versions = Table(
    "vector_versions",
    metadata,
    Column("uid", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("version", BigInteger, nullable=False),
)

# What is looked at when a user searches for words in their conversations: see `engine.store.texts`. The index is the
# database's own and not among these tables (`OWN_INDEX`); `number` is the row's in that of SQLite, null elsewhere.
texts = Table(
    "texts",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("number", BigInteger),
    Column("words", SearchWords, nullable=False),
    Index("texts_by_number", "number", unique=True),
)

OWN_INDEX = "texts_index"
"""What a database calls its full text index begins with this, also SQLite's tables behind it."""

# Which user's conversation is behind a link, for readers without an account. A small reference table.
shared_conversations = Table(
    "shared_conversations",
    metadata,
    Column("id", String, primary_key=True),
    Column("uid", String, nullable=False),
    Index("shared_conversations_by_uid", "uid"),
)

# Work to be done: see `engine.store.jobs`. The first index finds what is due, the second what has to be looked at.
jobs = Table(
    "jobs",
    metadata,
    Column("uid", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("payload", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("owner", String),
    Column("error", Text),
    Column("failed_at", BigInteger),
    Index("jobs_by_time", "kind", "due_at"),
    Index("jobs_failed", "failed_at"),
)

# One row, written by the readiness check: only a committed write shows that the disk takes writes.
probes = Table(
    "probes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("written_at", BigInteger, nullable=False),
)


def is_compared(name: str | None, kind: str, _parents: object) -> bool:
    """Alembic's `include_name`: whether something in a database must stand among these tables."""
    return name is None or not name.startswith(OWN_INDEX)
