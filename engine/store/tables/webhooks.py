"""Who is told of what happens to a user, and what they were told."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from engine.store.tables._metadata import metadata

# One endpoint of a user's: `name` is "developer", or "app:" and an app's id (whose URL the app's registry has).
# What is set, how the endpoint is doing, what it was sent; `sequence` numbers its deliveries. `due_at`: when somebody
# has to look after it, who then holds it as `owner` until `claimed_until`.
webhooks = Table(
    "webhooks",
    metadata,
    Column("uid", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("trigger", String, primary_key=True),
    Column("url", Text, nullable=False),
    Column("seconds", Integer),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_at", BigInteger),
    Column("disabled_reason", Text),
    Column("settings_at", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since", BigInteger),
    Column("paused_until", BigInteger),
    Column("requests", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("dead", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("last_status", Integer),
    Column("last_reason", Text),
    Column("last_attempt_at", BigInteger),
    Column("last_success_at", BigInteger),
    Column("sequence", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("owner", String),
    Column("claimed_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("webhooks_due", "due_at"),
)

# What an endpoint is to be told, is told or was told. The body is here, or in a file of the spool.
# `history`: the latest attempts, each [time, status, milliseconds, reason].
deliveries = Table(
    "deliveries",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("endpoint", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("query", JSON, nullable=False),
    Column("content_type", String, nullable=False),
    Column("body", LargeBinary),
    Column("file", String),
    Column("size", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", BigInteger),
    Column("status", Integer),
    Column("milliseconds", Integer),
    Column("reason", Text),
    Column("history", JSON, nullable=False),
    Index("deliveries_of_endpoint", "uid", "endpoint", "trigger", "state", "sequence"),
    Index("deliveries_by_time", "uid", "created_at"),
    Index("deliveries_due", "due_at"),
    Index("deliveries_ended", "ended_at"),
)

# What a user's deliveries are signed with: the newest, and those before it until `expires_at`.
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("secret", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)
