"""What a model may look up while it answers in a chat, and what its apps offer it.

Operations: `offered` are the tools, `call` does one call and gives what the model is told of it.
Invariants: whatever a model writes as a call, an answer to it comes back; what is wrong with it is said in that
answer and counted. Only what belongs to the user is found. Results are quoted, so that they cannot pass for more.
Bounded: a result by `LONGEST`; things found by `FOUND`. How many calls there may be is the caller's business.
Cancellation: ends the call.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from inspect import cleandoc
from typing import Any

import msgspec

from engine.conversation.chat.citations import Sources
from engine.conversation.chat.ports import AppTool, AppToolFailed, AppTools, ChatSearch, Wanted
from engine.conversation.chat.prompts import local_time, quoted, shown
from engine.conversation.chat.reply import Asked
from engine.conversation.llm.answer_json import NotJson, find_json
from engine.conversation.llm.port import Tool, ToolCall
from engine.conversation.llm.schema import strict_schema
from engine.conversation.llm.sift import Sift
from engine.moments import micros

__all__ = ["ChatTools", "Unanswerable", "moment_of"]

FOUND = 6
LONGEST = 8_000
"""Characters of one result."""
TEXT = 500
"""Characters of a text among arguments."""
NAMES = 10
NAME = 80
AHEAD = timedelta(days=5 * 366)
MOST_APP_TOOLS = 20

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Search(msgspec.Struct):
    """What is looked for; times are local."""

    query: str
    people: list[str]
    topics: list[str]
    start: str | None
    end: str | None


class SearchConversations(_Search):
    """Finds the user's conversations by meaning; people, topics and times narrow it down."""


class ReadConversation(msgspec.Struct):
    """Gives what was said in a conversation you have been shown, by its number."""

    number: int


class SearchMemories(_Search):
    """Finds lasting facts about the user by meaning; people and topics of the conversations they are from, and the
    time in which they became known, narrow it down.
    """


class SearchActionItems(_Search):
    """Finds what is to be done by meaning; people and topics of the conversations it is from, and the time in which
    it is due, narrow it down. Tells whether it is done. With an empty query: all that is due in that time.
    """


_OWN: dict[str, type[msgspec.Struct]] = {
    "search_conversations": SearchConversations,
    "read_conversation": ReadConversation,
    "search_memories": SearchMemories,
    "search_action_items": SearchActionItems,
}


class Unanswerable(Exception):
    """A call cannot be done. The text tells the model why; `reason` is counted."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class ChatTools:
    """The tools of one answer. Conversations found are numbered in `sources`; what is wrong is counted in `doubts`."""

    def __init__(
        self,
        asked: Asked,
        search: ChatSearch,
        apps: AppTools,
        app_tools: Sequence[AppTool],
        sources: Sources,
        doubts: Counter[str],
    ) -> None:
        self._uid = asked.uid
        self._search = search
        self._apps = apps
        self._sources = sources
        self._zone = asked.zone
        self._now = asked.now
        self._doubts = doubts
        self._sift = Sift(asked.now, self._zone)
        self._app_tools = _named(app_tools)
        self._own: dict[str, Callable[[dict[str, Any]], Awaitable[str]]] = {
            "search_conversations": self._search_conversations,
            "read_conversation": self._read_conversation,
            "search_memories": self._search_memories,
            "search_action_items": self._search_action_items,
        }

    @property
    def offered(self) -> list[Tool]:
        """All of them, the user's apps' last."""
        own = [Tool(name, cleandoc(kind.__doc__ or ""), strict_schema(kind)) for name, kind in _OWN.items()]
        return [
            *own,
            *(Tool(name, tool.description, tool.parameters) for name, tool in self._app_tools.items()),
        ]

    async def call(self, call: ToolCall) -> str:
        """What the model is told: what was found, or why nothing could be looked for. Raises `LlmError`."""
        try:
            answer = await self._answer(call)
        except Unanswerable as error:
            self._doubts[error.reason] += 1
            answer = str(error)
        finally:
            self._doubts += self._sift.doubts
            self._sift.doubts.clear()
        return quoted(answer if len(answer) <= LONGEST else answer[:LONGEST] + " …")

    async def _answer(self, call: ToolCall) -> str:
        own, of_app = self._own.get(call.name), self._app_tools.get(call.name)
        if own is None and of_app is None:
            names = ", ".join([*self._own, *self._app_tools])
            raise Unanswerable("invented", f"There is no such tool; there are {names}.")
        arguments = _arguments(call)
        if own is not None:
            return await own(arguments)
        assert of_app is not None
        try:
            return await self._apps.call(self._uid, of_app, arguments)
        except AppToolFailed as error:
            return f"The app's tool failed: {error}"

    async def _search_conversations(self, arguments: dict[str, Any]) -> str:
        wanted = self._wanted(arguments)
        rows = await self._search.search_conversations(self._uid, wanted, FOUND)
        return shown(rows, self._sources, self._zone) or "Nothing was found."

    async def _read_conversation(self, arguments: dict[str, Any]) -> str:
        number = arguments.get("number")
        known = isinstance(number, int) and not isinstance(number, bool)
        id = self._sources.id(number) if known else None  # type: ignore[arg-type]
        rows = await self._search.conversations(self._uid, [id]) if id is not None else []
        if not rows:
            raise Unanswerable("invented", "number: give the number of a conversation you were shown.")
        lines = [
            f"{segment.speaker}{' (the user)' if segment.is_user else ''}: {segment.text}"
            for segment in await self._search.transcript(self._uid, rows[0].id)
        ]
        self._sources.show(rows[0].id, "\n".join(lines))
        return f"[{number}] {local_time(rows[0].started_at, self._zone)}\n" + "\n".join(lines)

    async def _search_memories(self, arguments: dict[str, Any]) -> str:
        rows = await self._search.search_memories(self._uid, self._wanted(arguments), FOUND)
        return (
            "\n".join(f"- {self._cited(row.conversation_id, row.content)}{row.content}" for row in rows)
            or "None was found."
        )

    async def _search_action_items(self, arguments: dict[str, Any]) -> str:
        wanted = self._wanted(arguments, text_needed=False)
        rows = await self._search.search_action_items(self._uid, wanted, FOUND)
        return (
            "\n".join(
                f"- {self._cited(row.conversation_id, row.description)}{row.description}"
                f" ({'done' if row.completed else 'open'}"
                + (f", due {local_time(row.due_at, self._zone)})" if row.due_at is not None else ")")
                for row in rows
            )
            or "None was found."
        )

    def _wanted(self, arguments: dict[str, Any], *, text_needed: bool = True) -> Wanted:
        said = self._sift.record(arguments, _Search.__struct_fields__)
        wanted = Wanted(
            text=self._sift.text(said.get("query"), characters=TEXT),
            people=tuple(self._sift.texts(said.get("people"), NAMES, NAME)),
            topics=tuple(self._sift.texts(said.get("topics"), NAMES, NAME)),
            start=moment_of(said.get("start"), self._now, self._doubts),
            end=moment_of(said.get("end"), self._now, self._doubts, last=True),
        )
        if not wanted.text and (text_needed or (wanted.start, wanted.end) == (None, None)):
            raise Unanswerable("missing", "query: give a text to look for.")
        return wanted

    def _cited(self, conversation_id: str | None, text: str) -> str:
        return "" if conversation_id is None else f"[{self._sources.show(conversation_id, text)}] "


def _named(tools: Sequence[AppTool]) -> dict[str, AppTool]:
    """Those that can be offered, each under a name of its own: two apps may call theirs alike."""
    found: dict[str, AppTool] = {}
    for tool in tools[:MOST_APP_TOOLS]:
        if not _NAME.fullmatch(tool.name) or tool.name in _OWN:
            continue
        name, number = tool.name, 1
        while name in found:
            number += 1
            name = f"{tool.name[:60]}_{number}"
        found[name] = tool
    return found


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        return find_json(call.arguments).value
    except NotJson as error:
        raise Unanswerable(error.reason, "The arguments must be one JSON object, as the tool says.") from None


def moment_of(value: object, now: datetime, doubts: Counter[str], *, last: bool = False) -> int | None:
    """A local date, or date and time, in µs: of a date alone the first moment of the day, or the `last`.

    None for what is none, and for a year before 1971 or far ahead.
    """
    if value is None or value == "":
        return None
    try:
        said = datetime.fromisoformat(str(value).strip()[:NAME])
        if last and len(str(value).strip()) == len("2026-01-31"):
            said = said.replace(hour=23, minute=59, second=59, microsecond=999_999)
        said = said if said.tzinfo else said.replace(tzinfo=now.tzinfo)
        if not (said.year > 1970 and said <= now + AHEAD):
            raise ValueError("a year nobody speaks of")
        return micros(said)
    except (ValueError, OverflowError):
        doubts["absurd_date"] += 1
        return None
