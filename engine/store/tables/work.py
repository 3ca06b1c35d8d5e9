"""What the server itself has to do."""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table, Text

from engine.store.tables._metadata import metadata

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
