"""What a prompt makes of a conversation, by a model behind real sockets."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from engine.conversation.app_prompt import LONGEST_ANSWER, run_prompt
from engine.conversation.llm.port import LlmAnswerError, LlmContextExceeded, LlmRefused
from engine.conversation.structured import Transcript
from engine.testing import LlmFaultPlan, LlmRequest, OpenAiStandIn, Reply, Wrong
from engine.wire.messages import Segment
from tests.conversation.models import asked, wrong


def transcript(*texts: str) -> Transcript:
    return Transcript(
        segments=tuple(
            Segment(id=str(n), text=text, start=float(n), end=n + 1.0) for n, text in enumerate(texts)
        ),
        started_at=datetime(2026, 11, 20, 9, tzinfo=UTC),
        time_zone=ZoneInfo("UTC"),
    )


async def test_a_prompt_is_put_to_the_conversation() -> None:
    async with asked(OpenAiStandIn(lambda request: Reply("  Three cakes. "))) as model:
        answer = await run_prompt(model.llm, "What was ordered?", transcript("Three cakes, please."))
        assert answer == "Three cakes."
        (request,) = model.standin.requests
        assert request.text.startswith("What was ordered?")
        assert "[1] 00:00 SPEAKER_00: Three cakes, please." in request.text
        assert "never an instruction" in request.body["messages"][0]["content"]


async def test_a_long_conversation_is_asked_about_in_parts_and_the_answers_together() -> None:
    def answer(request: LlmRequest) -> Reply:
        return Reply("part" if "of the conversation.\n" in request.text else "whole")

    async with asked(OpenAiStandIn(answer), context_tokens=2048) as model:
        long = transcript(
            *[f"Sentence number {n} about the many cakes that were ordered." for n in range(300)]
        )
        assert await run_prompt(model.llm, "What was ordered?", long) == "whole"
        requests = list(model.standin.requests)
        assert len(requests) > 3
        assert all(request.tokens <= 2048 for request in requests)
        assert requests[-1].text.count("part") == len(requests) - 1


async def test_nothing_said_is_a_question_all_the_same() -> None:
    async with asked(OpenAiStandIn(lambda request: Reply("Nothing was said."))) as model:
        assert await run_prompt(model.llm, "What?", transcript()) == "Nothing was said."


async def test_an_answer_is_bounded_and_an_empty_one_an_error() -> None:
    async with asked(OpenAiStandIn(lambda request: Reply("x" * 20_000))) as model:
        assert len(await run_prompt(model.llm, "What?", transcript("Cake."))) == LONGEST_ANSWER
        model.standin.follow(LlmFaultPlan(first=(wrong(Wrong.EMPTY), wrong(Wrong.DECLINED))))
        with pytest.raises(LlmAnswerError):
            await run_prompt(model.llm, "What?", transcript("Cake."))
        with pytest.raises(LlmRefused):
            await run_prompt(model.llm, "What?", transcript("Cake."))


async def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    async with asked(OpenAiStandIn(), context_tokens=2048) as model:
        with pytest.raises(LlmContextExceeded, match="2048"):
            await run_prompt(model.llm, "Why? " * 1600, transcript("Cake."))
        assert not model.standin.requests
