"""What is kept: conversations, usage and tokens in a database, and the journals in front of it.

Other rooms reach it through small Protocols of their own; whoever puts the process together opens a `Store`.
"""

from engine.store.errors import DatabaseUnavailable, JournalFull, NewerDatabaseError, StoreError, WriterFull
from engine.store.jobs import Job, Jobs
from engine.store.journal import Journal
from engine.store.records import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    MERGING,
    PROCESSING,
    ConversationClosed,
    ConversationOpened,
    ConversationRestarted,
    ConversationRow,
    JournalRecord,
    SegmentsChanged,
    SegmentsDeleted,
    TokenRow,
    UsageAdded,
    UsageRow,
)
from engine.store.recovery import Recovery
from engine.store.store import Store
from engine.store.usage import hour_of
from engine.store.vectors import VectorFilter, VectorHit, VectorKind, VectorRow, Vectors
from engine.store.writer import DatabaseWriter, WriterStatistics

__all__ = [
    "COMPLETED",
    "FAILED",
    "IN_PROGRESS",
    "MERGING",
    "PROCESSING",
    "ConversationClosed",
    "ConversationOpened",
    "ConversationRestarted",
    "ConversationRow",
    "DatabaseUnavailable",
    "DatabaseWriter",
    "Job",
    "Jobs",
    "Journal",
    "JournalFull",
    "JournalRecord",
    "NewerDatabaseError",
    "Recovery",
    "SegmentsChanged",
    "SegmentsDeleted",
    "Store",
    "StoreError",
    "TokenRow",
    "UsageAdded",
    "UsageRow",
    "VectorFilter",
    "VectorHit",
    "VectorKind",
    "VectorRow",
    "Vectors",
    "WriterFull",
    "WriterStatistics",
    "hour_of",
]
