"""Who may come in, what for, and what they have used."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, String, Table

from engine.store.tables._metadata import NULLABLE_JSON, metadata

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

# What a creation under an idempotency key was answered with. `digest` is of the request.
idempotency = Table(
    "idempotency",
    metadata,
    Column("uid", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("seed", String, nullable=False),
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

# How often somebody may do something (`what`): when their bucket is full again.
allowances = Table(
    "allowances",
    metadata,
    Column("uid", String, primary_key=True),
    Column("what", String, primary_key=True),
    Column("full_at", BigInteger, nullable=False),
)
