"""Conversations and what is made of them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    or_,
    true,
)

from engine.store.tables._metadata import NULLABLE_JSON, metadata

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
    Index("conversations_by_creation", "created_at"),
    Index("conversations_by_status", "uid", "status", "created_at"),
    Index("conversations_unfinished", "status"),
)

# What no search shows, or only if asked: few rows, in which the many that a search finds are looked up.
_HIDDEN = or_(
    conversations.c.deleted_at.is_not(None),
    conversations.c.is_locked == true(),
    conversations.c.discarded == true(),
)
Index(
    "conversations_hidden",
    conversations.c.uid,
    conversations.c.id,
    conversations.c.deleted_at,
    conversations.c.is_locked,
    conversations.c.discarded,
    sqlite_where=_HIDDEN,
    postgresql_where=_HIDDEN,
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

# Which user's conversation is behind a link, for readers without an account. A small reference table.
shared_conversations = Table(
    "shared_conversations",
    metadata,
    Column("id", String, primary_key=True),
    Column("uid", String, nullable=False),
    Index("shared_conversations_by_uid", "uid"),
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
    Column("by_owner", Boolean, nullable=False),
    Index("action_items_by_time", "uid", "created_at"),
    Index("action_items_by_conversation", "uid", "conversation_id", "ordinal"),
)

# What was made of a conversation and its owner removed or said otherwise, in the words it had: it is not made again.
# `id` is that of the action item or memory.
unwanted = Table(
    "unwanted",
    metadata,
    Column("uid", String, primary_key=True),
    Column("conversation_id", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("text", Text, nullable=False),
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

# `image` is what the client sent, decoded, until that is a file of its own: then it is empty, and `blob` the file's
# name.
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
    Column("blob", String),
)
Index(
    "photos_in_rows",
    photos.c.uid,
    sqlite_where=photos.c.blob.is_(None),
    postgresql_where=photos.c.blob.is_(None),
)
