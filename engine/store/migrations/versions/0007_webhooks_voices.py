"""Summaries of days; webhooks and what they are told; what is known of files; recordings of voices; apps."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    _make_day_summaries()
    _make_webhooks()
    _make_deliveries()
    _make_webhook_secrets()
    _make_blobs()
    _make_voices()
    _make_apps()
    _make_app_reviews()
    _make_received_files()
    _make_received_messages()


def downgrade() -> None:
    for name in ("received_messages", "received_files"):
        op.drop_table(name)
    for name in ("app_reviews", "app_images", "apps"):
        op.drop_table(name)
    op.drop_index("enabled_apps_by_app", "enabled_apps")
    op.drop_column("enabled_apps", "preferred_at")
    for name in ("speaker_decisions", "voices"):
        op.drop_table(name)
    for name in ("recordings", "blob_erasures", "signing_keys", "webhook_secrets", "deliveries", "webhooks"):
        op.drop_table(name)
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


def _make_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("trigger", sa.String(), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer()),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("settings_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("paused_until", sa.BigInteger()),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("dead", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_reason", sa.Text()),
        sa.Column("last_attempt_at", sa.BigInteger()),
        sa.Column("last_success_at", sa.BigInteger()),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("owner", sa.String()),
        sa.Column("claimed_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("webhooks_due", "webhooks", ["due_at"])


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("query", sa.JSON(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("file", sa.String()),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", sa.BigInteger()),
        sa.Column("status", sa.Integer()),
        sa.Column("milliseconds", sa.Integer()),
        sa.Column("reason", sa.Text()),
        sa.Column("history", sa.JSON(), nullable=False),
    )
    columns = ["uid", "endpoint", "trigger", "state", "sequence"]
    op.create_index("deliveries_of_endpoint", "deliveries", columns)
    op.create_index("deliveries_by_time", "deliveries", ["uid", "created_at"])
    op.create_index("deliveries_due", "deliveries", ["due_at"])
    op.create_index("deliveries_ended", "deliveries", ["ended_at"])


def _make_webhook_secrets() -> None:
    op.create_table(
        "webhook_secrets",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
    )


def _make_blobs() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "blob_erasures",
        sa.Column("uid", sa.String, primary_key=True),
        sa.Column("place", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "recordings",
        sa.Column("uid", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("conversation_id", sa.String, nullable=False),
        sa.Column("base_at", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("recordings_by_conversation", "recordings", ["uid", "conversation_id"])
    op.create_index("recordings_by_time", "recordings", ["created_at"])


def _make_voices() -> None:
    op.create_table(
        "voices",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("encoder", sa.String(), nullable=False),
        sa.Column("vendors", sa.JSON(), nullable=False),
        sa.Column("source", sa.JSON(none_as_null=True)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("voices_by_person", "voices", ["uid", "person_id", "created_at"])
    op.create_table(
        "speaker_decisions",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("conversation_id", sa.String(), primary_key=True),
        sa.Column("segment_id", sa.String(), primary_key=True),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
    )


def _make_apps() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("memory_prompt", sa.Text()),
        sa.Column("chat_prompt", sa.Text()),
        sa.Column("external_integration", sa.JSON(none_as_null=True)),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("chat_tools", sa.JSON(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("old_secret", sa.String()),
        sa.Column("old_secret_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("apps_by_uid", "apps", ["uid"])
    op.create_index("apps_by_name", "apps", ["private", "name"])
    op.create_table(
        "app_images",
        sa.Column("app_id", sa.String(), primary_key=True),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("app_images_by_uid", "app_images", ["uid"])
    op.add_column("enabled_apps", sa.Column("preferred_at", sa.BigInteger()))
    op.create_index("enabled_apps_by_app", "enabled_apps", ["app_id"])


def _make_app_reviews() -> None:
    op.create_table(
        "app_reviews",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("app_id", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("review", sa.Text(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("rated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger()),
        sa.Column("responded_at", sa.BigInteger()),
    )
    op.create_index("app_reviews_by_app", "app_reviews", ["app_id", "rated_at"])


def _make_received_files() -> None:
    op.create_table(
        "received_files",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("session_began_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.String()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("received_files_by_time", "received_files", ["uid", "kind", "created_at"])
    op.create_index("received_files_by_age", "received_files", ["created_at"])


def _make_received_messages() -> None:
    op.create_table(
        "received_messages",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String()),
        sa.Column("session_id", sa.String()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("received_messages_by_time", "received_messages", ["uid", "created_at"])
    op.create_index("received_messages_by_age", "received_messages", ["created_at"])
