"""What the database knows of files, which are kept elsewhere: see `engine.store.blobs`."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from engine.store.tables._metadata import metadata

# Keys that all processes sign with, made by the first that needs one. A small reference table.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", String, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)

# Blobs that nothing refers to any more, until they are erased: see `engine.store.blob_erasures`.
blob_erasures = Table(
    "blob_erasures",
    metadata,
    Column("uid", String, primary_key=True),
    Column("place", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

# Recordings of conversations, a blob each piece. Sample 0 of its session was received at `base_at`; the piece begins
# at sample `start` of the session. So pieces of one session join to the sample, and all lie on one clock.
recordings = Table(
    "recordings",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("conversation_id", String, nullable=False),
    Column("base_at", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("recordings_by_conversation", "uid", "conversation_id"),
    Index("recordings_by_time", "created_at"),
)
