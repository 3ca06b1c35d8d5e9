"""What the chat needs from the rooms around it, as Protocols that they implement, and the values in them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from engine.conversation.embedding.port import Embedder
from engine.conversation.llm.port import Llm
from engine.store.records import ConversationRow
from engine.store.user_records import ActionItemRow, MemoryRow, MessageRow, UserRow
from engine.wire.messages import Segment

__all__ = [
    "AppPrompts",
    "AppTool",
    "AppToolFailed",
    "AppTools",
    "ChatModels",
    "ChatSearch",
    "EnabledApps",
    "Messages",
    "NoApps",
    "Persona",
    "Users",
    "Wanted",
]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for: `text` by meaning, of conversations that have one of the names at least and are in the time.

    `people` and `topics` as conversations are labelled; `start` and `end` (µs, both inclusive) bound when it was.
    """

    text: str
    people: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None


class ChatSearch(Protocol):
    """Finds what a user has said and kept. Locked, discarded and deleted conversations are not found."""

    async def search_conversations(self, uid: str, wanted: Wanted, limit: int) -> Sequence[ConversationRow]:
        """Best first."""
        ...

    async def search_memories(self, uid: str, wanted: Wanted, limit: int) -> Sequence[MemoryRow]:
        """Best first. Names are those of the conversations they were drawn from; times, of when they were made."""
        ...

    async def search_action_items(self, uid: str, wanted: Wanted, limit: int) -> Sequence[ActionItemRow]:
        """Best first, or without a text what is due first. Times are of when they are due, or else were made."""
        ...

    async def passages(self, uid: str, conversation_id: str, text: str, limit: int) -> Sequence[Segment]:
        """Of a conversation the segments nearest to `text`, in the order they were spoken."""
        ...

    async def transcript(self, uid: str, conversation_id: str) -> Sequence[Segment]:
        """What was said in a conversation, by start time."""
        ...

    async def feelings(self, uid: str, limit: int) -> Sequence[ConversationRow]:
        """The latest conversations of which is kept how the speakers felt."""
        ...

    async def conversations(self, uid: str, ids: Sequence[str]) -> Sequence[ConversationRow]:
        """Those of `ids` that may be found, in that order."""
        ...

    async def cited(self, uid: str, ids: Collection[str]) -> dict[str, ConversationRow]:
        """Those of `ids` that are there still, by id."""
        ...


class Messages(Protocol):
    """What was said in chats; `engine.store.messages` implements it."""

    async def history(self, uid: str, app_id: str | None, limit: int, offset: int = 0) -> list[MessageRow]:
        """Newest first."""
        ...

    async def put(self, *rows: MessageRow) -> None:
        """Keep `rows`, in the place of those with their uids and ids."""
        ...

    async def clear(self, uid: str, app_id: str | None) -> int:
        """Remove all of one chat; how many messages there were."""
        ...


class Users(Protocol):
    """What users have set."""

    async def get(self, uid: str) -> UserRow:
        """What the user has set, or the defaults."""
        ...


class ChatModels(Protocol):
    """The models there are, which may come after the chat was made."""

    @property
    def llm(self) -> Llm | None:
        """What answers; None while there is none."""
        ...

    @property
    def embedder(self) -> Embedder | None:
        """What makes vectors of texts; None while there is none."""
        ...


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt-based app that a user has enabled. `prompt`: as whom a chat answers, or what a conversation is asked."""

    app_id: str
    name: str
    prompt: str


class AppTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that an app declares for chats; `parameters` is the JSON Schema of its one object of arguments."""

    app_id: str
    name: str
    description: str
    parameters: Mapping[str, Any]


class AppToolFailed(Exception):
    """The app did not answer, or not usably. The text is shown to the model."""


class AppTools(Protocol):
    """The apps that a user has enabled, as far as chats are concerned."""

    async def persona(self, uid: str, app_id: str) -> Persona | None:
        """None unless the user has enabled it and it is prompt-based."""
        ...

    async def tools(self, uid: str) -> Sequence[AppTool]:
        """What the user's apps can be asked to do."""
        ...

    async def call(self, uid: str, tool: AppTool, arguments: Mapping[str, Any]) -> str:
        """What the tool answers. Raises `AppToolFailed`."""
        ...


class AppPrompts(Protocol):
    """The apps that a user has enabled, as far as they make something of conversations."""

    async def prompts(self, uid: str) -> Sequence[Persona]:
        """What is put to each of the user's conversations, the preferred app's first."""
        ...

    async def prompt(self, uid: str, app_id: str) -> Persona | None:
        """One app's, also such as is not put to each; None unless the user has enabled it and it has one."""
        ...


class EnabledApps(AppTools, AppPrompts, Protocol):
    """All that the apps that a user has enabled add to chats and conversations."""


class NoApps:
    """Nobody has enabled any app. Implements `AppTools` and `AppPrompts`."""

    async def persona(self, uid: str, app_id: str) -> Persona | None:
        """See `AppTools`."""
        return None

    async def tools(self, uid: str) -> Sequence[AppTool]:
        """See `AppTools`."""
        return ()

    async def call(self, uid: str, tool: AppTool, arguments: Mapping[str, Any]) -> str:
        """See `AppTools`."""
        raise AppToolFailed(f"{tool.name}: the app is not enabled")

    async def prompts(self, uid: str) -> Sequence[Persona]:
        """See `AppPrompts`."""
        return ()

    async def prompt(self, uid: str, app_id: str) -> Persona | None:
        """See `AppPrompts`."""
        return None
