"""Which models the configuration opens, and which key goes where."""

import weakref

import trio
from trio.testing import wait_all_tasks_blocked

from engine.config import Embedding, Llm
from engine.conversation.embedding.minilm import MiniLm
from engine.conversation.llm.metrics import NoMeter
from engine.conversation.llm.port import Message
from engine.conversation.models import Models, extractor_for, open_embedder, open_llm
from engine.off_loop import worker_threads
from engine.testing import OpenAiStandIn
from tests.conversation.talk import NOTES, takes_notes, transcript


async def test_without_key_and_server_there_is_no_language_model() -> None:
    async with open_llm(Llm(), NoMeter()) as llm:
        assert llm is None


async def test_conversations_are_extracted_by_the_model_there_is_or_by_none(nursery: trio.Nursery) -> None:
    standin = OpenAiStandIn(takes_notes)
    port = await nursery.start(standin.serve)
    settings = Llm(base_url=f"http://127.0.0.1:{port}/v1")
    async with open_llm(settings, NoMeter()) as llm:
        asked = extractor_for(llm, settings, worker_threads(1), NoMeter())
        assert (await asked.extract(transcript())).structured.title == NOTES["title"]
    unasked = extractor_for(None, settings, worker_threads(1), NoMeter())
    assert (await unasked.extract(transcript())).structured.title
    assert len(standin.requests) == 1
    nursery.cancel_scope.cancel()


async def test_embeddings_are_local_off_or_from_a_server() -> None:
    async with open_embedder(Embedding(provider="off"), Llm(), NoMeter()) as none:
        assert none is None
    async with open_embedder(Embedding(), Llm(), NoMeter()) as local:
        assert isinstance(local, MiniLm)


async def test_what_a_process_has_opened_is_let_go_of_when_it_ends(nursery: trio.Nursery) -> None:
    models = Models(Llm(), Embedding(), worker_threads(1), NoMeter())
    await nursery.start(models.run)
    loaded = weakref.ref(models.embedder)
    assert loaded() is not None
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await wait_all_tasks_blocked()
    assert models.embedder is None
    assert loaded() is None


async def test_the_key_of_the_language_model_is_sent_to_its_server_alone(nursery: trio.Nursery) -> None:
    own, other = OpenAiStandIn(dimensions=8), OpenAiStandIn(dimensions=8)
    ports = [await nursery.start(standin.serve) for standin in (own, other)]
    own_url, other_url = (f"http://127.0.0.1:{port}/v1" for port in ports)
    llm_settings = Llm(api_key="secret", base_url=own_url)
    async with open_llm(llm_settings, NoMeter()) as llm:
        assert llm is not None
        await llm.complete([Message("user", "Hello")])
    for url in ("", other_url):
        settings = Embedding(provider="openai", base_url=url, dimensions=8)
        async with open_embedder(settings, llm_settings, NoMeter()) as embedder:
            assert embedder is not None
            await embedder.embed(["Hello"])
    assert [request.headers.get("authorization") for request in own.requests] == ["Bearer secret"] * 2
    assert [request.headers.get("authorization") for request in other.requests] == [None]
    nursery.cancel_scope.cancel()
