"""Pictures are files of their own: those that are in rows are moved by jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("photos", sa.Column("blob", sa.String()))
    in_row = sa.column("blob").is_(None)
    op.create_index("photos_in_rows", "photos", ["uid"], sqlite_where=in_row, postgresql_where=in_row)
    op.execute(
        "INSERT INTO jobs (uid, kind, key, payload, created_at, due_at, attempts, failures)"
        " SELECT uid, 'move_photos', 'photos', '{}', 0, 0, 0, 0 FROM photos GROUP BY uid"
    )


def downgrade() -> None:
    # What has been moved stays where it is, and is not shown.
    op.drop_index("photos_in_rows", "photos")
    op.drop_column("photos", "blob")
