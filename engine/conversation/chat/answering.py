"""The chat: a user asks, and is answered from what they have said and kept.

Operations: `open` says as whom a chat answers; `answer` answers a message piece by piece; `greet` begins a chat;
`history`, `clear`.
Invariants: a message and its answer are kept together, in one transaction, before the answer is called done: an
answer that its asker did not wait for leaves nothing. What was given out in pieces is the text that is kept. Every
message is answered, whatever the model does: where it fails, with what was found.
Bounded: `EARLIER` messages are looked at; of tools by `chat.tool_calls`, of time by `chat.timeout`.
Cancellation: ends the model's work; nothing is kept.
"""

from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

import trio

from engine._config_models import Chat as Settings
from engine.conversation.chat.model import answer_with_model
from engine.conversation.chat.ports import (
    AppTools,
    ChatModels,
    ChatSearch,
    Messages,
    NoApps,
    Persona,
    Users,
    Wanted,
)
from engine.conversation.chat.prompts import greeting_messages
from engine.conversation.chat.reply import (
    Asked,
    ChatAsked,
    ChatDone,
    Kept,
    Reply,
    Say,
    without_zeros,
)
from engine.conversation.chat.retrieved import answer_with_passages
from engine.conversation.chat.small import answer_with_small_model
from engine.conversation.llm.metrics import LlmMeter, NoMeter
from engine.conversation.llm.port import Llm, LlmError
from engine.conversation.zones import zone_of
from engine.listen.ports import WallClock
from engine.log import get_logger
from engine.moments import instant
from engine.store.user_records import MessageRow, UserRow

__all__ = ["AppNotEnabled", "Chat"]

log = get_logger(__name__)

EARLIER = 10
GREETING_TOKENS = 256
GREETING = 1_000
"""Characters of a greeting that are kept."""
KNOWN = 5
"""Memories that a greeting may speak of."""
ABOUT_THEM = "Who they are and what they care about"

NO_MODEL = "No language model is configured here, so this is what was found and not an answer."
MODEL_FAILED = "The language model cannot answer right now, so this is what was found and not an answer."
BROKE_OFF = "(The answer broke off here.)"
TOO_SLOW = "The answer took too long; please ask again."


class AppNotEnabled(Exception):
    """The user has not enabled an app of that id that answers in chats."""


class Chat:
    """All users' chats. Without a language model it answers with what is found."""

    def __init__(
        self,
        *,
        messages: Messages,
        users: Users,
        search: ChatSearch,
        models: ChatModels,
        settings: Settings,
        now: WallClock,
        asks: int = 3,
        small: bool = False,
        apps: AppTools | None = None,
        meter: LlmMeter | None = None,
    ) -> None:
        """`small`: the language model is; see `engine.conversation.chat.small`."""
        self._messages = messages
        self._users = users
        self._search = search
        self._models = models
        self._settings = settings
        self._now = now
        self._asks = asks
        self._small = small
        self._apps = apps or NoApps()
        self._meter = meter or NoMeter()

    async def open(self, uid: str, app_id: str | None) -> Persona | None:
        """As whom the chat answers; None without an app. Raises `AppNotEnabled`."""
        if app_id is None:
            return None
        persona = await self._apps.persona(uid, app_id)
        if persona is None:
            raise AppNotEnabled(app_id)
        return persona

    async def history(self, uid: str, app_id: str | None, limit: int, offset: int = 0) -> list[Kept]:
        """A page of a chat, newest first."""
        rows = await self._messages.history(uid, app_id, limit, offset)
        ids = {id for row in rows for id in row.citations}
        there = await self._search.cited(uid, ids)
        return [Kept(row, tuple(there[id] for id in row.citations if id in there)) for row in rows]

    async def clear(self, uid: str, persona: Persona | None) -> Kept:
        """Forget a chat and begin it anew, with a greeting."""
        await self._messages.clear(uid, persona.app_id if persona else None)
        return await self.greet(uid, persona)

    async def greet(self, uid: str, persona: Persona | None) -> Kept:
        """The message that begins a chat, kept."""
        user = await self._users.get(uid)
        text = ""
        if self._models.llm is not None:
            with trio.move_on_after(self._settings.greeting_timeout):
                text = await self._greeting_of(self._models.llm, user, persona)
        row = self._row(uid, persona, "ai", text or _greeting(user), self._now())
        await self._messages.put(row)
        return Kept(row)

    async def _greeting_of(self, llm: Llm, user: UserRow, persona: Persona | None) -> str:
        """The model's greeting, empty when it has none."""
        memories = await self._search.search_memories(user.uid, Wanted(text=ABOUT_THEM), KNOWN)
        asked = greeting_messages(user, memories, persona)
        try:
            said = await llm.complete(asked, max_tokens=GREETING_TOKENS)
            return without_zeros(said.text).strip()[:GREETING]
        except LlmError as error:
            log.warning("chat.greeting_failed", outcome=error.outcome)
            return ""

    async def answer(self, uid: str, text: str, persona: Persona | None, say: Say) -> None:
        """Answer `text`, telling `say` `ChatAsked` first, then every piece, `ChatDone` last."""
        at = self._now()
        user = await self._users.get(uid)
        earlier = await self._messages.history(uid, persona.app_id if persona else None, EARLIER)
        zone = zone_of(user.time_zone)
        asked = Asked(
            uid=uid,
            text=text,
            user=user,
            persona=persona,
            earlier=earlier[::-1],
            zone=zone,
            now=instant(at).astimezone(zone),
        )
        human = self._row(uid, persona, "human", text, at)
        await say(ChatAsked(Kept(human)))
        reply = Reply(say)
        with trio.move_on_after(self._settings.timeout) as limit:
            await self._write(asked, reply)
        if limit.cancelled_caught:
            log.warning("chat.timeout", seconds=self._settings.timeout)
            await reply.paragraph(BROKE_OFF if reply.text else TOO_SLOW)
        await reply.finish()
        self._meter.distrusted("invented", reply.citations.invented)
        cited = reply.citations.cited
        answer = self._row(uid, persona, "ai", reply.text, max(self._now(), at + 1), cited)
        await self._messages.put(human, answer)
        there = await self._search.cited(uid, cited)
        await say(ChatDone(Kept(answer, tuple(there[id] for id in cited if id in there))))

    async def _write(self, asked: Asked, reply: Reply) -> None:
        """The answer: the model's, or what is found."""
        if self._models.llm is None:
            await answer_with_passages(asked, reply, self._search, NO_MODEL)
            return
        try:
            await self._ask_model(self._models.llm, asked, reply)
        except LlmError as error:
            log.warning("chat.model_failed", outcome=error.outcome)
            if reply.text:
                await reply.paragraph(BROKE_OFF)
            else:
                await answer_with_passages(asked, reply, self._search, MODEL_FAILED)

    async def _ask_model(self, llm: Llm, asked: Asked, reply: Reply) -> None:
        if self._small:
            await answer_with_small_model(asked, reply, llm=llm, search=self._search)
            return
        doubts: Counter[str] = Counter()
        try:
            await answer_with_model(
                asked,
                reply,
                llm=llm,
                search=self._search,
                apps=self._apps,
                tool_calls=self._settings.tool_calls,
                asks=self._asks,
                doubts=doubts,
            )
        finally:
            for reason, count in (+doubts).items():
                self._meter.distrusted(reason, count)

    def _row(
        self,
        uid: str,
        persona: Persona | None,
        sender: str,
        text: str,
        at: int,
        citations: Sequence[str] = (),
    ) -> MessageRow:
        return MessageRow(
            uid=uid,
            id=str(uuid4()),
            app_id=persona.app_id if persona else None,
            sender=sender,
            text=text,
            citations=list(citations),
            created_at=at,
        )


def _greeting(user: UserRow) -> str:
    return f"Hi{' ' + user.name if user.name else ''}! Ask me about anything you have talked about."
