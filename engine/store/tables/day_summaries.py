"""The summaries of users' days, and what the schedule that makes them has to remember."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, String, Table

from engine.store.tables._metadata import metadata

# `date` is the day in the user's time zone (2026-11-21). `scheduled`: made when the user's hour came, not by hand.
day_summaries = Table(
    "day_summaries",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("date", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("scheduled", Boolean, nullable=False),
    Column("summary", JSON, nullable=False),
    Index("day_summaries_by_date", "uid", "date", unique=True),
)

# The schedule has begun with a user's day, and does not begin with it again before `locked_until`.
day_summary_locks = Table(
    "day_summary_locks",
    metadata,
    Column("uid", String, primary_key=True),
    Column("date", String, primary_key=True),
    Column("locked_until", BigInteger, nullable=False),
    Index("day_summary_locks_by_time", "locked_until"),
)

# How far a schedule has come, by its name. A small reference table.
schedules = Table(
    "schedules",
    metadata,
    Column("name", String, primary_key=True),
    Column("covered_until", BigInteger, nullable=False),
)
