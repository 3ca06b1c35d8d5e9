"""Vectors as pgvector's own type in PostgreSQL, which then searches them."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _column("halfvec", extension=True)


def downgrade() -> None:
    _column("bytea", extension=False)


def _column(kind: str, *, extension: bool) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    if extension:
        op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    # Vectors are made of what is kept elsewhere, and can be made again.
    op.execute("DELETE FROM vector_labels")
    op.execute("DELETE FROM vectors")
    op.execute("ALTER TABLE vectors DROP COLUMN vector")
    op.execute(f"ALTER TABLE vectors ADD COLUMN vector {kind} NOT NULL")
