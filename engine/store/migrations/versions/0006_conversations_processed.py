"""What is made of conversations: action items, memories, photos; and what belongs to a user: settings, people, chat."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0006"
down_revision = "0005"

NULLABLE_JSON = sa.JSON(none_as_null=True)
TABLES = (
    "action_items",
    "memories",
    "photos",
    "people",
    "folders",
    "goals",
    "goal_progress",
    "messages",
    "users",
    "idempotency",
    "texts",
    "shared_conversations",
    "app_keys",
    "enabled_apps",
)
CONVERSATION_COLUMNS = (
    "labels",
    "emotions",
    "apps_results",
    "external_data",
    "geolocation",
    "app_id",
    "folder_id",
    "is_locked",
    "processing_version",
    "failure",
    "deleted_at",
)


def upgrade() -> None:
    _extend_conversations()
    op.add_column("tokens", sa.Column("scopes", NULLABLE_JSON))
    _make_action_items()
    _make_memories()
    _make_photos()
    _make_people()
    _make_folders()
    _make_goals()
    _make_goal_progress()
    _make_messages()
    _make_users()
    _make_idempotency()
    _make_texts()
    _make_shared_conversations()
    _make_apps()


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TABLE texts_index")
    for name in TABLES:
        op.drop_table(name)
    op.drop_column("tokens", "scopes")
    for name in CONVERSATION_COLUMNS:
        op.drop_column("conversations", name)


def _extend_conversations() -> None:
    op.add_column("conversations", sa.Column("labels", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("conversations", sa.Column("emotions", sa.Text(), nullable=False, server_default=""))
    op.add_column("conversations", sa.Column("apps_results", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("conversations", sa.Column("external_data", NULLABLE_JSON))
    op.add_column("conversations", sa.Column("geolocation", NULLABLE_JSON))
    op.add_column("conversations", sa.Column("app_id", sa.String()))
    op.add_column("conversations", sa.Column("folder_id", sa.String()))
    op.add_column(
        "conversations", sa.Column("is_locked", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column(
        "conversations", sa.Column("processing_version", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("conversations", sa.Column("failure", sa.Text()))
    op.add_column("conversations", sa.Column("deleted_at", sa.BigInteger()))


def _make_action_items() -> None:
    op.create_table(
        "action_items",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("conversation_id", sa.String()),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("completed_at", sa.BigInteger()),
        sa.Column("speaker", sa.String()),
        sa.Column("is_user", sa.Boolean(), nullable=False),
        sa.Column("exported", sa.Boolean(), nullable=False),
        sa.Column("export_date", sa.BigInteger()),
        sa.Column("export_platform", sa.String()),
        sa.Column("is_locked", sa.Boolean(), nullable=False),
    )
    op.create_index("action_items_by_conversation", "action_items", ["uid", "conversation_id", "ordinal"])
    op.create_index("action_items_by_time", "action_items", ["uid", "created_at"])


def _make_memories() -> None:
    op.create_table(
        "memories",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("conversation_id", sa.String()),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("visibility", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.Column("user_review", sa.Boolean()),
        sa.Column("manually_added", sa.Boolean(), nullable=False),
        sa.Column("edited", sa.Boolean(), nullable=False),
        sa.Column("app_id", sa.String()),
        sa.Column("is_locked", sa.Boolean(), nullable=False),
    )
    op.create_index("memories_by_conversation", "memories", ["uid", "conversation_id"])
    op.create_index("memories_by_time", "memories", ["uid", "created_at"])


def _make_photos() -> None:
    op.create_table(
        "photos",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("conversation_id", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("discarded", sa.Boolean(), nullable=False),
    )


def _make_people() -> None:
    op.create_table(
        "people",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )


def _make_folders() -> None:
    op.create_table(
        "folders",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("color", sa.String()),
        sa.Column("icon", sa.String()),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )


def _make_goals() -> None:
    op.create_table(
        "goals",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("goal_type", sa.String(), nullable=False),
        sa.Column("target_value", sa.Double(), nullable=False),
        sa.Column("current_value", sa.Double(), nullable=False),
        sa.Column("min_value", sa.Double(), nullable=False),
        sa.Column("max_value", sa.Double(), nullable=False),
        sa.Column("unit", sa.String()),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )


def _make_goal_progress() -> None:
    op.create_table(
        "goal_progress",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("goal_id", sa.String(), primary_key=True),
        sa.Column("day", sa.Integer(), primary_key=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
    )


def _make_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("app_id", sa.String()),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("citations", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("messages_by_time", "messages", ["uid", "created_at"])


def _make_users() -> None:
    op.create_table(
        "users",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("single_language_mode", sa.Boolean(), nullable=False),
        sa.Column("vocabulary", sa.JSON(), nullable=False),
        sa.Column("private_cloud_sync", sa.Boolean(), nullable=False),
        sa.Column("store_recording_permission", sa.Boolean(), nullable=False),
        sa.Column("geolocation", NULLABLE_JSON),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )


def _make_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("idempotency_by_time", "idempotency", ["created_at"])


def _make_texts() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "texts",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger()),
        sa.Column("words", TSVECTOR() if postgresql else sa.Text(), nullable=False),
    )
    op.create_index("texts_by_number", "texts", ["number"], unique=True)
    if postgresql:
        op.execute("CREATE INDEX texts_index ON texts USING gin (words)")
    else:
        _index_texts_in_sqlite()


def _index_texts_in_sqlite() -> None:
    # The index has no copy of the words. It must be told exactly what a row was, to forget it.
    entry = "INSERT INTO texts_index (rowid, owner, words) VALUES (new.number, hex(new.uid), new.words);"
    no_entry = (
        "INSERT INTO texts_index (texts_index, rowid, owner, words)"
        " VALUES ('delete', old.number, hex(old.uid), old.words);"
    )
    op.execute(
        "CREATE VIRTUAL TABLE texts_index USING fts5"
        " (owner, words, content='', tokenize='porter unicode61 remove_diacritics 2')"
    )
    op.execute(f"CREATE TRIGGER texts_made AFTER INSERT ON texts BEGIN {entry} END")
    op.execute(f"CREATE TRIGGER texts_changed AFTER UPDATE ON texts BEGIN {no_entry} {entry} END")
    op.execute(f"CREATE TRIGGER texts_gone AFTER DELETE ON texts BEGIN {no_entry} END")


def _make_shared_conversations() -> None:
    op.create_table(
        "shared_conversations",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("uid", sa.String(), nullable=False),
    )
    op.create_index("shared_conversations_by_uid", "shared_conversations", ["uid"])


def _make_apps() -> None:
    op.create_table(
        "app_keys",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
    )
    op.create_index("app_keys_by_app", "app_keys", ["app_id", "created_at"])
    op.create_index("app_keys_by_uid", "app_keys", ["uid"])
    op.create_table(
        "enabled_apps",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("app_id", sa.String(), primary_key=True),
        sa.Column("enabled_at", sa.BigInteger(), nullable=False),
    )
