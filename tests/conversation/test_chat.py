"""The chat: answered by a model that behaves or does not, or with what is found."""

from collections import Counter
from pathlib import Path

import pytest
import trio

from engine._config_models import Chat as Settings
from engine.conversation.chat.answering import BROKE_OFF, MODEL_FAILED, NO_MODEL, TOO_SLOW, AppNotEnabled
from engine.conversation.chat.model import CUT
from engine.conversation.chat.ports import NoApps, Persona
from engine.testing import LlmFaultPlan, OpenAiStandIn, Reply, SaidCall, Wrong
from tests.conversation.chatting import Model, Talk, calls, chatting
from tests.conversation.models import wrong
from tests.patience import PATIENCE

TRIP = "The boat trip is on Saturday [1]."


async def some(talk: Talk) -> None:
    await talk.keep("trip", "Boat trip", "The boat leaves on Saturday at nine.", days=3, topics=["boat"])
    await talk.keep(
        "dentist", "Dentist", "Your tooth needs a filling.", days=2, emotions="Alice was worried."
    )
    await talk.keep("bobs", "Boat trip of Bob", "Bob's boat is a secret.", uid="bob")


async def test_an_answer_is_streamed_cited_and_kept_with_its_question(tmp_path: Path) -> None:
    model = Model(Reply(TRIP))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        await some(talk)
        answer = await talk.ask("When is the boat trip?")
        assert answer.row.text == TRIP
        assert [row.id for row in answer.cited] == ["trip"]
        newest, question = await talk.chat.history("alice", None, 10)
        assert newest == answer
        assert (question.row.sender, question.row.text) == ("human", "When is the boat trip?")
        assert question.row.created_at < newest.row.created_at
        assert len(talk.events) > 3
        assert await talk.chat.history("bob", None, 10) == []


async def test_what_an_answer_rests_on_is_cited_where_the_model_cites_nothing(tmp_path: Path) -> None:
    for said, shown, cited in (
        ("Your boat leaves at nine on Saturday.", "Your boat leaves at nine on Saturday. [1]", ["trip"]),
        ("I know nothing about the boat trip.", "I know nothing about the boat trip.", []),
    ):
        async with chatting(tmp_path / said[:4].strip(), OpenAiStandIn(Model(Reply(said)))) as talk:
            await talk.keep("trip", "Boat trip", overview="The boat leaves on Saturday at nine.")
            answer = await talk.ask("When is the boat trip?")
            assert answer.row.text == shown
            assert [row.id for row in answer.cited] == cited


async def test_the_model_is_shown_what_was_found_known_and_felt_and_nothing_of_others(tmp_path: Path) -> None:
    model = Model(Reply(TRIP))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        await some(talk)
        await talk.know("m1", "Alice owns a boat")
        await talk.know("m2", "Alice hates boats", user_review=False)
        await talk.keep("locked", "A locked boat trip", "Locked.", is_locked=True)
        await talk.store.users.change("alice", {"name": "Alice", "time_zone": "Asia/Tokyo"})
        await talk.ask("When is the boat trip?")
        system = model.seen[0].body["messages"][0]["content"]
        for shown in (
            "Alice's assistant",
            "Asia/Tokyo",
            "[1] Boat trip",
            "Alice owns a boat",
            "Alice was worried.",
        ):
            assert shown in system
        for hidden in ("Bob", "Locked", "locked", "hates"):
            assert hidden not in system


async def test_a_question_that_needs_no_context_is_answered_without_search(tmp_path: Path) -> None:
    model = Model(Reply("Good morning!"), need={"needs_context": False})
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        await some(talk)
        assert (await talk.ask("Good morning")).row.text == "Good morning!"
        assert talk.thoughts == []
        assert "tools" not in model.seen[0].body
        assert "Boat" not in str(model.seen[0].body)


async def test_what_was_said_before_is_told_to_the_model(tmp_path: Path) -> None:
    model = Model(Reply("Yes."))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        for number in range(7):
            await talk.ask(f"Question {number}")
        roles = [message["role"] for message in model.seen[-1].body["messages"]]
        texts = [message["content"] for message in model.seen[-1].body["messages"]]
        assert roles == ["system", *["user", "assistant"] * 5, "user"]
        assert texts[1] == "Question 1"
        assert texts[-1] == "Question 6"


async def test_the_model_looks_up_more_and_its_citations_are_renumbered(tmp_path: Path) -> None:
    model = Model(
        calls("search_conversations", query="dentist tooth", people=[], topics=[], start=None, end=None),
        calls("read_conversation", number=2),
        Reply("A filling [2], and the boat [1]."),
    )
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        await some(talk)
        answer = await talk.ask("What did the dentist say?")
        assert answer.row.text == "A filling [1], and the boat [2]."
        assert [row.id for row in answer.cited] == ["dentist", "trip"]
        results = [
            message["content"] for message in model.seen[-1].body["messages"] if message["role"] == "tool"
        ]
        assert "Your tooth needs a filling." in results[1]
        assert talk.thoughts[1:] == ["Search conversations: dentist tooth", "Read conversation"]


async def test_a_zero_character_which_databases_refuse_is_left_out(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAiStandIn(Model(Reply("On \0Saturday.\0")))) as talk:
        assert (await talk.ask("When?")).row.text == "On Saturday."
        assert (await talk.chat.greet("alice", None)).row.text == "On Saturday."


async def test_endless_calls_end_after_the_tenth_and_what_was_found_is_the_answer(tmp_path: Path) -> None:
    model = Model(calls("search_memories", query="boat"))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        await some(talk)
        answer = await talk.ask("When is the boat trip?")
        assert answer.row.text.startswith(MODEL_FAILED)
        assert "The boat leaves on Saturday at nine." in answer.row.text
        assert len(model.seen) == 11
        assert "tools" not in model.seen[-1].body
        assert len(talk.thoughts) == 12


async def test_many_calls_in_one_turn_count_each(tmp_path: Path) -> None:
    one = calls("search_memories", query="boat").calls[0]
    model = Model(Reply(calls=(one,) * 25), Reply("That is all."))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        assert (await talk.ask("Boat?")).row.text == "That is all."
        messages = model.seen[-1].body["messages"]
        assert [message["role"] for message in messages].count("tool") == 10
        assert len(messages[2]["tool_calls"]) == 10
        assert "tools" not in model.seen[-1].body


async def test_arguments_that_are_no_json_are_not_repeated_to_the_server(tmp_path: Path) -> None:
    bad = Reply(calls=(SaidCall("search_memories", "boat, please"),))
    model = Model(bad, Reply("None."))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        assert (await talk.ask("Boat?")).row.text == "None."
        asked, told = model.seen[-1].body["messages"][-2:]
        assert asked["tool_calls"][0]["function"]["arguments"] == "{}"
        assert "one JSON object" in told["content"]
        assert talk.meter.doubts["not_json"] == 1


async def test_what_a_model_says_before_it_calls_its_tools_stays(tmp_path: Path) -> None:
    first = calls("search_memories", query="boat")
    model = Model(Reply("Let me look.", first.calls), Reply("On Saturday."))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        assert (await talk.ask("Boat?")).row.text == "Let me look.\n\nOn Saturday."


async def test_a_model_that_does_not_say_what_it_needs_is_shown_what_the_question_finds(
    tmp_path: Path,
) -> None:
    model = Model(Reply(TRIP))
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        await some(talk)
        for need in ("not JSON at all", "[]", '{"needs_context": "perhaps", "start": "0001-01-01"}'):
            model.need = need
            answer = await talk.ask("When does the boat leave on Saturday?")
            assert [row.id for row in answer.cited] == ["trip"]
        assert talk.meter.doubts >= Counter(not_json=3, wrong_shape=3, absurd_date=1)


async def test_topics_people_and_time_narrow_what_is_found(tmp_path: Path) -> None:
    model = Model(Reply("Yes [1]."), need={"question": "boat", "topics": ["Sailing"], "people": ["Bob"]})
    async with chatting(tmp_path, OpenAiStandIn(model)) as talk:
        await some(talk)
        await talk.keep("lesson", "A lesson on the boat", "Hold the rope.", topics=["sailing"])
        assert [row.id for row in (await talk.ask("And sailing?")).cited] == ["lesson"]
        model.need = {"question": "boat", "start": "2024-01-01"}
        assert (await talk.ask("And then?")).row.text == "Yes."
        assert talk.meter.doubts["invented"] == 1
        model.need = {"question": "boat", "start": "2040-01-01"}
        assert (await talk.ask("And then?")).row.text == "Yes [1]."
        assert talk.meter.doubts["absurd_date"] == 1


MISHAPS = [
    wrong(Wrong.DROP),
    wrong(Wrong.STATUS, status=503),
    wrong(Wrong.STATUS, status=401),
    wrong(Wrong.STATUS, status=400, code="context_length_exceeded"),
    wrong(Wrong.BODY, body=b"<html>"),
    wrong(Wrong.EMPTY),
    wrong(Wrong.DECLINED),
]


async def test_a_model_that_fails_leaves_what_is_found(tmp_path: Path) -> None:
    standin = OpenAiStandIn(Model(Reply(TRIP)))
    async with chatting(tmp_path, standin, retries=0) as talk:
        await some(talk)
        for number, mishap in enumerate(MISHAPS, start=1):
            standin.follow(LlmFaultPlan(first=(None,), always=mishap))
            answer = await talk.ask("When is the boat trip?")
            assert answer.row.text.startswith(MODEL_FAILED), mishap
            assert "trip" in [row.id for row in answer.cited]
            assert len(await talk.chat.history("alice", None, 100)) == 2 * number


async def test_an_answer_that_breaks_off_says_so_and_is_kept(tmp_path: Path) -> None:
    standin = OpenAiStandIn(Model(Reply(TRIP * 5)))
    async with chatting(tmp_path, standin, gap_timeout=0.5) as talk:
        await some(talk)
        for kind, notice in (
            (Wrong.CUT, BROKE_OFF),
            (Wrong.STALL, BROKE_OFF),
            (Wrong.ERROR_INSIDE, BROKE_OFF),
            (Wrong.LENGTH, CUT),
        ):
            standin.follow(LlmFaultPlan(first=(None, wrong(kind))))
            text = (await talk.ask("When is the boat trip?")).row.text
            assert text.startswith("The boat"), kind
            assert text.endswith(notice), kind


async def test_servers_that_differ_make_no_difference(tmp_path: Path) -> None:
    model = Model(Reply())
    standin = OpenAiStandIn(model)
    async with chatting(tmp_path, standin) as talk:
        await some(talk)
        for kind in (Wrong.ODD_PIECES, Wrong.LOOSE_CALLS, Wrong.NO_DONE, Wrong.NO_USAGE):
            model.turns = [calls("search_memories", query="boat"), Reply(TRIP)]
            standin.follow(LlmFaultPlan(first=(None, wrong(kind), wrong(kind))))
            assert (await talk.ask("When is the boat trip?")).row.text == TRIP, kind


async def test_a_small_context_is_kept_to(tmp_path: Path) -> None:
    model = Model(calls("read_conversation", number=1), Reply(TRIP))
    standin = OpenAiStandIn(model, plan=LlmFaultPlan(context_tokens=4096))
    async with chatting(tmp_path, standin, context_tokens=4096) as talk:
        await talk.keep("trip", "Boat trip", *["The boat leaves on Saturday at nine." * 3] * 200)
        assert (await talk.ask("When is the boat trip?" * 100)).row.text == TRIP


async def test_an_answer_that_takes_too_long_breaks_off(tmp_path: Path) -> None:
    silent = OpenAiStandIn(Model(Reply(TRIP)), plan=LlmFaultPlan(always=wrong(Wrong.SILENCE)))
    async with chatting(tmp_path, silent, settings=Settings(timeout=0.05)) as talk:
        assert (await talk.ask("Boat?")).row.text == TOO_SLOW


async def test_without_a_model_what_is_found_is_the_answer_and_says_so(tmp_path: Path) -> None:
    async with chatting(tmp_path) as talk:
        await some(talk)
        await talk.todo("a1", "Paint the boat", conversation_id="trip", due_at=None)
        await talk.know("m1", "Owns a boat [7]")
        answer = await talk.ask("When does the boat leave?")
        assert answer.row.text.startswith(NO_MODEL)
        assert "Boat trip (2023-11-21 22:13) [1]" in answer.row.text
        assert "SPEAKER_00: The boat leaves on Saturday at nine." in answer.row.text
        assert "- Owns a boat (7)" in answer.row.text
        assert "- Paint the boat (open) [1]" in answer.row.text
        assert answer.cited[0].id == "trip"
        assert "secret" not in answer.row.text


async def test_without_a_model_a_short_question_goes_on_with_the_one_before(tmp_path: Path) -> None:
    async with chatting(tmp_path) as talk:
        for number in range(6):
            await talk.keep(f"c{number}", f"Something else {number}", "Nothing of note.")
        await some(talk)
        await talk.ask("When does the boat leave?")
        assert (await talk.ask("And why?")).cited[0].id == "trip"


async def test_without_anything_found_that_is_said(tmp_path: Path) -> None:
    async with chatting(tmp_path) as talk:
        assert "Nothing that was said" in (await talk.ask("When does the boat leave?")).row.text


async def test_with_every_model_gone_there_is_an_answer_all_the_same(tmp_path: Path) -> None:
    gone = OpenAiStandIn(plan=LlmFaultPlan(always=wrong(Wrong.STATUS, status=401)))
    async with chatting(tmp_path, gone) as talk:
        await some(talk)
        talk.fail_embedding()
        assert "The boat leaves on Saturday at nine." in (await talk.ask("When is the boat trip?")).row.text


async def test_an_asker_who_goes_away_ends_the_work_and_leaves_nothing(tmp_path: Path) -> None:
    standin = OpenAiStandIn(Model(Reply(TRIP)), plan=LlmFaultPlan(first=(None, wrong(Wrong.STALL))))
    async with chatting(tmp_path, standin) as talk:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.chat.answer, "alice", "Boat?", None, talk._say)
            await standin.until(lambda standin: len(standin.requests) == 2)
            nursery.cancel_scope.cancel()
        with trio.fail_after(PATIENCE):
            await standin.until(lambda standin: not standin.statistics().connections)
        assert await talk.chat.history("alice", None, 10) == []


async def test_a_time_zone_that_nobody_knows_is_utc(tmp_path: Path) -> None:
    async with chatting(tmp_path) as talk:
        await some(talk)
        await talk.store.users.change("alice", {"time_zone": "Mars/Olympus"})
        assert "Boat trip (2023-11-21 22:13) [1]" in (await talk.ask("When does the boat leave?")).row.text


async def test_a_greeting_is_not_waited_for_long(tmp_path: Path) -> None:
    silent = OpenAiStandIn(Model(Reply("Hello")), plan=LlmFaultPlan(always=wrong(Wrong.SILENCE)))
    async with chatting(tmp_path, silent, settings=Settings(greeting_timeout=0.05)) as talk:
        assert (await talk.chat.greet("alice", None)).row.text.startswith("Hi!")


async def test_a_greeting_is_the_models_or_ours(tmp_path: Path) -> None:
    standin = OpenAiStandIn(Model(Reply("Hello Alice, how was the boat?")))
    async with chatting(tmp_path, standin, retries=0) as talk:
        assert (await talk.chat.greet("alice", None)).row.text == "Hello Alice, how was the boat?"
        standin.follow(LlmFaultPlan(always=wrong(Wrong.DROP)))
        await talk.store.users.change("alice", {"name": "Alice"})
        assert (await talk.chat.clear("alice", None)).row.text.startswith("Hi Alice!")
        assert [kept.row.sender for kept in await talk.chat.history("alice", None, 10)] == ["ai"]


class Pirate(NoApps):
    """An enabled app."""

    async def persona(self, uid: str, app_id: str) -> Persona | None:
        return (
            Persona(app_id="pirate", name="Pirate", prompt="You are a pirate.")
            if app_id == "pirate"
            else None
        )


async def test_an_enabled_app_answers_in_a_chat_of_its_own(tmp_path: Path) -> None:
    model = Model(Reply("Arr."))
    async with chatting(tmp_path, OpenAiStandIn(model), apps=Pirate()) as talk:
        persona = await talk.chat.open("alice", "pirate")
        assert (await talk.ask("Boat?", persona=persona)).row.app_id == "pirate"
        assert "You are a pirate." in model.seen[0].body["messages"][0]["content"]
        assert await talk.chat.history("alice", None, 10) == []
        assert len(await talk.chat.history("alice", "pirate", 10)) == 2
        with pytest.raises(AppNotEnabled):
            await talk.chat.open("alice", "ninja")
