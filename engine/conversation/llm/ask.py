"""Asks a model for a JSON object until one comes that can be used, a bounded number of times."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from engine.conversation.llm.answer_json import NotJson, find_json
from engine.conversation.llm.port import AnswerSchema, Llm, LlmAnswerError, Message

__all__ = ["Unusable", "ask"]

SHOWN = 1000
"""Characters of a wrong answer that the model is shown again."""

T = TypeVar("T")

_ADVICE = {
    "empty": "The answer was empty.",
    "not_json": "That is not one JSON object.",
    "wrong_shape": "That is JSON, but not one object.",
    "too_long": "That is far too long.",
}


class Unusable(Exception):
    """An answer is an object, but cannot be used as a whole. The text tells the model why; `reason` is counted."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


async def ask(
    llm: Llm,
    messages: Sequence[Message],
    schema: AnswerSchema,
    read: Callable[[dict[str, Any]], T],
    *,
    asks: int,
    doubts: Counter[str],
    max_tokens: int | None = None,
) -> T:
    """What `read` makes of the model's answer; when it raises `Unusable` the model is told why and asked again.

    `read` repairs or drops what is wrong in parts. What had to be done to answers as a whole is added to `doubts`,
    by the reasons of `engine.conversation.llm.metrics.DISTRUSTED`. Raises `LlmAnswerError` after `asks` answers
    that were of no use, and what `llm` raises.
    """
    told: Sequence[Message] = messages
    reason = ""
    for _ in range(asks):
        answer = await llm.complete(told, schema=schema, max_tokens=max_tokens)
        try:
            found = find_json(answer.text)
            for repair in found.repairs:
                doubts[repair] += 1
            return read(found.value)
        except NotJson as error:
            reason, advice = error.reason, _ADVICE[error.reason]
        except Unusable as error:
            reason, advice = error.reason, str(error)
        doubts[reason] += 1
        told = [*messages, *_again(answer.text, advice, schema)]
    raise LlmAnswerError(f"{schema.name}: no usable answer in {asks} asks (the last: {reason})", "unusable")


def _again(answer: str, advice: str, schema: AnswerSchema) -> list[Message]:
    shape = msgspec.json.encode(schema.schema).decode()
    return [
        Message("assistant", answer[:SHOWN] or "(nothing)"),
        Message(
            "user", f"{advice} Answer again with nothing but one JSON object of this JSON Schema:\n{shape}"
        ),
    ]
