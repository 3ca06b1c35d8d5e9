"""The first schema: conversations and their segments, usage, tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("last_speech_at", sa.BigInteger(), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("language", sa.String()),
        sa.Column("structured", sa.JSON(), nullable=False),
        sa.Column("discarded", sa.Boolean(), nullable=False),
        sa.Column("visibility", sa.String(), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
    )
    op.create_index("conversations_by_status", "conversations", ["uid", "status", "created_at"])
    op.create_index("conversations_by_time", "conversations", ["uid", "created_at"])
    op.create_index("conversations_unfinished", "conversations", ["status"])
    op.create_table(
        "deleted_conversations",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("deleted_conversations_by_time", "deleted_conversations", ["deleted_at"])
    op.create_table(
        "segments",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("conversation_id", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("end", sa.Double(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("speaker", sa.String(), nullable=False),
        sa.Column("is_user", sa.Boolean(), nullable=False),
        sa.Column("person_id", sa.String()),
        sa.Column("translations", sa.JSON(), nullable=False),
        sa.Column("speech_profile_processed", sa.Boolean(), nullable=False),
        sa.Column("stt_provider", sa.String()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
    )
    op.create_index("segments_by_ordinal", "segments", ["uid", "conversation_id", "ordinal"])
    op.create_table(
        "usage",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("hour", sa.BigInteger(), primary_key=True),
        sa.Column("audio_seconds", sa.Double(), nullable=False),
        sa.Column("speech_seconds", sa.Double(), nullable=False),
        sa.Column("words", sa.BigInteger(), nullable=False),
        sa.Column("segments", sa.BigInteger(), nullable=False),
        sa.Column("conversations", sa.BigInteger(), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
    )
    op.create_index("usage_by_hour", "usage", ["hour"])
    op.create_table(
        "vendor_usage",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("hour", sa.BigInteger(), primary_key=True),
        sa.Column("vendor", sa.String(), primary_key=True),
        sa.Column("seconds", sa.Double(), nullable=False),
    )
    op.create_table(
        "usage_entries",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("hour", sa.BigInteger(), nullable=False),
    )
    op.create_index("usage_entries_by_hour", "usage_entries", ["hour"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
    )
    op.create_index("tokens_by_uid", "tokens", ["uid", "created_at"])
    op.create_table(
        "probes",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("probes")
    op.drop_table("tokens")
    op.drop_table("usage_entries")
    op.drop_table("vendor_usage")
    op.drop_table("usage")
    op.drop_table("segments")
    op.drop_table("deleted_conversations")
    op.drop_table("conversations")
