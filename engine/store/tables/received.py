"""What other servers' webhooks sent to this one, for its users."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from engine.store.tables._metadata import metadata

# A file in the blob store: audio (`kind` "audio"), or what was measured of the audio whose id is this one's without
# ".results". `position` counts samples since its session began, which was at `session_began_at`.
received_files = Table(
    "received_files",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("session_id", String, nullable=False),
    Column("session_began_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("sample_rate", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("delivery_id", String),
    Column("created_at", BigInteger, nullable=False),
    Index("received_files_by_time", "uid", "kind", "created_at"),
    Index("received_files_by_age", "created_at"),
)

# The body of a request as it came, a JSON value. `id` is made of trigger and delivery id where there is one.
received_messages = Table(
    "received_messages",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("trigger", String, nullable=False),
    Column("delivery_id", String),
    Column("session_id", String),
    Column("body", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("received_messages_by_time", "uid", "created_at"),
    Index("received_messages_by_age", "created_at"),
)

# What happened to received audio, numbered for each user from 1 in the order in which it was kept; `body` is JSON.
received_events = Table(
    "received_events",
    metadata,
    Column("uid", String, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("received_events_by_age", "created_at"),
)
