"""Finds for the chat what a user has said and kept, with `engine.conversation.search`.

Operations: those of `ChatSearch`.
Invariants: every question names the owner; conversations that are locked, discarded, deleted or not processed are not
found, nor is what was drawn from a locked one.
Bounded: `limit` of each; a conversation is compared in at most `PIECES` pieces.
"""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

import numpy as np

from engine.conversation.chat.ports import ChatModels, Wanted
from engine.conversation.llm.port import LlmError
from engine.conversation.search import Search
from engine.conversation.search_ports import SearchStore
from engine.log import get_logger
from engine.store.conversations import PAGE_LIMIT
from engine.store.records import COMPLETED, ConversationRow
from engine.store.texts import words_of
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vector_records import VectorFilter
from engine.wire.messages import Segment

__all__ = ["ChatStore", "StoreSearch"]

log = get_logger(__name__)

PIECES = 32
"""Into so many pieces at most a conversation is cut to find the passage that is meant."""
LOOKED_BACK = 50
"""Conversations among which feelings are looked for."""

Row = TypeVar("Row", MemoryRow, ActionItemRow)


class Conversations(Protocol):
    """Reading conversations; `engine.store.conversations` implements it."""

    async def some(self, uid: str, ids: Collection[str]) -> list[ConversationRow]:
        """Those of a user's conversations that have one of `ids` (at most `PAGE_LIMIT`), in no order."""
        ...

    async def segments(self, uid: str, id: str) -> list[Segment]:
        """Its segments by start time, equal ones in the order they first came."""
        ...

    async def list(
        self, uid: str, *, limit: int, statuses: Collection[str] | None, include_discarded: bool
    ) -> list[ConversationRow]:
        """A page of a user's conversations, newest first."""
        ...


class ChatStore(SearchStore, Protocol):
    """Where all of it is; `engine.store.Store` implements it."""

    @property
    def conversations(self) -> Conversations: ...


class StoreSearch:
    """Implements `ChatSearch`. Without an embedding model words are compared."""

    def __init__(self, store: ChatStore, models: ChatModels) -> None:
        self._store = store
        self._models = models
        self._search = Search(store, lambda: models.embedder)

    async def search_conversations(self, uid: str, wanted: Wanted, limit: int) -> list[ConversationRow]:
        """See `ChatSearch`."""
        chosen = _filter(wanted)
        found = await self._search.search_conversations(uid, wanted.text, filter=chosen, limit=limit)
        return [one.row for one in found if _is_open(one.row)]

    async def search_memories(self, uid: str, wanted: Wanted, limit: int) -> list[MemoryRow]:
        """See `ChatSearch`."""
        found = await self._search.search_memories(uid, wanted.text, filter=_filter(wanted), limit=limit)
        return await self._unlocked(uid, [one.row for one in found])

    async def search_action_items(self, uid: str, wanted: Wanted, limit: int) -> list[ActionItemRow]:
        """See `ChatSearch`."""
        chosen = _filter(wanted)
        found = await self._search.search_action_items(uid, wanted.text, filter=chosen, limit=limit)
        return await self._unlocked(uid, [one.row for one in found])

    async def passages(self, uid: str, conversation_id: str, text: str, limit: int) -> list[Segment]:
        """See `ChatSearch`."""
        spoken = [segment for segment in await self.transcript(uid, conversation_id) if segment.text.strip()]
        if len(spoken) <= limit:
            return spoken
        each = -(-len(spoken) // PIECES)
        pieces = [spoken[at : at + each] for at in range(0, len(spoken), each)]
        scores = await self._scores(text, [" ".join(segment.text for segment in piece) for piece in pieces])
        best = sorted(range(len(pieces)), key=lambda place: -scores[place])[: max(1, limit // each)]
        return [segment for place in sorted(best) for segment in pieces[place]][:limit]

    async def _scores(self, text: str, pieces: Sequence[str]) -> list[float]:
        """How near each piece is to `text`."""
        if self._models.embedder is not None:
            try:
                asked, *vectors = await self._models.embedder.embed([text, *pieces])
                return [float(score) for score in np.array(vectors) @ asked]
            except LlmError as error:
                log.warning("chat.passages_by_words", outcome=error.outcome)
        words = set(words_of(text))
        return [float(len(words.intersection(words_of(piece)))) for piece in pieces]

    async def transcript(self, uid: str, conversation_id: str) -> list[Segment]:
        """See `ChatSearch`."""
        return await self._store.conversations.segments(uid, conversation_id)

    async def feelings(self, uid: str, limit: int) -> list[ConversationRow]:
        """See `ChatSearch`."""
        rows = await self._store.conversations.list(
            uid, limit=LOOKED_BACK, statuses=(COMPLETED,), include_discarded=False
        )
        return [row for row in rows if row.emotions and _is_open(row)][:limit]

    async def conversations(self, uid: str, ids: Sequence[str]) -> list[ConversationRow]:
        """See `ChatSearch`."""
        rows = {row.id: row for row in await self._store.conversations.some(uid, ids)}
        return [rows[id] for id in ids if id in rows and _is_open(rows[id])]

    async def cited(self, uid: str, ids: Collection[str]) -> dict[str, ConversationRow]:
        """See `ChatSearch`."""
        listed, rows = sorted(ids), []
        for at in range(0, len(listed), PAGE_LIMIT):
            rows += await self._store.conversations.some(uid, listed[at : at + PAGE_LIMIT])
        return {row.id: row for row in rows}

    async def _unlocked(self, uid: str, rows: Sequence[Row]) -> list[Row]:
        """Those of `rows` that are not drawn from a locked conversation."""
        drawn = {row.conversation_id for row in rows if row.conversation_id is not None}
        locked = {row.id for row in await self._store.conversations.some(uid, drawn) if row.is_locked}
        return [row for row in rows if row.conversation_id not in locked]


def _filter(wanted: Wanted) -> VectorFilter:
    return VectorFilter(start=wanted.start, end=wanted.end, people=wanted.people, topics=wanted.topics)


def _is_open(row: ConversationRow) -> bool:
    return row.status == COMPLETED and not row.discarded and not row.is_locked and row.deleted_at is None
