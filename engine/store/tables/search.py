"""What users find their conversations by."""

from sqlalchemy import BigInteger, Column, Index, String, Table

from engine.store._half_vector import HalfVector
from engine.store._search_words import SearchWords
from engine.store.tables._metadata import metadata

# Vectors have length 1. `kind` is what `id` is the id of.
vectors = Table(
    "vectors",
    metadata,
    Column("uid", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("vector", HalfVector, nullable=False),
)

# The people, topics and entities (`what`) by which a vector may be asked for, in small letters.
vector_labels = Table(
    "vector_labels",
    metadata,
    Column("uid", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("what", String, primary_key=True),
    Column("label", String, primary_key=True),
    Index("vector_labels_by_label", "uid", "kind", "what", "label"),
)

# Another number after every change of a user's vectors, so that what is kept in memory can be told from what is new.
vector_versions = Table(
    "vector_versions",
    metadata,
    Column("uid", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("version", BigInteger, nullable=False),
)

# What is looked at when a user searches for words in their conversations: see `engine.store.texts`. The index is the
# database's own and not among these tables (`OWN_INDEX`); `number` is the row's in that of SQLite, null elsewhere.
texts = Table(
    "texts",
    metadata,
    Column("uid", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("number", BigInteger),
    Column("words", SearchWords, nullable=False),
    Index("texts_by_number", "number", unique=True),
)

OWN_INDEX = "texts_index"
"""What a database calls its full text index begins with this, also SQLite's tables behind it."""


def is_compared(name: str | None, kind: str, _parents: object) -> bool:
    """Alembic's `include_name`: whether something in a database must stand among these tables."""
    return name is None or not name.startswith(OWN_INDEX)
