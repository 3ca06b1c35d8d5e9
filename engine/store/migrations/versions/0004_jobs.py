"""Durable jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String()),
        sa.Column("error", sa.Text()),
        sa.Column("failed_at", sa.BigInteger()),
    )
    op.create_index("jobs_by_time", "jobs", ["kind", "due_at"])
    op.create_index("jobs_failed", "jobs", ["failed_at"])


def downgrade() -> None:
    op.drop_table("jobs")
