"""What happened to received audio, for readers of all processes."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "received_events",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("received_events_by_age", "received_events", ["created_at"])


def downgrade() -> None:
    op.drop_table("received_events")
