"""What users' voices, and those of people they know, sound like; and who was recognised by them."""

from sqlalchemy import JSON, BigInteger, Column, Double, Index, LargeBinary, String, Table

from engine.store.tables._metadata import NULLABLE_JSON, metadata

# A recording of a voice: the blob `name` has the audio, `vector` what it sounds like to `encoder`. `person_id` is
# `user` for the owner. `vendors` are those whose own recognition it can serve.
voices = Table(
    "voices",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("person_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("encoder", String, nullable=False),
    Column("vendors", JSON, nullable=False),
    Column("source", NULLABLE_JSON),
    Column("created_at", BigInteger, nullable=False),
    Index("voices_by_person", "uid", "person_id", "created_at"),
)

# Why a segment has the speaker it has.
speaker_decisions = Table(
    "speaker_decisions",
    metadata,
    Column("uid", String, primary_key=True),
    Column("conversation_id", String, primary_key=True),
    Column("segment_id", String, primary_key=True),
    Column("decision", JSON, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
)
