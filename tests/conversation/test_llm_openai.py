"""The client of OpenAI's protocol: whole answers, streams, tools, pictures, shapes, and servers that differ."""

from typing import Any

import msgspec
import pytest

from engine.config import Llm
from engine.conversation.llm.openai import is_configured
from engine.conversation.llm.port import (
    AnswerSchema,
    Completion,
    ImagePart,
    LlmRefused,
    LlmUnavailable,
    Message,
    TextDelta,
    TextPart,
    Tool,
)
from engine.testing import LlmFaultPlan, LlmMishap, LlmRequest, OpenAiStandIn, Reply, SaidCall, Wrong
from tests.conversation.models import Asked, asked, wrong

HELLO = [Message("user", "Hello")]
SEARCH = Tool(
    "search", "Finds conversations.", {"type": "object", "properties": {"query": {"type": "string"}}}
)
LONG = "The answer is a good deal longer than one piece of a stream, with ümlauts and 你好."
CALLS = (SaidCall("search", '{"query":"the boat trip"}'), SaidCall("search", "{}"))


def talks(request: LlmRequest) -> Reply:
    """Calls tools when there are any to call, and answers once their results are there."""
    if "tools" in request.body and request.body["messages"][-1]["role"] != "tool":
        return Reply(calls=CALLS)
    return Reply(LONG)


def standin(*first: LlmMishap | None) -> OpenAiStandIn:
    return OpenAiStandIn(talks, plan=LlmFaultPlan(first=first))


async def streamed(
    model: Asked, tools: tuple[Tool, ...] = (), said: list[str] | None = None
) -> tuple[list[str], Completion]:
    said = [] if said is None else said
    async with model.llm.stream(HELLO, tools=tools) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                return said, piece
            said.append(piece.text)
    raise AssertionError("the stream ended without the whole")


@pytest.mark.parametrize("kind", [None, Wrong.ODD_PIECES, Wrong.NO_DONE, Wrong.NO_USAGE])
async def test_a_stream_brings_the_text_in_pieces_and_then_the_whole(kind: Wrong | None) -> None:
    async with asked(standin(wrong(kind) if kind else None)) as model:
        said, whole = await streamed(model)
        assert len(said) > 3
        assert "".join(said) == whole.text == LONG
        assert whole.finish == "stop"
        assert bool(whole.usage.completion_tokens) == (kind is not Wrong.NO_USAGE)
        assert model.meter.calls == [("stream", "ok")]


@pytest.mark.parametrize("kind", [None, Wrong.ODD_PIECES, Wrong.LOOSE_CALLS])
async def test_tools_are_called_in_a_stream(kind: Wrong | None) -> None:
    async with asked(standin(wrong(kind) if kind else None)) as model:
        _, whole = await streamed(model, (SEARCH,))
        assert whole.finish == "tool_calls"
        assert [(call.name, msgspec.json.decode(call.arguments)) for call in whole.tool_calls] == [
            ("search", {"query": "the boat trip"}),
            ("search", {}),
        ]
        assert len({call.id for call in whole.tool_calls}) == 2


@pytest.mark.parametrize("kind", [None, Wrong.LOOSE_CALLS])
async def test_tools_are_called_and_their_results_given_back(kind: Wrong | None) -> None:
    async with asked(standin(wrong(kind) if kind else None)) as model:
        first = await model.llm.complete(HELLO, tools=[SEARCH])
        results = [Message("tool", "nothing", tool_call_id=call.id) for call in first.tool_calls]
        answer = await model.llm.complete(
            [*HELLO, Message("assistant", first.text, first.tool_calls), *results], tools=[SEARCH]
        )
        assert answer.text == LONG
        sent = model.standin.requests[1].body
        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool", "tool"]
        assert sent["messages"][1]["tool_calls"][0]["id"] == sent["messages"][2]["tool_call_id"]
        assert sent["tools"][0]["function"]["name"] == "search"


@pytest.mark.parametrize(
    ("kind", "outcome"), [(Wrong.CUT, "cut"), (Wrong.ERROR_INSIDE, "overloaded"), (Wrong.STALL, "timeout")]
)
async def test_a_stream_that_breaks_off_says_so_and_is_not_begun_again(kind: Wrong, outcome: str) -> None:
    async with asked(standin(wrong(kind)), gap_timeout=0.5) as model:
        said: list[str] = []
        with pytest.raises(LlmUnavailable) as caught:
            await streamed(model, said=said)
        assert caught.value.outcome == outcome
        assert said
        assert LONG.startswith("".join(said))
        assert len(model.standin.requests) == 1


@pytest.mark.parametrize(
    "mishap",
    [
        wrong(Wrong.DROP),
        wrong(Wrong.STATUS, status=503),
        wrong(Wrong.BODY, body=b"{}"),
        wrong(Wrong.BODY, body=b"", headers=(("x", "y"),)),
    ],
)
async def test_a_stream_that_has_not_begun_is_tried_again(mishap: LlmMishap) -> None:
    async with asked(standin(mishap)) as model:
        said, _ = await streamed(model)
        assert "".join(said) == LONG
        assert len(model.standin.requests) == 2


async def test_a_model_that_declines_in_a_stream_is_refused() -> None:
    async with asked(standin(wrong(Wrong.DECLINED))) as model:
        with pytest.raises(LlmRefused):
            await streamed(model)


async def test_leaving_a_stream_ends_the_request() -> None:
    async with asked(standin(wrong(Wrong.STALL))) as model:
        async with model.llm.stream(HELLO) as pieces:
            assert isinstance(await anext(pieces), TextDelta)
        await model.standin.until(lambda standin: not standin.statistics().connections)
        assert model.server.statistics().in_flight == 0
        assert model.meter.calls == [("stream", "ok")]


async def test_pictures_are_parts_of_a_message() -> None:
    picture = "data:image/png;base64,iVBORw0KGgo="
    async with asked(standin()) as model:
        await model.llm.complete([Message("user", (TextPart("What is this?"), ImagePart(picture)))])
        request = model.standin.requests[0]
        assert request.pictures == [picture]
        assert request.text.strip() == "What is this?"


@pytest.mark.parametrize(
    ("kind", "text", "finish"),
    [
        (Wrong.NULL_CONTENT, "", "stop"),
        (Wrong.NO_USAGE, LONG, "stop"),
        (Wrong.LENGTH, LONG[: len(LONG) * 2 // 3], "length"),
        (Wrong.EMPTY, "", "stop"),
    ],
)
async def test_servers_that_differ_are_understood(kind: Wrong, text: str, finish: str) -> None:
    async with asked(standin(wrong(kind))) as model:
        answer = await model.llm.complete(HELLO)
        assert (answer.text, answer.finish) == (text, finish)


@pytest.mark.parametrize(
    ("setting", "sent"),
    [
        (
            "json_schema",
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}},
            },
        ),
        ("json_object", {"type": "json_object"}),
        ("prompt", None),
    ],
)
async def test_the_shape_of_an_answer_is_asked_for_as_configured(setting: Any, sent: object) -> None:
    async with asked(standin(), structured_output=setting) as model:
        await model.llm.complete(HELLO, schema=AnswerSchema("n", {"type": "object"}))
        (request,) = model.standin.requests
        assert request.body.get("response_format") == sent
        assert ("JSON Schema" in request.text) == (setting != "json_schema")
        assert request.text.startswith("Hello")


async def test_calls_without_a_name_are_left_out() -> None:
    body = b'{"choices":[{"message":{"content":"x","tool_calls":[{"id":"1","function":{"arguments":"{}"}},{}]}}]}'
    async with asked(standin(wrong(Wrong.BODY, body=body))) as model:
        answer = await model.llm.complete(HELLO)
        assert (answer.tool_calls, answer.finish, answer.text) == ((), "stop", "x")


async def test_counts_below_zero_are_none() -> None:
    body = b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-5,"completion_tokens":null}}'
    async with asked(standin(wrong(Wrong.BODY, body=body))) as model:
        assert (await model.llm.complete(HELLO)).usage.prompt_tokens == 0
        assert model.meter.counted == {"prompt": 0, "completion": 0}


def test_a_model_is_there_with_a_key_or_a_server_of_ones_own() -> None:
    assert not is_configured(Llm())
    assert is_configured(Llm(api_key="k"))
    assert is_configured(Llm(base_url="http://localhost:11434/v1"))
    assert not is_configured(Llm(base_url="https://api.openai.com/v1/"))
