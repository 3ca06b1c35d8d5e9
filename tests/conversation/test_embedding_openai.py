"""Embeddings from a server of OpenAI's protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from engine.config import Embedding
from engine.conversation.embedding.openai import OpenAiEmbedder
from engine.conversation.llm.port import LlmContextExceeded, LlmUnavailable
from engine.testing import LlmFaultPlan, OpenAiStandIn, Wrong
from tests.conversation.models import Asked, asked, wrong

DIMENSIONS = 16


@asynccontextmanager
async def embedder(
    standin: OpenAiStandIn, *, retries: int = 3, **changes: Any
) -> AsyncIterator[tuple[OpenAiEmbedder, Asked]]:
    async with asked(standin, retries=retries) as model:
        settings = Embedding(provider="openai", dimensions=DIMENSIONS, **changes)
        yield OpenAiEmbedder(model.server, settings), model


def standin(*first: Any) -> OpenAiStandIn:
    return OpenAiStandIn(dimensions=DIMENSIONS, plan=LlmFaultPlan(first=first))


async def test_texts_are_asked_for_in_batches_and_come_back_in_order() -> None:
    texts = [f"text {number}" for number in range(7)]
    async with embedder(standin(wrong(Wrong.SHUFFLED)), batch_limit=3, model="m") as (one, model):
        vectors = await one.embed(texts)
        singly = np.concatenate([await one.embed([text]) for text in texts])
        assert [len(request.body["input"]) for request in model.standin.requests][:3] == [3, 3, 1]
        assert model.standin.requests[0].body["model"] == one.model == "m"
        assert model.meter.calls[0] == ("embeddings", "ok")
        assert model.meter.counted["prompt"] > 0
    np.testing.assert_allclose(vectors, singly, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    "mishap",
    [
        wrong(Wrong.FEWER),
        wrong(Wrong.OTHER_LENGTH),
        wrong(Wrong.NAN),
        wrong(Wrong.CUT),
        wrong(Wrong.BODY, body=b'{"data":[{"index":0,"embedding":["a"]}]}'),
        wrong(Wrong.BODY, body=b'{"data":[{"index":0,"embedding":%s}]}' % str([0.0] * DIMENSIONS).encode()),
        wrong(Wrong.BODY, body=b'{"data":[{"index":5,"embedding":%s}]}' % str([1.0] * DIMENSIONS).encode()),
        wrong(Wrong.BODY, body=b'{"data":[{"index":0,"embedding":%s}]}' % str([1e39] * DIMENSIONS).encode()),
        wrong(Wrong.BODY, body=b"null"),
    ],
)
async def test_what_are_no_embeddings_of_these_texts_is_asked_for_again(mishap: Any) -> None:
    async with embedder(standin(mishap)) as (one, model):
        assert (await one.embed(["Hello"])).shape == (1, DIMENSIONS)
        assert len(model.meter.retries) == 1


async def test_a_model_of_another_length_is_named() -> None:
    async with embedder(OpenAiStandIn(dimensions=8), retries=0) as (one, _):
        with pytest.raises(LlmUnavailable, match=r"\[8\] numbers; embedding.dimensions is 16"):
            await one.embed(["Hello"])


async def test_errors_are_those_of_the_server() -> None:
    mishap = wrong(Wrong.ERROR_INSIDE, code="context_length_exceeded")
    async with embedder(standin(mishap)) as (one, _):
        with pytest.raises(LlmContextExceeded):
            await one.embed(["Hello"])


async def test_an_empty_text_has_a_vector_and_a_long_one_is_cut() -> None:
    async with embedder(standin()) as (one, model):
        assert (await one.embed(["", "x" * 100_000])).shape == (2, DIMENSIONS)
        assert [len(text) for text in model.standin.requests[0].body["input"]] == [1, 8000]
