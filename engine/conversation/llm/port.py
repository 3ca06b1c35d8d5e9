"""What the engine asks of a language model: the port, its values and its errors.

An `Llm` answers a list of messages, whole (`complete`) or as it is written (`stream`). `OpenAiLlm` is the one that
comes with the engine; tests and embedders may bring another. Nothing here does I/O.

What a model says is never trusted: whoever wants more than prose reads it with `engine.conversation.llm.ask`, which
finds the JSON in an answer, checks it and asks again a bounded number of times.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

__all__ = [
    "AnswerSchema",
    "Completion",
    "Finish",
    "ImagePart",
    "Llm",
    "LlmAnswerError",
    "LlmContextExceeded",
    "LlmError",
    "LlmRefused",
    "LlmUnavailable",
    "Message",
    "TextDelta",
    "TextPart",
    "Tool",
    "ToolCall",
    "Usage",
]

Finish: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why an answer ended: by itself, at its token limit, to have tools called, or cut by the vendor's filter."""


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """Text among other parts of a message."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """A picture for a model that sees: an `https:` address or a `data:image/…;base64,…` one."""

    url: str


class ToolCall(msgspec.Struct, frozen=True):
    """A tool the model wants called. `arguments` is what it wrote: meant to be a JSON object, not yet checked."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation with a model.

    `tool_calls` belong to an `assistant` message; a `tool` message names in `tool_call_id` the call it answers.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str | tuple[TextPart | ImagePart, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """A function the model may ask for; `parameters` is the JSON Schema of its one object of arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class AnswerSchema(msgspec.Struct, frozen=True):
    """The shape an answer shall have, as a JSON Schema under a name (`engine.conversation.llm.schema` makes it)."""

    name: str
    schema: Mapping[str, Any]


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the vendor counted them; 0 where it does not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class TextDelta(msgspec.Struct, frozen=True):
    """The next piece of an answer's text."""

    text: str


class Completion(msgspec.Struct, frozen=True):
    """A whole answer."""

    text: str
    finish: Finish = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()


class LlmError(Exception):
    """No usable answer. `outcome` is one of `OUTCOMES` of `engine.conversation.llm.metrics`.

    The text never repeats what the vendor said: that can hold the prompt or the key.
    """

    def __init__(self, text: str, outcome: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class LlmUnavailable(LlmError):
    """The vendor cannot be reached, is too slow, overloaded or broke off: later it may work.

    `retry_after`: seconds the vendor asked to wait, if it did.
    """

    def __init__(self, text: str, outcome: str, retry_after: float | None = None) -> None:
        super().__init__(text, outcome)
        self.retry_after = retry_after


class LlmRefused(LlmError):
    """The vendor will not answer this request however often it comes: key, model, quota or content."""


class LlmContextExceeded(LlmRefused):
    """The messages are longer than the model's context."""


class LlmAnswerError(LlmError):
    """The model answered, and after all the asking again no answer could be used."""


class Llm(Protocol):
    """A language model."""

    @property
    def context_tokens(self) -> int:
        """Tokens that prompt and answer may have together."""
        ...

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        schema: AnswerSchema | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """The answer to `messages`, of at most `max_tokens`.

        With `schema` the model is asked for JSON of that shape, which it may miss. Raises `LlmError`. A cancelled
        call may have been paid for; nothing else is left of it.
        """
        ...

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[Tool] = (), max_tokens: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[TextDelta | Completion]]:
        """As `complete`, piece by piece: `TextDelta`s, then the whole `Completion` last.

        Raises `LlmError` on entering or from the iterator; what came before stays valid. Leaving the block ends
        the request.
        """
        ...
