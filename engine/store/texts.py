"""Full text search among one user's conversations.

Operations: `search`; so that what is found is what is there, in another's transaction: `index_conversation` reads what
is kept of a conversation, `drop_texts` forgets.
Invariants: every statement names the owner. What a user types is split into words before it is a query: no character
of it is syntax. A conversation that is hidden, locked or deleted is not found.
Bounded: `TEXT_LIMIT` bytes of a conversation are indexed, `WORD_LIMIT` words of a query are looked for; of more than
`limit` conversations with them the newest are given.
Cost: SQLite keeps the words twice, in `texts` and in the index FTS5 has of it (`texts_index`, which triggers bring up
to date); the owner is a word of the index, so that a search walks through one user's conversations only. PostgreSQL
keeps a tsvector and a GIN index of it. Ranking counts in how many conversations each word is, of all users: as much
as the words are common, and then it tells least. So those are ranked of which there are no more than `RANKED`.
Known doubts: words are stemmed as English ones are, whatever the language (others are found as they are written);
Chinese, Japanese and Thai are not cut into words, and found by the beginnings of what stands between two marks.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

import msgspec
from sqlalchemy import (
    Boolean,
    Connection,
    Dialect,
    Float,
    String,
    and_,
    bindparam,
    cast,
    delete,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.types import Text

from engine.store.database import Database, upsert
from engine.store.prepared import PreparedQuery, is_listed, listed
from engine.store.records import IN_PROGRESS
from engine.store.tables import action_items, conversations, photos, segments, texts

__all__ = [
    "TextFilter",
    "TextHit",
    "Texts",
    "drop_texts",
    "hidden",
    "index_conversation",
    "index_ended",
    "words_of",
]

TEXT_LIMIT = 500_000
"""Bytes: what PostgreSQL makes of it must stay below 1 MiB, marks of places included."""
WORD_LIMIT = 32
WORD_CHARACTERS = 64
GIVEN = 120
"""Conversations that are given unless more are asked for: each costs some 10 µs (`tests/campaign/scale.md`)."""
RANKED = 100
"""Conversations that have the words, at most, among which how well they fit them decides."""
SEARCH_LIMIT = 1000

_WORD = re.compile(r"[^\W_]+")


class TextFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversations a search looks at: `start` and `end` (µs, both inclusive) bound `created_at`."""

    start: int | None = None
    end: int | None = None
    include_discarded: bool = True


ANY = TextFilter()


class TextHit(msgspec.Struct, frozen=True):
    """One found. Higher scores are better; scores of two searches cannot be compared.

    All scores are 0 where the words are so common that they do not tell one from another.
    """

    id: str
    score: float


def words_of(query: str) -> list[str]:
    """The words of what a user typed: letters and digits, each once, as many as are looked for."""
    found = dict.fromkeys(word[:WORD_CHARACTERS] for word in _WORD.findall(query.casefold()))
    return list(found)[:WORD_LIMIT]


class Texts:
    """The texts of all users' conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self,
        uid: str,
        words: Sequence[str],
        filter: TextFilter = ANY,
        *,
        every: bool = True,
        limit: int = GIVEN,
    ) -> list[TextHit]:
        """A user's conversations that have all of `words` (any, if not `every`), best first, as good ones newest first.

        `words` are those of `words_of`; without any, nothing is found. Raises `ValueError` for a limit outside 1 to
        `SEARCH_LIMIT`.
        """
        if not 1 <= limit <= SEARCH_LIMIT:
            raise ValueError(f"limit: {limit} given, 1 to {SEARCH_LIMIT} accepted")
        return await self._database.read(_with_words, uid, tuple(words), filter, every, limit)

    async def index(self, uid: str, id: str) -> None:
        """As `index_conversation`, in a transaction of its own."""
        await self._database.write(index_conversation, uid, id)


def index_conversation(connection: Connection, uid: str, id: str) -> None:
    """A conversation is found from now on by what is kept of it now; nothing happens when it is not there."""
    of = conversations.c
    found = connection.execute(
        select(of.structured, of.external_data).where(of.uid == uid, of.id == id)
    ).first()
    if found is None:
        return
    structured, external = found.structured, found.external_data or {}
    said = select(segments.c.text).where(
        segments.c.uid == uid, segments.c.conversation_id == id, segments.c.deleted == false()
    )
    to_do = select(action_items.c.description).where(
        action_items.c.uid == uid, action_items.c.conversation_id == id
    )
    seen = select(photos.c.description).where(
        photos.c.uid == uid, photos.c.conversation_id == id, photos.c.description.is_not(None)
    )
    lines = [structured.get("title", ""), structured.get("overview", ""), str(external.get("text", ""))]
    for event in structured.get("events", ()):
        lines += [event.get("title", ""), event.get("description", "")]
    for query in (to_do, seen, said.order_by(segments.c.start, segments.c.ordinal)):
        lines += connection.execute(query).scalars()
    _put(connection, uid, id, "\n".join(filter(None, lines)))


def index_ended(connection: Connection, uid: str, id: str) -> None:
    """Have a conversation found by what it says now; one that is going on is found once it was processed."""
    of = conversations.c
    query = select(of.status).where(of.uid == uid, of.id == id, of.deleted_at.is_(None))
    if connection.execute(query).scalar() not in (None, IN_PROGRESS):
        index_conversation(connection, uid, id)


def drop_texts(connection: Connection, uid: str, ids: Collection[str]) -> None:
    """These conversations are not found any more."""
    connection.execute(delete(texts).where(texts.c.uid == uid, texts.c.id.in_(ids)))


def _put(connection: Connection, uid: str, id: str, text: str) -> None:
    kept = text.encode()[:TEXT_LIMIT].decode(errors="ignore")
    postgresql = connection.dialect.name == "postgresql"
    words = _tsvector(kept) if postgresql else kept
    # SQLite's index knows a row by its number. Writers come one after the other there, so two never draw the same.
    number = None if postgresql else select(func.coalesce(func.max(texts.c.number), 0) + 1).scalar_subquery()
    statement = upsert(connection.dialect.name, texts).values(uid=uid, id=id, number=number, words=words)
    new = {"words": statement.excluded["words"]}
    connection.execute(statement.on_conflict_do_update(index_elements=["uid", "id"], set_=new))


def _tsvector(words: str) -> object:
    return func.to_tsvector(literal_column("'english'"), cast(bindparam(None, words), Text))


_VISIBLE = """
    c.uid = :uid AND c.deleted_at IS NULL AND NOT c.is_locked
    AND (CAST(:start AS BIGINT) IS NULL OR c.created_at >= CAST(:start AS BIGINT))
    AND (CAST(:end AS BIGINT) IS NULL OR c.created_at <= CAST(:end AS BIGINT))
    AND (NOT c.discarded OR :include_discarded)
"""


def _sqlite(score: str) -> str:
    # CROSS JOIN: SQLite keeps the order, and must not look the words up for each conversation.
    return f"""
        SELECT c.id AS id, {score} AS score
        FROM texts_index CROSS JOIN texts t ON t.number = texts_index.rowid
        CROSS JOIN conversations c ON c.uid = t.uid AND c.id = t.id
        WHERE texts_index MATCH :words AND {_VISIBLE}
        ORDER BY texts_index.rowid DESC LIMIT :limit
    """


def _postgresql(score: str) -> str:
    return f"""
        SELECT c.id AS id, {score} AS score
        FROM websearch_to_tsquery('english', :words) AS q(words), texts t
        JOIN conversations c ON c.uid = t.uid AND c.id = t.id
        WHERE t.uid = :uid AND t.words @@ q.words AND {_VISIBLE}
        ORDER BY c.created_at DESC, c.id DESC LIMIT :limit
    """


_NEWEST = {"sqlite": _sqlite("0.0"), "postgresql": _postgresql("0.0")}
_SCORED = {
    "sqlite": _sqlite("-bm25(texts_index, 0.0, 1.0)"),
    "postgresql": _postgresql("ts_rank(t.words, q.words, 1)"),
}


@lru_cache(maxsize=16)
def _said(dialect: Dialect, scored: bool) -> PreparedQuery:
    query = (_SCORED if scored else _NEWEST)[dialect.name]
    return PreparedQuery(text(query).columns(id=String, score=Float), dialect)


@lru_cache(maxsize=8)
def _among(dialect: Dialect) -> PreparedQuery:
    of = conversations.c
    # The second line is that of the index `conversations_hidden`: few rows are looked at, and not all asked for.
    hidden = and_(
        of.uid == bindparam("uid"),
        or_(of.deleted_at.is_not(None), of.is_locked == true(), of.discarded == true()),
        is_listed(of.id, dialect.name),
        or_(
            of.deleted_at.is_not(None),
            of.is_locked == true(),
            bindparam("include_discarded", type_=Boolean) == false(),
        ),
    )
    return PreparedQuery(select(of.id).where(hidden), dialect)


def hidden(connection: Connection, uid: str, ids: Sequence[str], include_discarded: bool) -> set[str]:
    """Those of `ids` that `Texts.search` does not find, whatever is said in them."""
    values = {"uid": uid, "ids": listed(ids, connection.dialect.name), "include_discarded": include_discarded}
    return {id for (id,) in _among(connection.dialect).rows(connection, values)}


def _with_words(
    connection: Connection, uid: str, words: Sequence[str], filter: TextFilter, every: bool, limit: int
) -> list[TextHit]:
    if not words:
        return []
    dialect = connection.dialect.name
    values = msgspec.structs.asdict(filter) | {"uid": uid, "limit": limit}
    if dialect == "postgresql":
        values["words"] = (" " if every else " or ").join(words)
    else:
        quoted = (" AND " if every else " OR ").join(f'words:"{word}"' for word in words)
        values["words"] = f'owner:"{uid.encode().hex()}" AND ({quoted})'
    found = _said(connection.dialect, False).rows(connection, values) if every else []
    if not every or 0 < len(found) <= RANKED:
        found = _said(connection.dialect, True).rows(connection, values)
    hits = [TextHit(id, float(score)) for id, score in found]
    return sorted(hits, key=lambda hit: -hit.score)
