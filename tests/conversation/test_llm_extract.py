"""The extractor that asks a model: what it keeps of good answers, and of every kind of bad one."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import outcome
import pytest

from engine.conversation.llm.extract import LlmExtractor
from engine.conversation.llm.port import LlmAnswerError, LlmContextExceeded, LlmUnavailable
from engine.conversation.structured import CATEGORIES, Extraction, Structured, Transcript
from engine.testing import LlmFaultPlan, LlmRequest, OpenAiStandIn, Reply, Wrong
from tests.conversation.models import Asked, asked, wrong
from tests.conversation.talk import NOTES, STARTED, takes_notes, transcript


def extractor(model: Asked) -> LlmExtractor:
    settings = model.settings
    return LlmExtractor(
        model.llm, asks=settings.asks, answer_tokens=settings.answer_tokens, meter=model.meter
    )


async def extracted(standin: OpenAiStandIn, said: Transcript | None = None, **changes: Any) -> Extraction:
    async with asked(standin, **changes) as model:
        found = await outcome.acapture(extractor(model).extract, said or transcript())
    return found.unwrap()


def says(notes: dict[str, Any], *first: Any) -> OpenAiStandIn:
    """A model that answers with `notes`."""
    return OpenAiStandIn(
        lambda request: Reply(msgspec.json.encode(notes).decode()), plan=LlmFaultPlan(first=first)
    )


async def test_a_good_answer_is_kept_whole() -> None:
    found = await extracted(OpenAiStandIn(takes_notes))
    structured = found.structured
    assert (structured.title, structured.emoji, structured.category) == (
        "Boat trip on Saturday",
        "⛵",
        "travel",
    )
    call, bring, write = structured.action_items
    assert (call.speaker, call.is_user, call.due_at) == (
        "SPEAKER_01",
        False,
        datetime(2026, 3, 28, 9, 0, tzinfo=UTC),  # ten o'clock in Berlin, in winter time
    )
    assert (bring.is_user, bring.due_at) == (True, datetime(2026, 4, 4, 21, 59, tzinfo=UTC))  # in summer time
    assert write.due_at is None
    (event,) = structured.events
    assert (event.start, event.duration) == (datetime(2026, 4, 4, 7, 0, tzinfo=UTC), 240)
    (memory,) = found.memories
    assert (memory.content, memory.category) == ("Anna is allergic to shellfish", "interesting")
    assert found.people == ("Marta",)
    assert found.topics == ("boat trip", "food")
    assert found.dates == (date(2026, 3, 28), date(2026, 4, 4))
    assert found.notices == ()


async def test_the_model_is_told_when_where_and_who() -> None:
    async with asked(OpenAiStandIn(takes_notes)) as model:
        await extractor(model).extract(transcript())
        (request,) = model.standin.requests
    assert "Friday, 2026-03-27 at 15:00 (Europe/Berlin" in request.text
    assert "The owner is Anna or SPEAKER_00." in request.text
    assert "[3] 00:08 SPEAKER_00 (Anna): Great" in request.text
    assert request.schema is not None
    assert request.schema["properties"]["category"]["enum"] == list(CATEGORIES)


async def test_nothing_said_is_not_asked_about() -> None:
    async with asked(OpenAiStandIn(takes_notes)) as model:
        assert await extractor(model).extract(transcript(segments=())) == Extraction(structured=Structured())
        assert not model.standin.requests


# Answers that are of no use as a whole: the model is asked again, a bounded number of times.


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Wrong.EMPTY, "empty"),
        (Wrong.NULL_CONTENT, "empty"),
        (Wrong.NOT_JSON, "not_json"),
        (Wrong.WRONG_SHAPE, "wrong_shape"),
    ],
)
async def test_an_answer_of_no_use_is_asked_for_again(kind: Wrong, reason: str) -> None:
    plan = LlmFaultPlan(first=(wrong(kind), wrong(kind)))
    async with asked(OpenAiStandIn(takes_notes, plan=plan), asks=3) as model:
        found = await extractor(model).extract(transcript())
        assert found.structured.title == NOTES["title"]
        assert model.meter.doubts == Counter({reason: 2})
        again = model.standin.requests[1]
        assert "Answer again with nothing but one JSON object" in again.text
        assert [message["role"] for message in again.body["messages"]] == [
            "system",
            "user",
            "assistant",
            "user",
        ]
        assert len(model.standin.requests[2].body["messages"]) == 4


async def test_asking_again_is_bounded_and_then_fails_clearly() -> None:
    plan = LlmFaultPlan(always=wrong(Wrong.NOT_JSON))
    async with asked(OpenAiStandIn(takes_notes, plan=plan), asks=2) as model:
        with pytest.raises(LlmAnswerError, match=r"no usable answer in 2 asks .*not_json"):
            await extractor(model).extract(transcript())
        assert len(model.standin.requests) == 2


@pytest.mark.parametrize("field", ["title", "overview"])
@pytest.mark.parametrize("value", ["", None, 42, "\x00\n", []])
async def test_notes_that_do_not_say_what_it_was_about_are_of_no_use(field: str, value: object) -> None:
    with pytest.raises(LlmAnswerError, match="missing"):
        await extracted(says(NOTES | {field: value}), asks=1)


async def test_a_server_that_fails_is_not_an_answer_of_no_use() -> None:
    with pytest.raises(LlmUnavailable):
        await extracted(says(NOTES, *[wrong(Wrong.DROP)] * 9), retries=1)


# Answers that are wrong in parts: that part is repaired or dropped, and counted.


@pytest.mark.parametrize(
    ("kind", "reason", "changed"),
    [
        (Wrong.FENCE, "fence", ""),
        (Wrong.PROSE, "prose", ""),
        (Wrong.EXTRA, "extra", ""),
        (Wrong.NAN, "not_a_number", "events"),
        (Wrong.WRONG_ENUM, "wrong_enum", "category memories"),
        (Wrong.MISSING, "missing", "action_items events memories"),
        (Wrong.WRONG_TYPES, "wrong_type", "emoji category action_items events memories"),
        (Wrong.INVENTED, "invented", "action_items events"),
        (Wrong.ABSURD_DATES, "absurd_date", "action_items events"),
        (Wrong.TOO_MANY, "too_many", ""),
        (Wrong.TOO_LONG, "too_long", "title overview emoji action_items events memories"),
        (Wrong.REPEATED, "repeated", "emoji"),
        (Wrong.TRUNCATED, "truncated", "events memories"),
        (Wrong.LENGTH, "truncated", "events memories"),
    ],
)
async def test_only_what_is_wrong_is_lost(kind: Wrong, reason: str, changed: str) -> None:
    plan = LlmFaultPlan(first=(wrong(kind),))
    async with asked(OpenAiStandIn(takes_notes, plan=plan)) as model:
        good = await extractor(model).extract(transcript())
        model.standin.follow(LlmFaultPlan())
        clean = await extractor(model).extract(transcript())
        assert len(model.standin.requests) == 2
        assert model.meter.doubts[reason] > 0
    fields = {*changed.split()}
    for name in Structured.__struct_fields__:
        if name not in fields:
            assert getattr(good.structured, name) == getattr(clean.structured, name), name
    if "memories" not in fields:
        assert good.memories == clean.memories
    sound(good)


def sound(found: Extraction, began: datetime = STARTED) -> None:
    """What holds whatever a model said of a conversation that began then."""
    structured = found.structured
    assert 0 < len(structured.title.split()) <= 10
    assert len(structured.title) <= 100
    assert 0 < len(structured.overview) <= 2000
    assert structured.category in CATEGORIES
    assert len(structured.action_items) <= 30
    for item in structured.action_items:
        assert 0 < len(item.description.split()) <= 15
        assert item.speaker in (None, "SPEAKER_00", "SPEAKER_01")
        assert item.is_user == (item.speaker == "SPEAKER_00")
        assert item.due_at is None or -1 <= (item.due_at - began).days <= 5 * 366
    for event in structured.events:
        assert 1 <= event.duration <= 7 * 24 * 60
    assert len(found.memories) <= 2
    assert all(len(memory.content.split()) <= 15 for memory in found.memories)
    assert len(found.people) <= 20
    msgspec.json.encode(found)


async def test_a_wrong_category_is_other() -> None:
    found = await extracted(says(NOTES, wrong(Wrong.WRONG_ENUM)))
    assert found.structured.category == "other"
    assert found.memories[0].category == "system"
    assert found.notices == ("Of the model's answers this was repaired or dropped: wrong_enum 2.",)


async def test_an_answer_that_was_cut_off_is_told() -> None:
    found = await extracted(says(NOTES, wrong(Wrong.LENGTH)))
    assert "truncated 1" in found.notices[0]


async def test_an_absurd_date_costs_an_item_its_date_and_an_event_itself() -> None:
    found = await extracted(says(NOTES, wrong(Wrong.ABSURD_DATES)))
    assert len(found.structured.action_items) == 3
    assert all(item.due_at is None for item in found.structured.action_items)
    assert found.structured.events == ()
    assert found.dates == ()


async def test_what_cites_only_lines_that_are_not_there_is_dropped() -> None:
    items = [{**item, "lines": [99, 0, -1]} for item in NOTES["action_items"]]
    items.append({**items[0], "description": "Pay the harbour fee", "lines": [99, 2]})
    found = await extracted(says(NOTES | {"action_items": items}))
    assert [item.description for item in found.structured.action_items] == ["Pay the harbour fee"]


async def test_people_and_things_nobody_spoke_of_are_dropped() -> None:
    invented = {"people": ["Marta", "Zaphod"], "entities": ["Boeing", "the old pier"]}
    found = await extracted(says(NOTES | invented))
    assert found.people == ("Marta",)
    assert found.entities == ("the old pier",)


async def test_a_speaker_may_be_given_by_name_and_is_never_invented() -> None:
    items = [
        {**NOTES["action_items"][0], "speaker": said, "description": f"Do thing {n}"}
        for n, said in enumerate(["anna", "speaker_01", "SPEAKER_99", 7, ["SPEAKER_00"]])
    ]
    found = await extracted(says(NOTES | {"action_items": items}))
    speakers = [(item.speaker, item.is_user) for item in found.structured.action_items]
    assert speakers == [("SPEAKER_00", True), ("SPEAKER_01", False), *[(None, False)] * 3]


async def test_the_same_item_in_other_words_is_kept_once() -> None:
    item = NOTES["action_items"][0]
    again = {**item, "description": "call the harbour, and book the small boat!"}
    found = await extracted(says(NOTES | {"action_items": [item, again]}))
    assert len(found.structured.action_items) == 1


async def test_a_short_talk_may_be_worth_nothing_and_a_long_one_may_not() -> None:
    nothing = {**NOTES, "worth_keeping": False, "title": "", "overview": ""}
    assert (await extracted(says(nothing))).structured.title == ""
    with pytest.raises(LlmAnswerError):
        await extracted(says(nothing), transcript(times=4))


# Long transcripts.


async def test_a_long_transcript_is_noted_in_parts_that_are_joined() -> None:
    long = transcript(times=60)
    standin = OpenAiStandIn(takes_notes, plan=LlmFaultPlan(context_tokens=4096))
    async with asked(standin, context_tokens=4096, answer_tokens=512) as model:
        found = await extractor(model).extract(long)
        parts = [request for request in standin.requests if "superseded" not in str(request.schema)]
        assert len(parts) > 2
        lines = "\n".join(request.text for request in parts)
        assert all(lines.count(f"[{number}] ") == 1 for number in range(1, len(long.segments) + 1))
        assert f"This is part 1 of {len(parts)}" in parts[0].text
        assert "Part 2: Boat trip" in standin.requests[-1].text
    assert found.structured.title == NOTES["title"]
    assert len(found.structured.action_items) == 3
    assert len(found.structured.events) == len(found.memories) == 1


async def test_items_taken_back_in_a_later_part_are_left_out() -> None:
    def answers(request: LlmRequest) -> Reply:
        reply = takes_notes(request)
        if "superseded" not in reply.text:
            return reply
        assert "2. SPEAKER_00: Bring the sandwiches" in request.text
        return Reply(reply.text.replace('"superseded":[]', '"superseded":[2,2,99,-1,"x",null]'))

    found = await extracted(
        OpenAiStandIn(answers), transcript(times=60), context_tokens=4096, answer_tokens=512
    )
    assert [item.description.split()[0] for item in found.structured.action_items] == ["Call", "Write"]


async def test_notes_too_many_for_one_question_are_joined_in_steps() -> None:
    wordy = {**NOTES, "overview": "They spoke of boats, " + ", ".join(f"number {n}" for n in range(99))}

    def answers(request: LlmRequest) -> Reply:
        short = takes_notes(request)
        return short if "superseded" in short.text else Reply(msgspec.json.encode(wordy).decode())

    standin = OpenAiStandIn(answers, plan=LlmFaultPlan(context_tokens=2600))
    async with asked(standin, context_tokens=2600, answer_tokens=256) as model:
        found = await extractor(model).extract(transcript(times=200))
        summaries = [request for request in standin.requests if "superseded" in str(request.schema)]
        assert len(summaries) > 1
    assert found.structured.title == NOTES["title"]


async def test_a_context_smaller_than_configured_makes_windows_smaller() -> None:
    standin = OpenAiStandIn(takes_notes, plan=LlmFaultPlan(context_tokens=2600))
    async with asked(standin, context_tokens=8192) as model:
        found = await extractor(model).extract(transcript(times=60))
        assert len(found.structured.action_items) == 3
        assert ("chat", "context_length") in model.meter.calls


async def test_a_context_too_small_for_the_question_says_what_is_needed() -> None:
    with pytest.raises(LlmContextExceeded, match=r"llm.context_tokens = 2048 leaves .* at least 256"):
        await extracted(OpenAiStandIn(takes_notes), context_tokens=2048, answer_tokens=1024)
