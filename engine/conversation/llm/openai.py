"""A language model behind OpenAI's chat completions, theirs or any server that speaks them.

Wire format: OpenAI API reference, "Chat Completions" and its streaming events. What servers are known to do
differently is taken as it comes: no `id` on a tool call, arguments as an object, `content` null, no `usage`, an
unknown `finish_reason`, an error object in a 200 or in mid-stream, a stream without `[DONE]`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from engine._config_models import OPENAI_URL, Llm
from engine.conversation.llm.failures import failure_inside
from engine.conversation.llm.model_server import EventStream, ModelServer
from engine.conversation.llm.port import (
    AnswerSchema,
    Completion,
    Finish,
    ImagePart,
    LlmError,
    LlmRefused,
    LlmUnavailable,
    Message,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    Usage,
)

__all__ = ["OpenAiLlm", "is_configured"]

_PATH = "/chat/completions"
_DONE = "[DONE]"


def is_configured(settings: Llm) -> bool:
    """Whether there is a model to ask: a key, or a server of one's own, which may want none."""
    return bool(settings.api_key) or settings.base_url.rstrip("/") != OPENAI_URL


class OpenAiLlm:
    """Implements `Llm` on a `ModelServer`."""

    def __init__(self, server: ModelServer, settings: Llm) -> None:
        self.server = server
        self._settings = settings

    @property
    def context_tokens(self) -> int:
        """Tokens of prompt and answer together."""
        return self._settings.context_tokens

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        schema: AnswerSchema | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """See `Llm.complete`."""
        if schema and self._settings.structured_output != "json_schema":
            messages = _told(messages, schema)
        body = self._body(messages, tools, max_tokens) | self._format(schema)
        return self._counted(await self.server.post("chat", _PATH, body, _completion))

    @asynccontextmanager
    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[Tool] = (), max_tokens: int | None = None
    ) -> AsyncIterator[AsyncIterator[TextDelta | Completion]]:
        """See `Llm.stream`."""
        body = self._body(messages, tools, max_tokens)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        async with self.server.events("stream", _PATH, body, _chunk) as chunks:
            yield _Pieces(chunks, self)

    def _body(
        self, messages: Sequence[Message], tools: Sequence[Tool], max_tokens: int | None
    ) -> dict[str, Any]:
        # OpenAI's newer models refuse `max_tokens`; other servers may not know the name that replaced it.
        limit = "max_completion_tokens" if self.server.is_openai else "max_tokens"
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [_message(message) for message in messages],
            limit: max_tokens or self._settings.answer_tokens,
        }
        if self._settings.small_model:
            body["temperature"] = 0  # what is less likely is made up
        if tools:
            body["tools"] = [{"type": "function", "function": tool} for tool in tools]
        return body

    def _format(self, schema: AnswerSchema | None) -> dict[str, Any]:
        if schema is None or self._settings.structured_output == "prompt":
            return {}
        if self._settings.structured_output == "json_object":
            return {"response_format": {"type": "json_object"}}
        shape = {"name": schema.name, "strict": True, "schema": schema.schema}
        return {"response_format": {"type": "json_schema", "json_schema": shape}}

    def _counted(self, completion: Completion) -> Completion:
        usage = completion.usage
        self.server.meter.tokens(usage.prompt_tokens, usage.completion_tokens)
        return completion


# What the server says. `Any` where servers differ: read below, not by the decoder.


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Counts | None = None


class _Pieces:
    """The events of a stream as deltas, then the whole."""

    def __init__(self, chunks: EventStream[_Answer | None], llm: OpenAiLlm) -> None:
        self._chunks = chunks
        self._llm = llm
        self._text: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._finish: str | None = None
        self._usage: _Counts | None = None
        self._ended = False

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> TextDelta | Completion:
        if self._ended:
            raise StopAsyncIteration
        async for answer in self._chunks:
            if answer is None:
                break
            text = self._take(answer)
            if text:
                return TextDelta(text)
        self._ended = True
        return self._llm._counted(self._whole())

    def _take(self, answer: _Answer) -> str:
        self._usage = answer.usage or self._usage
        text = ""
        for choice in answer.choices[:1]:
            self._finish = choice.finish_reason or self._finish
            said = choice.delta or _Said()
            if said.refusal:
                raise _declined()
            text += said.content or ""
            for call in said.tool_calls or ():
                self._add(call)
        self._text.append(text)
        return text

    def _add(self, piece: _Call) -> None:
        call = self._calls.setdefault(self._place(piece), _Call(function=_Function()))
        call.id = piece.id or call.id
        if piece.function and call.function:
            call.function.name = piece.function.name or call.function.name
            call.function.arguments = (call.function.arguments or "") + _arguments(piece.function)

    def _place(self, piece: _Call) -> int:
        """Which call a piece belongs to. Some servers give no index, or the same to each of several calls."""
        known = self._calls.get(piece.index) if piece.index is not None else None
        if piece.index is not None and not (known and known.id and piece.id and known.id != piece.id):
            return piece.index
        begins = piece.function is not None and piece.function.name
        last = max(self._calls, default=-1)
        return last + 1 if begins or last < 0 else last

    def _whole(self) -> Completion:
        if self._finish is None:
            raise LlmUnavailable("the answer's stream ended in the middle", "cut")
        said = _Said("".join(self._text), tool_calls=[self._calls[index] for index in sorted(self._calls)])
        return _completed(said, self._finish, self._usage)


def _completion(body: bytes) -> Completion:
    answer = _decoded(body)
    if not answer.choices:
        raise LlmUnavailable("an answer without choices", "broken")
    choice = answer.choices[0]
    return _completed(choice.message or _Said(), choice.finish_reason, answer.usage)


def _chunk(data: str) -> _Answer | None:
    return None if data.strip() == _DONE else _decoded(data)


def _decoded(body: bytes | str) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said: LlmError | None = failure_inside(body)
        raise said or LlmUnavailable("an answer that is not OpenAI's protocol", "broken") from error


def _completed(said: _Said, finish: str | None, counts: _Counts | None) -> Completion:
    if said.refusal or finish == "content_filter":
        raise _declined()
    calls = tuple(
        ToolCall(call.id or f"call_{number}", call.function.name, _arguments(call.function))
        for number, call in enumerate(said.tool_calls or ())
        if call.function and call.function.name
    )
    end: Finish = "tool_calls" if calls else "length" if finish == "length" else "stop"
    counts = counts or _Counts()
    usage = Usage(max(counts.prompt_tokens or 0, 0), max(counts.completion_tokens or 0, 0))
    return Completion(said.content or "", end, calls, usage)


def _arguments(function: _Function) -> str:
    given = function.arguments
    if isinstance(given, str):
        return given
    return "" if given is None else msgspec.json.encode(given).decode()


def _declined() -> LlmRefused:
    return LlmRefused("the model declines to answer this", "content_filter")


def _told(messages: Sequence[Message], schema: AnswerSchema) -> list[Message]:
    """The messages, the last saying in words what shape the answer shall have."""
    shape = msgspec.json.encode(schema.schema).decode()
    told = f"\n\nAnswer with nothing but one JSON object of this JSON Schema:\n{shape}"
    *before, last = messages
    content = last.content + told if isinstance(last.content, str) else (*last.content, TextPart(told))
    return [*before, msgspec.structs.replace(last, content=content)]


def _message(message: Message) -> dict[str, Any]:
    content: Any = message.content
    if not isinstance(content, str):
        content = [
            {"type": "image_url", "image_url": {"url": part.url}}
            if isinstance(part, ImagePart)
            else {"type": "text", "text": part.text}
            for part in content
        ]
    said: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    return said
