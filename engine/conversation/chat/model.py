"""Answers by a language model: is there a need for context, what is found for it, what does the model look up itself.

    need (what to look for) -> conversations, memories, feelings -> the model, with tools -> its calls -> … -> text

Bounded: `tool_calls` in one answer, however the model divides them; when they are used up no tools are offered any
more, and calls that come nevertheless are not looked at.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.conversation.chat.ports import AppTools, ChatSearch, Wanted
from engine.conversation.chat.prompts import (
    Need,
    fitted,
    history_messages,
    need_messages,
    shown,
    system_message,
)
from engine.conversation.chat.reply import Asked, Reply
from engine.conversation.chat.tools import NAME, NAMES, TEXT, ChatTools, moment_of
from engine.conversation.llm.answer_json import NotJson, find_json
from engine.conversation.llm.ask import ask
from engine.conversation.llm.port import Completion, Llm, LlmAnswerError, Message, Tool, ToolCall
from engine.conversation.llm.schema import answer_schema
from engine.conversation.llm.sift import Sift
from engine.conversation.llm.windows import estimate_tokens

__all__ = ["CUT", "answer_with_model"]

NEED = answer_schema(Need)
NEED_TOKENS = 512
FOUND = 5
MEMORIES = 8
FEELINGS = 3
ANSWER_SHARE = 4
"""Of the context one part in so many is left for the answer."""
LOOKED_FOR = 100
"""Characters of what is looked for that are shown to who waits."""

CUT = "(The answer was cut here: it became too long.)"


async def answer_with_model(
    asked: Asked,
    reply: Reply,
    *,
    llm: Llm,
    search: ChatSearch,
    apps: AppTools,
    tool_calls: int,
    asks: int,
    doubts: Counter[str],
) -> None:
    """Write the model's answer. Raises `LlmError`; what was written by then stays.

    `LlmAnswerError` when the model has nothing to say.
    """
    wanted = await _wanted(asked, llm, asks, doubts)
    about = wanted.text if wanted else asked.text
    found = ""
    if wanted is not None:
        await reply.think("Looking through your conversations")
        rows = await search.search_conversations(asked.uid, wanted, FOUND)
        found = shown(rows, reply.sources, asked.zone)
    system = system_message(
        asked.user,
        asked.now,
        asked.zone,
        memories=await search.search_memories(asked.uid, Wanted(text=about), MEMORIES),
        feelings=await search.feelings(asked.uid, FEELINGS),
        persona=asked.persona,
        found=found,
    )
    messages = [system, *history_messages(asked.earlier), Message("user", asked.text)]
    tools = None
    if wanted is not None:
        offered = await apps.tools(asked.uid)
        tools = ChatTools(asked, search, apps, offered, reply.sources, doubts)
    await _Talk(llm, reply, tools, tool_calls).run(messages, asked.text)


async def _wanted(asked: Asked, llm: Llm, asks: int, doubts: Counter[str]) -> Wanted | None:
    """What to look for; None when nothing has to be. When the model does not say, the question itself."""

    def read(answer: dict[str, Any]) -> Wanted | None:
        return _read_need(answer, asked, doubts)

    budget = llm.context_tokens - NEED_TOKENS - estimate_tokens(str(NEED.schema))
    messages = fitted(need_messages(asked.earlier, asked.text, asked.now), budget)
    try:
        return await ask(llm, messages, NEED, read, asks=asks, doubts=doubts, max_tokens=NEED_TOKENS)
    except LlmAnswerError:
        return Wanted(text=asked.text)


def _read_need(answer: dict[str, Any], asked: Asked, doubts: Counter[str]) -> Wanted | None:
    sift = Sift(asked.now, asked.zone)
    said = sift.record(answer, Need.__struct_fields__)
    question = sift.text(said.get("question"), characters=TEXT)
    people = tuple(sift.texts(said.get("people"), NAMES, NAME))
    topics = tuple(sift.texts(said.get("topics"), NAMES, NAME))
    doubts += sift.doubts
    if said.get("needs_context") is False:
        return None
    return Wanted(
        text=question or asked.text,
        people=people,
        topics=topics,
        start=moment_of(said.get("start"), asked.now, doubts),
        end=moment_of(said.get("end"), asked.now, doubts, last=True),
    )


class _Talk:
    """A model that answers, calling tools in between."""

    def __init__(self, llm: Llm, reply: Reply, tools: ChatTools | None, calls: int) -> None:
        self._llm = llm
        self._reply = reply
        self._tools = tools
        self._left = calls if tools is not None else 0

    async def run(self, messages: list[Message], question: str) -> None:
        """Until the model calls no more tools, or may not."""
        while True:
            tools = self._tools
            whole = await self._say(messages, tools.offered if tools and self._left else ())
            calls = whole.tool_calls[: self._left]
            if tools is None or not calls:
                break
            messages.append(Message("assistant", whole.text, tuple(map(_repeated, calls))))
            for call in calls:
                self._left -= 1
                await self._reply.think(_thought(call))
                messages.append(Message("tool", await tools.call(call), tool_call_id=call.id))
        if not self._reply.text.strip():
            raise LlmAnswerError("the model said nothing", "unusable")
        await self._reply.cite(question)
        if whole.finish == "length" or self._reply.is_full:
            await self._reply.paragraph(CUT)

    async def _say(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Completion:
        """One turn of the model's, written as it comes."""
        begun = bool(self._reply.text)
        budget = self._llm.context_tokens - self._llm.context_tokens // ANSWER_SHARE
        budget -= sum(estimate_tokens(f"{tool.description} {tool.parameters}") for tool in tools)
        async with self._llm.stream(fitted(messages, budget), tools=tools) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    return piece
                if begun:  # what it said before it called its tools
                    begun = False
                    await self._reply.paragraph("")
                await self._reply.write(piece.text)
                if self._reply.is_full:
                    break
        return Completion("", "length")


def _repeated(call: ToolCall) -> ToolCall:
    """A call as the model is shown it again: some servers refuse to read arguments that are no JSON."""
    try:
        msgspec.json.decode(call.arguments, type=dict)
    except msgspec.DecodeError:
        return msgspec.structs.replace(call, arguments="{}")
    return call


def _thought(call: ToolCall) -> str:
    """What a call does, for people."""
    try:
        query = find_json(call.arguments).value.get("query")
    except NotJson:
        query = None
    about = f": {' '.join(query.split())[:LOOKED_FOR]}" if isinstance(query, str) and query.strip() else ""
    return f"{call.name.replace('_', ' ').capitalize()[:LOOKED_FOR]}{about}"
