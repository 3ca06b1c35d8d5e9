"""Summaries of days, and when they are made."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    _make_day_summaries()


def downgrade() -> None:
    _drop_day_summaries()


def _make_day_summaries() -> None:
    op.create_table(
        "day_summaries",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("date", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
    )
    op.create_index("day_summaries_by_date", "day_summaries", ["uid", "date"], unique=True)
    op.create_table(
        "day_summary_locks",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("date", sa.String(), primary_key=True),
        sa.Column("locked_until", sa.BigInteger(), nullable=False),
    )
    op.create_index("day_summary_locks_by_time", "day_summary_locks", ["locked_until"])
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("covered_until", sa.BigInteger(), nullable=False),
    )
    op.add_column(
        "users", sa.Column("daily_summary_enabled", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.add_column("users", sa.Column("daily_summary_hour", sa.Integer(), nullable=False, server_default="22"))
    op.create_index("users_by_summary", "users", ["time_zone", "daily_summary_hour"])
    op.create_index("conversations_by_creation", "conversations", ["created_at"])


def _drop_day_summaries() -> None:
    op.drop_index("conversations_by_creation", "conversations")
    op.drop_index("users_by_summary", "users")
    for column in ("daily_summary_hour", "daily_summary_enabled"):
        op.drop_column("users", column)
    for table in ("schedules", "day_summary_locks", "day_summaries"):
        op.drop_table(table)
