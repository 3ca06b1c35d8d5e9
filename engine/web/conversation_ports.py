"""What the routes about conversations need from the rooms behind the web. Every call names the owner."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from engine.store.edits import SegmentEdit
from engine.store.records import ConversationRow
from engine.store.vector_records import VectorFilter
from engine.store.whole import Whole

__all__ = ["Edits", "Search", "Wholes"]

T = TypeVar("T")


class Wholes(Protocol):
    """Reading conversations with all that is shown of them."""

    async def get(self, uid: str, id: str, *, pictures: bool = True) -> Whole | None: ...

    async def some(self, uid: str, ids: Sequence[str]) -> list[Whole]: ...

    async def of(self, rows: Sequence[ConversationRow]) -> list[Whole]: ...

    async def made_of(self, rows: Sequence[ConversationRow], make: Callable[[Sequence[Whole]], T]) -> T: ...


class Edits(Protocol):
    """Changing what is kept. False, or 0, where there is no such conversation."""

    async def set_title(self, uid: str, id: str, title: str) -> bool: ...

    async def set_starred(self, uid: str, id: str, starred: bool) -> bool: ...

    async def set_discarded(self, uid: str, id: str, discarded: bool) -> bool: ...

    async def set_visibility(self, uid: str, id: str, visibility: str) -> bool:
        """Raises `ValueError` when another user shares one of this id."""
        ...

    async def owner_of_shared(self, id: str) -> str | None: ...

    async def set_events(self, uid: str, id: str, created: Mapping[int, bool]) -> bool:
        """Raises `IndexError` naming a place there is not."""
        ...

    async def set_items(self, uid: str, id: str, completed: Mapping[int, bool]) -> bool:
        """Raises `IndexError` naming a place there is not."""
        ...

    async def describe_item(self, uid: str, id: str, old: str, new: str) -> bool: ...

    async def delete_items(self, uid: str, id: str, description: str | None) -> int: ...

    async def edit_segments(self, uid: str, id: str, edit: SegmentEdit) -> list[str]:
        """Those that are not there, with which nothing was changed."""
        ...


class Search(Protocol):
    """Search among a user's conversations by words and meaning."""

    async def page(
        self,
        uid: str,
        text: str,
        *,
        filter: VectorFilter,
        include_discarded: bool,
        limit: int,
        offset: int,
        make: Callable[[Sequence[Whole], int], T],
    ) -> T:
        """What is made, in a thread, of a page of them, best first, and of how many there are on all pages."""
        ...
