"""The extractor that asks a small model for an overview and leaves the rest to rules."""

from collections import Counter

import msgspec
import outcome
import pytest

from engine.conversation.extract import EmbeddedExtractor
from engine.conversation.llm.port import LlmRefused
from engine.conversation.llm.short import OVERVIEW, ShortExtractor
from engine.conversation.structured import Extraction, Structured, Transcript
from engine.off_loop import worker_threads
from engine.testing import LlmRequest, OpenAiStandIn, Reply, Wrong
from engine.testing.openai_faults import LlmFaultPlan
from tests.conversation.models import CountingMeter, asked, wrong
from tests.conversation.talk import transcript

GIST = "Marta is told of the boat trip on Saturday."


def says(overview: object) -> OpenAiStandIn:
    return OpenAiStandIn(lambda request: Reply(msgspec.json.encode({"overview": overview}).decode()))


async def plain(said: Transcript) -> Extraction:
    return await EmbeddedExtractor(worker_threads(1)).extract(said)


async def extracted(
    standin: OpenAiStandIn, said: Transcript | None = None, **changes: int
) -> tuple[Extraction, CountingMeter, list[LlmRequest]]:
    async with asked(standin, small_model=True, retries=0, **changes) as model:
        extractor = ShortExtractor(model.llm, EmbeddedExtractor(worker_threads(1)), meter=model.meter)
        found = await outcome.acapture(extractor.extract, said or transcript())
    return found.unwrap(), model.meter, list(standin.requests)


async def test_the_model_says_what_it_was_about_and_rules_say_the_rest() -> None:
    found, meter, (request,) = await extracted(says(GIST))
    rules = await plain(transcript())
    assert found.structured == msgspec.structs.replace(rules.structured, overview=GIST)
    assert found.structured.action_items
    assert (found.memories, found.topics, found.people) == (rules.memories, rules.topics, rules.people)
    assert meter.doubts == Counter()
    assert request.body["temperature"] == 0
    assert request.schema is not None
    assert request.schema["properties"]["overview"]["maxLength"] == OVERVIEW
    assert "Anna: Okay so the boat trip" in request.text
    assert "SPEAKER" not in request.text


@pytest.mark.parametrize(
    ("overview", "kept"),
    [
        (f"{GIST} The dentist was a bit of a snob.", GIST),
        (f"{GIST} {GIST}", GIST),
        (f"{GIST} {'The boat trip on Saturday and the boat trip on Saturday ' * 9}", GIST),
        ("A lawyer wants to be paid.", None),
        ("", None),
        (["no text"], None),
    ],
)
async def test_only_what_speaks_of_what_was_said_is_kept(overview: object, kept: str | None) -> None:
    found, meter, _ = await extracted(says(overview))
    rules = await plain(transcript())
    assert found.structured.overview == (kept or rules.structured.overview)
    assert found.structured.action_items == rules.structured.action_items
    assert sum(meter.doubts.values()) or overview == f"{GIST} {GIST}"
    assert len(found.notices) == bool(meter.doubts)


async def test_an_answer_of_no_use_leaves_the_rules_and_a_server_that_refuses_is_an_error() -> None:
    for kind in (Wrong.EMPTY, Wrong.NOT_JSON, Wrong.WRONG_SHAPE):
        plan = LlmFaultPlan(first=(wrong(kind),))
        found, _, requests = await extracted(OpenAiStandIn(lambda request: Reply("{}"), plan=plan))
        assert found.structured == (await plain(transcript())).structured
        assert len(requests) == 1
    plan = LlmFaultPlan(first=(wrong(Wrong.STATUS, status=401),))
    with pytest.raises(LlmRefused):
        await extracted(OpenAiStandIn(lambda request: Reply("{}"), plan=plan))


async def test_what_is_too_long_is_represented_by_its_central_sentences() -> None:
    long = transcript(times=60)
    found, _, (request,) = await extracted(says(GIST), long, context_tokens=2048, answer_tokens=256)
    assert found.structured.overview == GIST
    assert (await plain(long)).structured.overview in request.text
    assert len(request.text) < 4 * 2048


async def test_nothing_said_is_not_asked_about() -> None:
    found, _, requests = await extracted(says(GIST), transcript(segments=()))
    assert found == Extraction(structured=Structured())
    assert not requests
