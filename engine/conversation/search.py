"""Search in what a user has: by words and by meaning, the two put together.

Two rankings of the same conversations, by words (bm25, or PostgreSQL's) and by meaning (cosine), have no scale in
common: what they share is an order. So their ranks are added, as 1 / (60 + rank) each: reciprocal rank fusion (Cormack,
Clarke and Büttcher 2009, with their 60), which needs nothing tuned to a model. What is first in both comes first; what
is first in one comes before what is in the middle of both. Those that words do not tell apart share their rank, so that
meaning decides among them.

Words must all be there, for what has some of them meaning finds better; only where there is no model to ask for
meaning, or it does not answer, is any of them enough. Of what meaning finds, which is always something, only that is
taken which comes near to the best.

Bounded: `NEAREST` by meaning and `engine.store.texts.GIVEN` by words go into a ranking.
Known doubts: a question in another language than the conversation is found as far as the embedding model knows both.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.conversation.embedding.port import Embedder
from engine.conversation.llm.port import LlmError
from engine.conversation.search_ports import Items, SearchStore
from engine.conversation.vector_search import QUERY_LIMIT, nearest_in_meaning
from engine.log import get_logger
from engine.store.records import ConversationRow
from engine.store.texts import TextFilter, TextHit, words_of
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vector_records import VectorFilter, VectorHit, VectorKind
from engine.store.whole import Whole

__all__ = ["Found", "Search"]

log = get_logger(__name__)

RANK_OFFSET = 60
NEAREST = 100
NEAR_ENOUGH = 0.5
"""Of the best cosine: what is less is about something else."""
LATEST = 1000
"""Memories and action items that are looked through for words, where no model knows their meaning."""
ANYTHING = VectorFilter()

Row = TypeVar("Row")
Made = TypeVar("Made")
Item = TypeVar("Item", MemoryRow, ActionItemRow)


class Found(msgspec.Struct, Generic[Row], frozen=True):
    """What was found and how well it fits; scores of two searches cannot be compared."""

    row: Row
    score: float


class _Meaning(msgspec.Struct, frozen=True, eq=False):
    """What a model makes of a text."""

    model: str
    vector: NDArray[np.float32]


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
        ranked, _ = await self._ranked(uid, text, filter, include_discarded, slice(0), lambda *_: None)
        return ranked

    async def page(
        self,
        uid: str,
        text: str,
        *,
        filter: VectorFilter = ANYTHING,
        include_discarded: bool = False,
        limit: int = 10,
        offset: int = 0,
        make: Callable[[Sequence[Whole], int], Made],
    ) -> Made:
        """`make` of a page of the conversations that fit `text`, best first, and of how many there are on all pages.

        `make` is called in the thread that reads them: it must not block, and takes its time. Raises `ValueError` for
        a limit above `engine.store.whole.WHOLE_LIMIT`.
        """
        page = slice(offset, offset + limit)
        _, made = await self._ranked(uid, text, filter, include_discarded, page, make)
        return made

    async def _ranked(
        self,
        uid: str,
        text: str,
        filter: VectorFilter,
        include_discarded: bool,
        page: slice,
        make: Callable[[Sequence[Whole], int], Made],
    ) -> tuple[dict[str, float], Made]:
        """All that fit, and what is made of the page, in the transaction in which meaning is looked for."""
        scope = TextFilter(start=filter.start, end=filter.end, include_discarded=include_discarded)
        by_words, meaning = await self._by_words_beside_the_model(uid, text, scope, filter)
        ranked: dict[str, float] = {}

        def choose(hits: Sequence[VectorHit]) -> Sequence[str]:
            nonlocal ranked
            meant = _meant(hits, by_words)
            ranked = _fused(by_words, {id: rank for rank, id in enumerate(meant, start=1)})
            return list(ranked)[page]

        def made_of(wholes: Sequence[Whole]) -> Made:
            return make(wholes, len(ranked))

        if meaning is None:
            made = await self._store.wholes.made_of_some(uid, choose(()), made_of)
            return ranked, made  # which `choose` has put there by now
        found = self._store.finding.among(scope, choose, made_of)
        await nearest_in_meaning(found, meaning.model, uid, meaning.vector, k=NEAREST, filter=filter)
        return ranked, found.made

    async def _by_words_beside_the_model(
        self, uid: str, text: str, scope: TextFilter, filter: VectorFilter
    ) -> tuple[dict[str, int], _Meaning | None]:
        """Who has the words, by rank, and what the model makes of them: looked for while it is at work."""
        words, ranks = words_of(text), dict[str, int]()

        async def look() -> None:
            ranks.update(await self._by_words(uid, words, scope, filter))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                meaning = await self._meaning(text)
        except ExceptionGroup as group:  # a database that is away is the same error, whoever waited for it
            raise group.exceptions[0] from None
        if meaning is None and not ranks:
            ranks = await self._by_words(uid, words, scope, filter, every=False)
        return ranks, meaning

    async def _by_words(
        self, uid: str, words: Sequence[str], scope: TextFilter, filter: VectorFilter, *, every: bool = True
    ) -> dict[str, int]:
        """The ranks of those that have all words; any, if not `every`."""
        ranks = _ranks(await self._store.texts.search(uid, words, scope, every=every))
        fitting = await self._fitting(uid, list(ranks), filter) if filter.labels else ()
        return {id: ranks[id] for id in fitting} if fitting else ranks

    async def search_memories(
        self, uid: str, text: str, *, filter: VectorFilter = ANYTHING, limit: int = 10
    ) -> list[Found[MemoryRow]]:
        """The memories that fit `text` best, best first, but for those their owner said are wrong.

        The filter is of when they were made, and of the conversations they were drawn from.
        """
        found = await self._search_items(uid, text, self._store.memories, "memory", filter, limit)
        return [one for one in found if one.row.user_review is not False]

    async def search_action_items(
        self, uid: str, text: str, *, filter: VectorFilter = ANYTHING, limit: int = 10
    ) -> list[Found[ActionItemRow]]:
        """The action items that fit `text` best, best first; without one, what is due first.

        The filter is of when they are due, or else were made, and of the conversations they were drawn from.
        """
        if text.strip():
            items = self._store.action_items
            return await self._search_items(uid, text, items, "action_item", filter, limit)
        rows = await self._store.action_items.list(uid, limit=LATEST)
        there = [row for row in rows if _in_time(row, filter) and not row.is_locked]
        fitting = await self._drawn_from_fitting(uid, there, filter)
        return [Found(row, 0.0) for row in sorted(fitting, key=_moment)[:limit]]

    async def _search_items(
        self, uid: str, text: str, items: Items[Item], kind: VectorKind, filter: VectorFilter, limit: int
    ) -> list[Found[Item]]:
        meaning = await self._meaning(text)
        if meaning is not None:
            # When an action item is due is not among what its vector is found by.
            bounded = kind == "action_item" and (filter.start, filter.end) != (None, None)
            asked = msgspec.structs.replace(filter, start=None, end=None) if bounded else filter
            meant = await nearest_in_meaning(
                self._store.vectors,
                meaning.model,
                uid,
                meaning.vector,
                kind=kind,
                k=QUERY_LIMIT if bounded else limit,
                filter=asked,
            )
            found = await items.some(uid, [hit.id for hit in meant])
            rows = {row.id: row for row in found if _in_time(row, filter) and not row.is_locked}
            return [Found(rows[hit.id], hit.score) for hit in meant if hit.id in rows][:limit]
        there = [row for row in await items.list(uid, limit=LATEST) if _in_time(row, filter)]
        fitting = await self._drawn_from_fitting(uid, there, filter)
        rated = [Found(row, _share(text, row)) for row in fitting if not row.is_locked]
        return sorted((one for one in rated if one.score > 0), key=lambda one: -one.score)[:limit]

    async def _drawn_from_fitting(
        self, uid: str, rows: Sequence[Item], filter: VectorFilter
    ) -> Sequence[Item]:
        """Those drawn from a conversation that has a person, topic or entity asked for; all, when none is."""
        if not filter.labels:
            return rows
        ids = {row.conversation_id for row in rows if row.conversation_id is not None}
        fitting = await self._fitting(uid, sorted(ids), filter)
        return [row for row in rows if row.conversation_id in fitting] or rows

    async def _meaning(self, text: str) -> _Meaning | None:
        """None where there is no model to ask, or it does not answer."""
        embedder = self._embedder()
        if embedder is None or not text.strip():
            return None
        try:
            (vector,) = await embedder.embed([text])
        except LlmError as error:
            log.warning("search.without_meaning", error=str(error))
            return None
        return _Meaning(embedder.model, vector)

    async def _fitting(self, uid: str, ids: Sequence[str], filter: VectorFilter) -> list[str]:
        """Those that have a person, topic or entity asked for."""
        rows = await self._store.conversations.some(uid, ids)
        fitting = {row.id for row in rows if _labels(row) & filter.labels}
        return [id for id in ids if id in fitting]


def _labels(row: ConversationRow) -> set[tuple[str, str]]:
    return {(what, label.casefold()) for what, labels in row.labels.items() for label in labels}


def _ranks(hits: Sequence[TextHit]) -> dict[str, int]:
    """From 1 on; those that are as good as another have its rank."""
    ranks: dict[str, int] = {}
    score, rank = math.inf, 0
    for place, hit in enumerate(hits, start=1):
        if hit.score < score:
            score, rank = hit.score, place
        ranks[hit.id] = rank
    return ranks


def _meant(hits: Sequence[VectorHit], by_words: Collection[str]) -> list[str]:
    """Of the hits, in their order, those that come near to the best, and those that have the words anyway."""
    best = sorted(hits, key=lambda hit: (-hit.matches, -hit.score))[:NEAREST]
    known = set(_near(best)).union(by_words)
    return [hit.id for hit in best if hit.id in known]


def _near(hits: Sequence[VectorHit]) -> list[str]:
    """Ids of the hits that come near to the best."""
    best = max((hit.score for hit in hits), default=0.0)
    least = best - (1 - NEAR_ENOUGH) * abs(best)
    return [hit.id for hit in hits if hit.score >= least]


def _fused(*rankings: Mapping[str, int]) -> dict[str, float]:
    """Ids by their scores in all `rankings`, best first."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for id, rank in ranking.items():
            scores[id] = scores.get(id, 0.0) + 1 / (RANK_OFFSET + rank)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _share(text: str, row: MemoryRow | ActionItemRow) -> float:
    """Which part of the words of `text` is in a row."""
    asked = set(words_of(text))
    there = words_of(row.content if isinstance(row, MemoryRow) else row.description)
    return len(asked.intersection(there)) / len(asked) if asked else 0.0


def _in_time(row: MemoryRow | ActionItemRow, filter: VectorFilter) -> bool:
    at = _moment(row)
    return (filter.start is None or at >= filter.start) and (filter.end is None or at <= filter.end)


def _moment(row: MemoryRow | ActionItemRow) -> int:
    """When it is due, or else was made, in µs."""
    due = row.due_at if isinstance(row, ActionItemRow) else None
    return row.created_at if due is None else due
