"""Asking a model until an answer can be used, with a model that says what it is told to."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from engine.conversation.llm.ask import SHOWN, Unusable, ask
from engine.conversation.llm.port import AnswerSchema, Completion, LlmAnswerError, Message, TextDelta, Tool

QUESTION = [Message("system", "Be brief."), Message("user", "How many?")]
SCHEMA = AnswerSchema("number", {"type": "object"})


class Says:
    """A model that gives these answers, one after the other."""

    context_tokens = 1000

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[Message]] = []

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        schema: AnswerSchema | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        self.asked.append(messages)
        assert schema == SCHEMA
        assert max_tokens == 50
        return Completion(self.answers.pop(0))

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[Tool] = (), max_tokens: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[TextDelta | Completion]]:
        raise NotImplementedError


def number(answer: dict[str, Any]) -> int:
    if not isinstance(answer.get("n"), int):
        raise Unusable("missing", "n must be a number.")
    return int(answer["n"])


async def asked(model: Says, doubts: Counter[str], asks: int = 3) -> int:
    return await ask(model, QUESTION, SCHEMA, number, asks=asks, doubts=doubts, max_tokens=50)


async def test_the_first_answer_that_can_be_used_is_taken() -> None:
    doubts: Counter[str] = Counter()
    model = Says("five", '```json\n{"n": "5"}\n```', 'So: {"n": 5}', '{"n": 6}')
    assert await asked(model, doubts) == 5
    assert doubts == {"not_json": 1, "fence": 1, "missing": 1, "prose": 1}
    assert model.answers == ['{"n": 6}']


async def test_the_model_is_told_what_was_wrong_with_its_last_answer_alone() -> None:
    model = Says("x" * 5000, '{"n": null}', '{"n": 1}')
    assert await asked(model, Counter()) == 1
    first, second, third = model.asked
    assert first == QUESTION
    assert second[:2] == third[:2] == QUESTION
    assert len(second) == len(third) == 4
    assert second[2] == Message("assistant", "x" * SHOWN)
    assert str(second[3].content).startswith("That is not one JSON object. Answer again")
    assert str(third[3].content).startswith("n must be a number. Answer again")
    assert str(third[3].content).endswith('{"type":"object"}')


async def test_after_so_many_answers_it_gives_up_and_says_why() -> None:
    with pytest.raises(
        LlmAnswerError, match=r"number: no usable answer in 2 asks \(the last: empty\)"
    ) as caught:
        await asked(Says("[]", " "), Counter(), asks=2)
    assert caught.value.outcome == "unusable"
