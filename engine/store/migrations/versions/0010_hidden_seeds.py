"""What searches do not show, in an index of its own; of what the ids of an idempotent request are made."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    columns = sa.table("conversations", sa.column("deleted_at"), *_flags()).c
    hidden = sa.or_(
        columns.deleted_at.is_not(None), columns.is_locked == sa.true(), columns.discarded == sa.true()
    )
    op.create_index(
        "conversations_hidden",
        "conversations",
        ["uid", "id", "deleted_at", "is_locked", "discarded"],
        sqlite_where=hidden,
        postgresql_where=hidden,
    )
    op.add_column("idempotency", sa.Column("seed", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("idempotency") as table:
        table.alter_column("seed", server_default=None)


def downgrade() -> None:
    op.drop_column("idempotency", "seed")
    op.drop_index("conversations_hidden", "conversations")


def _flags() -> tuple[sa.ColumnClause[bool], sa.ColumnClause[bool]]:
    return sa.column("is_locked", sa.Boolean()), sa.column("discarded", sa.Boolean())
