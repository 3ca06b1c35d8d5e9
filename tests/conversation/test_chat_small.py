"""A chat with a small model: one sentence of its own, and the passages it rests on."""

from pathlib import Path
from typing import Any

import pytest

from engine.conversation.chat.answering import BROKE_OFF, MODEL_FAILED
from engine.conversation.chat.ports import Persona
from engine.testing import LlmFaultPlan, OpenAiStandIn, Reply, Wrong
from tests.conversation.chatting import Model, Talk, chatting
from tests.conversation.models import wrong

SAID = "The boat leaves on Saturday at nine."


async def some(talk: Talk) -> None:
    await talk.keep("trip", "Boat trip", SAID, "Bring sandwiches.", days=3)
    await talk.keep("dentist", "Dentist", "Your tooth needs a filling.", days=2)
    await talk.keep("bobs", "Boat trip of Bob", "Bob's boat is a secret.", uid="bob")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("It leaves at nine. [1]", "It leaves at nine. [1]"),
        ("Your boat leaves at nine on Saturday.", "Your boat leaves at nine on Saturday. [1]"),
        ("In the year of the dragon [7].", "In the year of the dragon."),
    ],
)
async def test_what_it_says_stands_above_the_passages_that_were_put_before_it(
    said: str, shown: str, tmp_path: Path
) -> None:
    model = Model(Reply(said))
    async with chatting(tmp_path, OpenAiStandIn(model), small=True) as talk:
        await some(talk)
        answer = await talk.ask("When is the boat trip?")
        sentence, passages = answer.row.text.split("\n\n")
        assert sentence == shown
        assert passages.startswith("Boat trip (")
        assert passages.splitlines()[0].endswith(" [1]")
        assert f": {SAID}" in passages
        assert [row.id for row in answer.cited] == ["trip"]
        (request,) = model.seen
        assert request.text.endswith("Question: When is the boat trip?\nAnswer in one sentence.")
        assert SAID in request.text
        assert "Bob" not in request.text
        assert "tools" not in request.body


async def test_with_nothing_found_it_is_asked_alone(tmp_path: Path) -> None:
    model = Model(Reply("Hello!"))
    async with chatting(tmp_path, OpenAiStandIn(model), small=True) as talk:
        answer = await talk.ask("Hi there")
        assert (answer.row.text, answer.cited) == ("Hello!", ())
        assert model.seen[0].text == "Hi there"


async def test_a_model_that_says_nothing_leaves_what_is_found(tmp_path: Path) -> None:
    kinds: list[Any] = [Reply(""), Reply(" ")]
    for number, nothing in enumerate(kinds):
        async with chatting(tmp_path / str(number), OpenAiStandIn(Model(nothing)), small=True) as talk:
            await some(talk)
            answer = await talk.ask("When is the boat trip?")
            assert answer.row.text.startswith(MODEL_FAILED)
            assert SAID in answer.row.text


async def test_one_that_breaks_off_says_so(tmp_path: Path) -> None:
    plan = LlmFaultPlan(first=(wrong(Wrong.CUT),))
    async with chatting(
        tmp_path, OpenAiStandIn(Model(Reply("It leaves " * 9)), plan=plan), small=True
    ) as talk:
        await some(talk)
        answer = await talk.ask("When is the boat trip?")
        assert answer.row.text.startswith("It leaves")
        assert answer.row.text.endswith(BROKE_OFF)


async def test_an_app_answers_by_its_prompt(tmp_path: Path) -> None:
    model = Model(Reply("Arr."))
    async with chatting(tmp_path, OpenAiStandIn(model), small=True) as talk:
        await talk.ask(
            "Hi", persona=Persona(app_id="p", name="Pirate", prompt="You are a pirate." + "!" * 600)
        )
        system = model.seen[0].body["messages"][0]
        assert system["role"] == "system"
        assert "You are a pirate." in system["content"]
        assert len(system["content"]) < 600
