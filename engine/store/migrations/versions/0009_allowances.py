"""How often somebody may do something, for all processes together."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "allowances",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("what", sa.String(), primary_key=True),
        sa.Column("full_at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("allowances")
