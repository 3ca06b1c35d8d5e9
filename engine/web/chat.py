"""/v2/messages and its relatives: the chat about what was said.

An answer is streamed as the Omi backend does: chunks `think: …` (what is being done) and `data: …` (a piece of the
answer), in the end `done: …` with the kept message, JSON in base64; each followed by an empty line, a line break in
a text written as `__CRLF__`. `[n]` in a text is the n-th of the message's `memories`.
"""

import base64
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from quart import Response, current_app

from engine.conversation.chat.answering import AppNotEnabled, Chat
from engine.conversation.chat.ports import Persona
from engine.conversation.chat.reply import ChatAsked, ChatDone, ChatEvent, ChatText, ChatThought, Kept
from engine.conversation.structured import DEFAULT_EMOJI
from engine.moments import instant
from engine.store.records import ConversationRow
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.streaming import Send, StreamedBody

__all__ = ["CRLF", "ChatQuery", "MessageDocument", "chat", "chunks", "persona_of", "streamed"]

CRLF = "__CRLF__"
PIECE = 500
"""Characters of one chunk: the phone app takes lines of 1,024 and more for torn ones."""
NO_APP = ("", "null", "no_selected", "omi")
"""What clients that exist send for the chat without an app."""


class ChatQuery(msgspec.Struct, frozen=True):
    """Which chat; `plugin_id` is what `app_id` was called before."""

    app_id: str = ""
    plugin_id: str = ""

    @property
    def app(self) -> str | None:
        """The app's id, None for the chat without one."""
        named = self.app_id if self.app_id not in NO_APP else self.plugin_id
        return None if named in NO_APP else named


class HistoryQuery(ChatQuery, frozen=True):
    """A page of a chat."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


class NewMessage(msgspec.Struct, frozen=True):
    """A message to be answered. No files can be given."""

    text: str
    file_ids: Annotated[list[str], Meta(max_length=0)] | None = None


class CitedStructured(msgspec.Struct, frozen=True):
    """What a client shows of a cited conversation."""

    title: str
    emoji: str


class CitedConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that an answer rests on."""

    id: str
    created_at: datetime
    structured: CitedStructured
    deleted: bool = False


class MessageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `sender`: "human" or "ai"."""

    id: str
    created_at: datetime
    text: str
    sender: str
    type: str
    app_id: str | None
    plugin_id: str | None
    from_external_integration: bool = False
    memories_id: list[str]
    memories: list[CitedConversation]
    files_id: list[str] = []
    files: list[str] = []
    reported: bool = False
    chat_session_id: str | None = None
    ask_for_nps: bool = False


class ClearedChat(MessageDocument, frozen=True, kw_only=True):
    """The greeting that a chat begins anew with."""

    status: str = "success"


def chat(service: Chat, text_limit: int, identify: Identify) -> Api:
    """The routes."""
    api = Api("chat", identify, prefix="/v2", tag="Chat")

    @api.post(
        "/messages",
        "Ask about what was said, the answer is streamed",
        query=ChatQuery,
        body=NewMessage,
        errors=(403,),
        media="text/event-stream",
    )
    async def send_message(uid: str, query: ChatQuery, body: NewMessage) -> Response:
        text = body.text.strip()
        if not text or len(text) > text_limit:
            raise ApiError(422, f"text={len(text)} characters is not accepted: use 1 to {text_limit}")
        return streamed(service, uid, text, await persona_of(service, uid, query))

    @api.get("/messages", "A chat, newest message first", query=HistoryQuery, answer=list[MessageDocument])
    async def list_messages(uid: str, query: HistoryQuery) -> list[MessageDocument]:
        return [_document(kept) for kept in await service.history(uid, query.app, query.limit, query.offset)]

    @api.delete(
        "/messages",
        "Forget a chat and begin it anew",
        query=ChatQuery,
        answer=ClearedChat,
        errors=(403,),
    )
    async def clear_messages(uid: str, query: ChatQuery) -> ClearedChat:
        document = _document(await service.clear(uid, await persona_of(service, uid, query)))
        return ClearedChat(**msgspec.structs.asdict(document))

    @api.post(
        "/initial-message",
        "Begin a chat with a greeting",
        query=ChatQuery,
        answer=MessageDocument,
        errors=(403,),
    )
    async def begin_chat(uid: str, query: ChatQuery) -> MessageDocument:
        return _document(await service.greet(uid, await persona_of(service, uid, query)))

    return api


def streamed(
    service: Chat, uid: str, text: str, persona: Persona | None, *, with_question: bool = False
) -> Response:
    """The answer to `text` as a response; `with_question`: what was asked comes first, as `message: …`."""

    async def answer(send: Send) -> None:
        async def say(event: ChatEvent) -> None:
            if with_question or not isinstance(event, ChatAsked):
                for written in chunks(event):
                    await send(written)

        await service.answer(uid, text, persona, say)

    response = current_app.response_class(StreamedBody(answer), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None  # the chat has its own
    return response


async def persona_of(service: Chat, uid: str, query: ChatQuery) -> Persona | None:
    """As whom the chat answers. Raises `ApiError` 403."""
    try:
        return await service.open(uid, query.app)
    except AppNotEnabled as error:
        raise ApiError(
            403,
            f"app_id={str(error)!r} is not accepted: use an app that you have enabled and that answers in chats",
        ) from None


def chunks(event: ChatEvent) -> list[bytes]:
    """What is sent of an event; `message: …`, as `done`, is what was asked, for who did not write it."""
    match event:
        case ChatAsked(kept):
            return [_chunk("message", _encoded(kept))]
        case ChatThought(text):
            return [_chunk("think", text)]
        case ChatText(text):
            return [_chunk("data", text[at : at + PIECE]) for at in range(0, len(text), PIECE)]
        case ChatDone(kept):
            return [_chunk("done", _encoded(kept))]


def _encoded(kept: Kept) -> str:
    return base64.b64encode(msgspec.json.encode(_document(kept))).decode()


def _chunk(kind: str, text: str) -> bytes:
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", CRLF)
    return f"{kind}: {plain}\n\n".encode()


def _document(kept: Kept) -> MessageDocument:
    row = kept.row
    return MessageDocument(
        id=row.id,
        created_at=instant(row.created_at),
        text=row.text,
        sender=row.sender,
        type=row.type,
        app_id=row.app_id,
        plugin_id=row.app_id,
        memories_id=row.citations,
        memories=[_cited(conversation) for conversation in kept.cited],
    )


def _cited(row: ConversationRow) -> CitedConversation:
    title, emoji = (
        str(row.structured.get(name) or other) for name, other in (("title", ""), ("emoji", DEFAULT_EMOJI))
    )
    return CitedConversation(
        id=row.id, created_at=instant(row.created_at), structured=CitedStructured(title, emoji)
    )
