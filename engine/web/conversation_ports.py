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

    async def get(self, uid: str, id: str, *, pictures: bool = True) -> Whole | None:
        """One conversation with its photos; None when there is none. Not `pictures`: without those in blobs."""
        ...

    async def some(self, uid: str, ids: Sequence[str]) -> list[Whole]:
        """Those of a user's conversations that have one of `ids`, in that order, without photos."""
        ...

    async def of(self, rows: Sequence[ConversationRow]) -> list[Whole]:
        """Each of `rows`, without photos. Raises `ValueError` for more than `WHOLE_LIMIT`."""
        ...

    async def made_of(self, rows: Sequence[ConversationRow], make: Callable[[Sequence[Whole]], T]) -> T:
        """`make(wholes)` of what `of` gives, in the thread that reads them: it must not block, and takes its time."""
        ...


class Edits(Protocol):
    """Changing what is kept. False, or 0, where there is no such conversation."""

    async def set_title(self, uid: str, id: str, title: str) -> bool:
        """Call it so."""
        ...

    async def set_starred(self, uid: str, id: str, starred: bool) -> bool:
        """Make it one of the user's favourites, or not."""
        ...

    async def set_discarded(self, uid: str, id: str, discarded: bool) -> bool:
        """Say that there was nothing in it worth keeping, or that there was."""
        ...

    async def set_visibility(self, uid: str, id: str, visibility: str) -> bool:
        """Raises `ValueError` when another user shares one of this id."""
        ...

    async def owner_of_shared(self, id: str) -> str | None:
        """The uid of whose conversation is behind a link; None behind none."""
        ...

    async def set_events(self, uid: str, id: str, created: Mapping[int, bool]) -> bool:
        """Raises `IndexError` naming a place there is not."""
        ...

    async def set_items(self, uid: str, id: str, completed: Mapping[int, bool]) -> bool:
        """Raises `IndexError` naming a place there is not."""
        ...

    async def describe_item(self, uid: str, id: str, old: str, new: str) -> bool:
        """Change the description of the first action item that has the description `old`."""
        ...

    async def delete_items(self, uid: str, id: str, description: str | None) -> int:
        """Delete its action items of this description, or all of them; how many there were."""
        ...

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
