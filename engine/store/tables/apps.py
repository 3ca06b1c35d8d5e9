"""Apps: what they say of themselves, their keys, who lets them in, and what is thought of them."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, LargeBinary, String, Table, Text

from engine.store.tables._metadata import NULLABLE_JSON, metadata

# Apps that were registered; `uid` is who registered one. `secret` signs what is sent to it,
# and for a while the one that it took the place of.
apps = Table(
    "apps",
    metadata,
    Column("id", String, primary_key=True),
    Column("uid", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("author", String, nullable=False),
    Column("category", String, nullable=False),
    Column("image", Text, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("capabilities", JSON, nullable=False),
    Column("memory_prompt", Text),
    Column("chat_prompt", Text),
    Column("external_integration", NULLABLE_JSON),
    Column("scopes", JSON, nullable=False),
    Column("chat_tools", JSON, nullable=False),
    Column("secret", String, nullable=False),
    Column("old_secret", String),
    Column("old_secret_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("apps_by_uid", "uid"),
    Index("apps_by_name", "private", "name"),
)

# Pictures of apps that were sent as files.
app_images = Table(
    "app_images",
    metadata,
    Column("app_id", String, primary_key=True),
    Column("uid", String, nullable=False),
    Column("image", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("app_images_by_uid", "uid"),
)

# Keys of apps, also of such as were never registered. `uid` is who made the key, not whose data it opens.
app_keys = Table(
    "app_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", String, nullable=False),
    Column("app_id", String, nullable=False),
    Column("uid", String, nullable=False),
    Column("label", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("app_keys_by_app", "app_id", "created_at"),
    Index("app_keys_by_uid", "uid"),
)

# The apps that a user lets have their data. The one that was preferred last is asked first.
enabled_apps = Table(
    "enabled_apps",
    metadata,
    Column("uid", String, primary_key=True),
    Column("app_id", String, primary_key=True),
    Column("enabled_at", BigInteger, nullable=False),
    Column("preferred_at", BigInteger),
    Index("enabled_apps_by_app", "app_id"),
)

# What users say of apps, `uid` being who says it; `id` stands for them where others read it.
app_reviews = Table(
    "app_reviews",
    metadata,
    Column("uid", String, primary_key=True),
    Column("app_id", String, primary_key=True),
    Column("id", String, nullable=False),
    Column("score", Double, nullable=False),
    Column("review", Text, nullable=False),
    Column("username", String, nullable=False),
    Column("response", Text, nullable=False),
    Column("rated_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger),
    Column("responded_at", BigInteger),
    Index("app_reviews_by_app", "app_id", "rated_at"),
)
