"""The stand-in for OpenAI's protocol, proven by OpenAI's own package."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import openai
import pytest
import trio

from engine.testing import LlmFaultPlan, LlmMishap, OpenAiStandIn, Reply, SaidCall, Wrong
from tests.patience import PATIENCE

T = TypeVar("T")

TOOLS: Any = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]
HELLO: Any = [{"role": "user", "content": "Hello"}]
SHAPE: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "shape",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "kind": {"enum": ["a", "b"]},
                "parts": {"type": "array"},
            },
        },
    },
}


@asynccontextmanager
async def package(standin: OpenAiStandIn) -> AsyncIterator[Callable[[Callable[[openai.OpenAI], T]], Any]]:
    """OpenAI's client in a thread, pointed at `standin`."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(standin.serve)

        def run(use: Callable[[openai.OpenAI], T]) -> T:
            url = f"http://127.0.0.1:{port}/v1"
            with openai.OpenAI(api_key="key", base_url=url, max_retries=0, timeout=PATIENCE) as client:
                return use(client)

        async def call(use: Callable[[openai.OpenAI], T]) -> T:
            return await trio.to_thread.run_sync(run, use)

        yield call
        nursery.cancel_scope.cancel()


async def test_it_completes_and_counts() -> None:
    async with package(OpenAiStandIn(key="key")) as call:
        answer = await call(lambda client: client.chat.completions.create(model="m", messages=HELLO))
        assert answer.choices[0].message.content == "Hello"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.prompt_tokens == 2


async def test_it_streams_text_and_tool_calls() -> None:
    standin = OpenAiStandIn(
        lambda request: Reply("Let me look for it.", (SaidCall("search", '{"q":"boat trip"}'),))
    )
    async with package(standin) as call:

        def use(client: openai.OpenAI) -> tuple[str, str, str | None, int]:
            stream = client.chat.completions.create(
                model="m", messages=HELLO, tools=TOOLS, stream=True, stream_options={"include_usage": True}
            )
            text, arguments, finish, tokens = "", "", None, 0
            for chunk in stream:
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    for tool_call in choice.delta.tool_calls or ():
                        assert tool_call.function
                        arguments += tool_call.function.arguments or ""
                    finish = choice.finish_reason or finish
                tokens = chunk.usage.completion_tokens if chunk.usage else tokens
            return text, arguments, finish, tokens

        text, arguments, finish, tokens = await call(use)
        assert text == "Let me look for it."
        assert arguments == '{"q":"boat trip"}'
        assert finish == "tool_calls"
        assert tokens > 0


async def test_it_calls_tools() -> None:
    async with package(OpenAiStandIn(lambda request: Reply(calls=(SaidCall("search", "{}"),)))) as call:
        answer = await call(
            lambda client: client.chat.completions.create(model="m", messages=HELLO, tools=TOOLS)
        )
        (said,) = answer.choices[0].message.tool_calls
        assert (said.function.name, said.function.arguments) == ("search", "{}")


async def test_it_fills_in_a_schema() -> None:
    async with package(OpenAiStandIn()) as call:
        answer = await call(
            lambda client: client.chat.completions.create(model="m", messages=HELLO, response_format=SHAPE)
        )
        assert answer.choices[0].message.content == '{"title":"A title","kind":"a","parts":[]}'


async def test_it_takes_pictures() -> None:
    standin = OpenAiStandIn()
    picture = "data:image/png;base64,AAAA"
    parts: Any = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": picture}}]
    async with package(standin) as call:
        await call(
            lambda client: client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": parts}]
            )
        )
        assert standin.requests[0].pictures == [picture]


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_it_embeds_texts_that_share_words_near_each_other(encoding: Any) -> None:
    async with package(OpenAiStandIn(dimensions=64)) as call:
        answer = await call(
            lambda client: client.embeddings.create(
                model="m",
                input=["the boat trip", "a boat trip", "quarterly taxes"],
                encoding_format=encoding,
                dimensions=128,
            )
        )
        assert [one.index for one in answer.data] == [0, 1, 2]
        if encoding == "float":
            boat, trip, taxes = (one.embedding for one in answer.data)
            assert len(boat) == 128
            near = sum(a * b for a, b in zip(boat, trip, strict=True))
            far = sum(a * b for a, b in zip(boat, taxes, strict=True))
            assert near > 0.4 > far


@pytest.mark.parametrize(
    ("mishap", "error"),
    [
        (LlmMishap(wrong=Wrong.STATUS, status=429), openai.RateLimitError),
        (LlmMishap(wrong=Wrong.STATUS, status=400, code="context_length_exceeded"), openai.BadRequestError),
        (LlmMishap(wrong=Wrong.STATUS, status=503), openai.InternalServerError),
        (LlmMishap(wrong=Wrong.DROP), openai.APIConnectionError),
        (LlmMishap(wrong=Wrong.CUT), openai.APIConnectionError),
    ],
)
async def test_its_mishaps_are_what_the_package_calls_them(
    mishap: LlmMishap, error: type[openai.OpenAIError]
) -> None:
    async with package(OpenAiStandIn(plan=LlmFaultPlan(first=(mishap,)))) as call:
        with pytest.raises(error):
            await call(lambda client: client.chat.completions.create(model="m", messages=HELLO))
        answer = await call(lambda client: client.chat.completions.create(model="m", messages=HELLO))
        assert answer.choices[0].message.content == "Hello"


async def test_a_wrong_key_is_refused() -> None:
    async with package(OpenAiStandIn(key="another")) as call:
        with pytest.raises(openai.AuthenticationError):
            await call(lambda client: client.chat.completions.create(model="m", messages=HELLO))


async def test_prompts_longer_than_the_planned_context_are_refused() -> None:
    async with package(OpenAiStandIn(plan=LlmFaultPlan(context_tokens=1))) as call:
        with pytest.raises(openai.BadRequestError, match="maximum context length") as caught:
            await call(lambda client: client.chat.completions.create(model="m", messages=HELLO))
        assert caught.value.code == "context_length_exceeded"


async def test_odd_pieces_are_still_a_stream_to_the_package() -> None:
    mishap = LlmMishap(wrong=Wrong.ODD_PIECES)
    async with package(OpenAiStandIn(plan=LlmFaultPlan(first=(mishap,)))) as call:

        def use(client: openai.OpenAI) -> str:
            stream = client.chat.completions.create(model="m", messages=HELLO, stream=True)
            return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)

        assert await call(use) == "Hello"


async def test_what_was_asked_and_went_wrong_is_counted() -> None:
    standin = OpenAiStandIn(plan=LlmFaultPlan(first=(None, LlmMishap(wrong=Wrong.FENCE))))
    async with package(standin) as call:
        for _ in range(3):
            await call(lambda client: client.chat.completions.create(model="m", messages=HELLO))
    statistics = standin.statistics()
    assert (statistics.requests, statistics.mishaps, statistics.connections) == (3, 1, 0)


async def test_what_befalls_a_request_may_depend_on_what_it_says() -> None:
    drop = LlmMishap(wrong=Wrong.DROP)
    standin = OpenAiStandIn(befalls=lambda request: drop if "bad" in request.text else None)
    async with package(standin) as call:

        def ask(text: str) -> Callable[[openai.OpenAI], Any]:
            said: Any = [{"role": "user", "content": text}]
            return lambda client: client.chat.completions.create(model="m", messages=said)

        assert (await call(ask("good"))).choices[0].message.content == "good"
        with pytest.raises(openai.APIConnectionError):
            await call(ask("bad"))
        assert (await call(ask("good again"))).choices[0].message.content == "good again"


async def test_a_slow_stream_comes_whole() -> None:
    plan = LlmFaultPlan(always=LlmMishap(wrong=Wrong.SLOW, seconds=0.01))
    async with package(OpenAiStandIn(plan=plan)) as call:
        pieces = await call(
            lambda client: list(client.chat.completions.create(model="m", messages=HELLO, stream=True))
        )
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "Hello"
