"""An answer in a chat while it is made: what was asked, what has been said so far, and to whom each piece is told."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from engine.conversation.chat.citations import Citations, Sources
from engine.conversation.chat.ports import Persona
from engine.conversation.chat.resting import rests_on
from engine.store.records import ConversationRow
from engine.store.user_records import MessageRow, UserRow

__all__ = [
    "Asked",
    "ChatAsked",
    "ChatDone",
    "ChatEvent",
    "ChatText",
    "ChatThought",
    "Kept",
    "Reply",
    "Say",
    "without_zeros",
]

LONGEST = 100_000
"""Characters of an answer; a model that says more is not listened to any further."""


class ChatAsked(msgspec.Struct, frozen=True):
    """What was asked, as it will be kept with its answer; told first."""

    question: "Kept"


class ChatThought(msgspec.Struct, frozen=True):
    """What is being done for an answer."""

    text: str


class ChatText(msgspec.Struct, frozen=True):
    """The next piece of an answer."""

    text: str


class Kept(msgspec.Struct, frozen=True):
    """A message and those of the conversations it cites that are there, in the order of its citations."""

    row: MessageRow
    cited: tuple[ConversationRow, ...] = ()


class ChatDone(msgspec.Struct, frozen=True):
    """The whole answer, kept."""

    answer: Kept


ChatEvent: TypeAlias = ChatAsked | ChatThought | ChatText | ChatDone
Say: TypeAlias = Callable[[ChatEvent], Awaitable[None]]
"""Takes what is to be told to who asked, and waits until they have taken it."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a user's. `earlier`: those before it, oldest first; `now` is aware, in the user's time `zone`."""

    uid: str
    text: str
    user: UserRow
    persona: Persona | None
    earlier: Sequence[MessageRow]
    zone: ZoneInfo
    now: datetime


def without_zeros(text: str) -> str:
    """What a model wrote, less zero characters: PostgreSQL keeps no such text."""
    return text.replace("\0", "")


class Reply:
    """One answer. What is written comes out with its citations checked, and is `text` as a whole."""

    def __init__(self, say: Say) -> None:
        self.text = ""
        self.sources = Sources()
        self.citations = Citations(self.sources)
        self._say = say

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be written."""
        return len(self.text) >= LONGEST

    async def think(self, text: str) -> None:
        """Tell what is being done."""
        await self._say(ChatThought(text))

    async def write(self, piece: str) -> None:
        """The answer goes on."""
        await self._tell(self.citations.feed(piece))

    async def finish(self) -> None:
        """The answer is over."""
        await self._tell(self.citations.end().rstrip())

    async def cite(self, question: str) -> None:
        """Where the answer to `question` cites nothing, cite what it rests on, if that is something."""
        await self._tell(self.citations.end().rstrip())
        id = None if self.citations.cited else rests_on(self.text, question, self.sources.shown)
        if id is not None:
            await self.write(f" [{self.sources.number(id)}]")

    async def paragraph(self, text: str) -> None:
        """Write `text` as a paragraph of its own."""
        await self._tell(self.citations.end().rstrip())
        await self.write(f"\n\n{text}" if self.text else text)

    async def _tell(self, text: str) -> None:
        text = without_zeros(text)
        if not self.text:
            text = text.lstrip()  # models like to begin with a line break
        if text:
            self.text += text
            await self._say(ChatText(text))
