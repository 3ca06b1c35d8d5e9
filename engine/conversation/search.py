"""Search in what a user has: by words and by meaning, the two put together.

Two rankings of the same conversations, by words (bm25, or PostgreSQL's) and by meaning (cosine), have no scale in
common: what they share is an order. So their ranks are added, as 1 / (60 + rank) each: reciprocal rank fusion (Cormack,
Clarke and Büttcher 2009, with their 60), which needs nothing tuned to a model. What is first in both comes first; what
is first in one comes before what is in the middle of both.

Words must all be there, for what has some of them meaning finds better; only where there is no model to ask for
meaning, or it does not answer, is any of them enough. Of what meaning finds, which is always something, only that is
taken which comes near to the best.

Bounded: `NEAREST` by meaning and `engine.store.texts.RANKED` by words go into a ranking.
Known doubts: a question in another language than the conversation is found as far as the embedding model knows both.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec
import trio

from engine.conversation.embedding.port import Embedder
from engine.conversation.llm.port import LlmError
from engine.conversation.vector_search import VectorQueries, Vectors, search_by_meaning
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable
from engine.store.records import ConversationRow
from engine.store.texts import TextFilter, TextHit, words_of
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vector_records import VectorFilter, VectorHit, VectorKind

__all__ = ["Found", "Search", "SearchStore"]

log = get_logger(__name__)

RANK_OFFSET = 60
NEAREST = 100
NEAR_ENOUGH = 0.5
"""Of the best cosine: what is less is about something else."""
LATEST = 1000
"""Memories and action items that are looked through for words, where no model knows their meaning."""
ANYTHING = VectorFilter()

Row = TypeVar("Row")
Item = TypeVar("Item", MemoryRow, ActionItemRow)
ItemOut = TypeVar("ItemOut", covariant=True)


class Found(msgspec.Struct, Generic[Row], frozen=True):
    """What was found and how well it fits; scores of two searches cannot be compared."""

    row: Row
    score: float


class Texts(Protocol):
    """Full text search; `engine.store.texts` implements it."""

    async def search(
        self, uid: str, words: Sequence[str], filter: TextFilter = ..., *, every: bool = ...
    ) -> list[TextHit]: ...


class Finding(Protocol):
    """The vectors of conversations that a search may show; `engine.store.finding` implements it."""

    def among(self, scope: TextFilter) -> VectorQueries: ...


class Conversations(Protocol):
    """Reading conversations; `engine.store.conversations` implements it."""

    async def some(self, uid: str, ids: Collection[str]) -> list[ConversationRow]: ...


class Items(Protocol[ItemOut]):
    """Reading memories or action items; `engine.store.owned` implements it."""

    async def some(self, uid: str, ids: Collection[str]) -> Sequence[ItemOut]: ...

    async def list(self, uid: str, *, limit: int) -> Sequence[ItemOut]: ...


class SearchStore(Protocol):
    """What is searched; `engine.store.Store` implements it."""

    @property
    def texts(self) -> Texts: ...
    @property
    def finding(self) -> Finding: ...
    @property
    def vectors(self) -> Vectors: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def memories(self) -> Items[MemoryRow]: ...
    @property
    def action_items(self) -> Items[ActionItemRow]: ...


class Search:
    """Search in what is kept. Without an embedder, by words alone.

    Every call looks at what its user owns and at nothing else; what is hidden or locked is never found. Filters are
    those of `VectorFilter`: a time range, and people, topics and entities, of which one at least must fit; when
    nothing has any of them, the search is made without them.
    """

    def __init__(self, store: SearchStore, embedder: Callable[[], Embedder | None]) -> None:
        """`embedder` is asked at each search: a model is there once it was loaded."""
        self._store = store
        self._embedder = embedder

    async def search_conversations(
        self,
        uid: str,
        text: str,
        *,
        filter: VectorFilter = ANYTHING,
        include_discarded: bool = False,
        limit: int = 10,
    ) -> list[Found[ConversationRow]]:
        """The conversations that fit `text` best, best first."""
        ranked = await self.rank_conversations(uid, text, filter=filter, include_discarded=include_discarded)
        rows = {row.id: row for row in await self._store.conversations.some(uid, list(ranked)[:limit])}
        return [Found(rows[id], score) for id, score in ranked.items() if id in rows]

    async def rank_conversations(
        self, uid: str, text: str, *, filter: VectorFilter = ANYTHING, include_discarded: bool = False
    ) -> dict[str, float]:
        """Ids of all conversations that fit `text`, best first, with their scores."""
        scope = TextFilter(start=filter.start, end=filter.end, include_discarded=include_discarded)
        words = words_of(text)
        said, meant = await self._both(uid, text, words, filter, scope)
        if meant is None and not said:
            said = await self._store.texts.search(uid, words, scope, every=False)
        by_words = [hit.id for hit in said]
        if filter.labels:
            by_words = await self._with_labels(uid, by_words, filter)
        known = set(_near(meant or ())).union(by_words)
        return _fused(by_words, [hit.id for hit in meant or () if hit.id in known])

    async def _both(
        self, uid: str, text: str, words: Sequence[str], filter: VectorFilter, scope: TextFilter
    ) -> tuple[list[TextHit], list[VectorHit] | None]:
        """By words, and at the same time by meaning: the model works in a thread of its own."""
        said: list[TextHit] = []
        meant: list[VectorHit] | None = None
        failed: DatabaseUnavailable | None = None  # raised alone, not in a group: the web knows it so

        async def look_for_words() -> None:
            nonlocal said, failed
            try:
                said = await self._store.texts.search(uid, words, scope)
            except DatabaseUnavailable as error:
                failed = error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look_for_words)
            try:
                vectors = self._store.finding.among(scope)
                meant = await self._by_meaning(vectors, uid, text, "conversation", NEAREST, filter)
            except DatabaseUnavailable as error:
                failed = error
        if failed is not None:
            raise failed
        return said, meant

    async def search_memories(
        self, uid: str, text: str, *, filter: VectorFilter = ANYTHING, limit: int = 10
    ) -> list[Found[MemoryRow]]:
        """The memories that fit `text` best, best first, but for those their owner said are wrong."""
        found = await self._search_items(uid, text, self._store.memories, "memory", filter, limit)
        return [one for one in found if one.row.user_review is not False]

    async def search_action_items(
        self, uid: str, text: str, *, filter: VectorFilter = ANYTHING, limit: int = 10
    ) -> list[Found[ActionItemRow]]:
        """The action items that fit `text` best, best first."""
        return await self._search_items(uid, text, self._store.action_items, "action_item", filter, limit)

    async def _search_items(
        self, uid: str, text: str, items: Items[Item], kind: VectorKind, filter: VectorFilter, limit: int
    ) -> list[Found[Item]]:
        meant = await self._by_meaning(self._store.vectors, uid, text, kind, limit, filter)
        if meant is not None:
            found = await items.some(uid, [hit.id for hit in meant])
            rows = {row.id: row for row in found if not row.is_locked}
            return [Found(rows[hit.id], hit.score) for hit in meant if hit.id in rows]
        rated = [
            Found(row, _share(text, row))
            for row in await items.list(uid, limit=LATEST)
            if _in_time(row, filter) and not row.is_locked
        ]
        return sorted((one for one in rated if one.score > 0), key=lambda one: -one.score)[:limit]

    async def _by_meaning(
        self, vectors: VectorQueries, uid: str, text: str, kind: VectorKind, k: int, filter: VectorFilter
    ) -> list[VectorHit] | None:
        """None where there is no model to ask."""
        embedder = self._embedder()
        if embedder is None or not text.strip():
            return None
        try:
            return await search_by_meaning(vectors, embedder, uid, text, kind=kind, k=k, filter=filter)
        except LlmError as error:
            log.warning("search.without_meaning", error=str(error))
            return None

    async def _with_labels(self, uid: str, ids: Sequence[str], filter: VectorFilter) -> list[str]:
        """Those that have a person, topic or entity asked for; all, when none has any."""
        rows = await self._store.conversations.some(uid, ids)
        fitting = {row.id for row in rows if _labels(row) & filter.labels}
        return [id for id in ids if id in fitting] or list(ids)


def _labels(row: ConversationRow) -> set[tuple[str, str]]:
    return {(what, label.casefold()) for what, labels in row.labels.items() for label in labels}


def _near(hits: Sequence[VectorHit]) -> list[str]:
    """Ids of the hits that come near to the best."""
    least = NEAR_ENOUGH * max((hit.score for hit in hits), default=0.0)
    return [hit.id for hit in hits if hit.score >= least]


def _fused(*rankings: Sequence[str]) -> dict[str, float]:
    """Ids by their scores in all `rankings`, best first."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, id in enumerate(ranking, start=1):
            scores[id] = scores.get(id, 0.0) + 1 / (RANK_OFFSET + rank)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _share(text: str, row: MemoryRow | ActionItemRow) -> float:
    """Which part of the words of `text` is in a row."""
    asked = set(words_of(text))
    there = words_of(row.content if isinstance(row, MemoryRow) else row.description)
    return len(asked.intersection(there)) / len(asked) if asked else 0.0


def _in_time(row: MemoryRow | ActionItemRow, filter: VectorFilter) -> bool:
    return (filter.start is None or row.created_at >= filter.start) and (
        filter.end is None or row.created_at <= filter.end
    )
