"""What belongs to a user beside their conversations."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, String, Table, Text

from engine.store.tables._metadata import NULLABLE_JSON, metadata

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
    Column("daily_summary_enabled", Boolean, nullable=False),
    Column("daily_summary_hour", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("users_by_summary", "time_zone", "daily_summary_hour"),
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
