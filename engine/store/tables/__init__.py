"""The tables. Every record of a user has a key that begins with `uid`; tokens are a small reference table.

Times are integer microseconds since the epoch (UTC): SQLite would give aware datetimes back without a zone.
There are no foreign keys: a batch must not fail as a whole because one of its conversations was deleted.
A change here needs a revision in `migrations/versions`; a test compares the two.
"""

from engine.store.tables._metadata import metadata
from engine.store.tables.access import allowances, idempotency, tokens, usage, usage_entries, vendor_usage
from engine.store.tables.apps import app_images, app_keys, app_reviews, apps, enabled_apps
from engine.store.tables.blobs import blob_erasures, recordings, signing_keys
from engine.store.tables.conversations import (
    action_items,
    conversations,
    deleted_conversations,
    memories,
    photos,
    segments,
    shared_conversations,
    unwanted,
)
from engine.store.tables.day_summaries import day_summaries, day_summary_locks, schedules
from engine.store.tables.received import received_events, received_files, received_messages
from engine.store.tables.search import OWN_INDEX, is_compared, texts, vector_labels, vector_versions, vectors
from engine.store.tables.users import folders, goal_progress, goals, messages, people, users
from engine.store.tables.voices import speaker_decisions, voices
from engine.store.tables.webhooks import deliveries, webhook_secrets, webhooks
from engine.store.tables.work import jobs, leases, probes

__all__ = [
    "OWN_INDEX",
    "action_items",
    "allowances",
    "app_images",
    "app_keys",
    "app_reviews",
    "apps",
    "blob_erasures",
    "conversations",
    "day_summaries",
    "day_summary_locks",
    "deleted_conversations",
    "deliveries",
    "enabled_apps",
    "folders",
    "goal_progress",
    "goals",
    "idempotency",
    "is_compared",
    "jobs",
    "leases",
    "memories",
    "messages",
    "metadata",
    "people",
    "photos",
    "probes",
    "received_events",
    "received_files",
    "received_messages",
    "recordings",
    "schedules",
    "segments",
    "shared_conversations",
    "signing_keys",
    "speaker_decisions",
    "texts",
    "tokens",
    "unwanted",
    "usage",
    "usage_entries",
    "users",
    "vector_labels",
    "vector_versions",
    "vectors",
    "vendor_usage",
    "voices",
    "webhook_secrets",
    "webhooks",
]
