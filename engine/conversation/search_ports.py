"""What search needs of the store, as Protocols that it implements; every call names the owner."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from engine.conversation.vector_search import VectorQueries, Vectors
from engine.store.records import ConversationRow
from engine.store.texts import TextFilter, TextHit
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vector_records import VectorHit
from engine.store.whole import Whole

__all__ = ["Items", "SearchStore"]

Made = TypeVar("Made")
MadeOut = TypeVar("MadeOut", covariant=True)
ItemOut = TypeVar("ItemOut", covariant=True)


class Texts(Protocol):
    """Full text search; `engine.store.texts` implements it."""

    async def search(
        self, uid: str, words: Sequence[str], filter: TextFilter = ..., *, every: bool = ...
    ) -> list[TextHit]:
        """A user's conversations that have all of `words` (any, if not `every`), best first, as good ones newest
        first.
        """
        ...


class VisibleVectors(VectorQueries, Protocol[MadeOut]):
    """The vectors of conversations that a search may show; `made` is made of those that its last query chose."""

    @property
    def made(self) -> MadeOut:
        """What was made of the conversations that the last query chose."""
        ...


class Finding(Protocol):
    """Conversations by meaning; `engine.store.finding` implements it."""

    def among(
        self,
        scope: TextFilter,
        choose: Callable[[Sequence[VectorHit]], Sequence[str]],
        make: Callable[[Sequence[Whole]], Made],
    ) -> VisibleVectors[Made]:
        """`choose` names those to be read whole, of which something is made."""
        ...


class Wholes(Protocol):
    """Reading conversations whole; `engine.store.whole` implements it."""

    async def made_of_some(
        self, uid: str, ids: Sequence[str], make: Callable[[Sequence[Whole]], Made]
    ) -> Made:
        """`make(wholes)` of what `some` gives, in the thread that reads them: it must not block."""
        ...


class Conversations(Protocol):
    """Reading conversations; `engine.store.conversations` implements it."""

    async def some(self, uid: str, ids: Collection[str]) -> list[ConversationRow]:
        """Those of a user's rows that have one of `ids` (at most `PAGE_LIMIT`), newest first."""
        ...


class Items(Protocol[ItemOut]):
    """Reading memories or action items; `engine.store.owned` implements it."""

    async def some(self, uid: str, ids: Collection[str]) -> Sequence[ItemOut]:
        """Those of a user's rows that have one of `ids` (at most `PAGE_LIMIT`), newest first."""
        ...

    async def list(self, uid: str, *, limit: int) -> Sequence[ItemOut]:
        """At most `limit` of a user's rows, newest first."""
        ...


class SearchStore(Protocol):
    """What is searched; `engine.store.Store` implements it."""

    @property
    def texts(self) -> Texts: ...
    @property
    def finding(self) -> Finding: ...
    @property
    def wholes(self) -> Wholes: ...
    @property
    def vectors(self) -> Vectors: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def memories(self) -> Items[MemoryRow]: ...
    @property
    def action_items(self) -> Items[ActionItemRow]: ...
