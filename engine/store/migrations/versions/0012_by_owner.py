"""What its owner did to an action item, and what they removed of a conversation, outlasts processing it again."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column(
        "action_items", sa.Column("by_owner", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # What has changed since it was made was changed by its owner; what is of no conversation they wrote.
    names = ("updated_at", "created_at", "conversation_id")
    items = sa.table("action_items", sa.column("by_owner", sa.Boolean()), *map(sa.column, names))
    theirs = sa.or_(items.c.updated_at > items.c.created_at, items.c.conversation_id.is_(None))
    op.execute(sa.update(items).where(theirs).values(by_owner=True))
    op.create_table(
        "unwanted",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("conversation_id", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("unwanted")
    op.drop_column("action_items", "by_owner")
