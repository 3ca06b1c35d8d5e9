"""Translation beside live sessions, over a real store, by models that answer when they are let, or badly."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from engine.config import Translation as Settings
from engine.conversation.language import Languages
from engine.conversation.llm.port import (
    AnswerSchema,
    Completion,
    LlmAnswerError,
    LlmUnavailable,
    Message,
    TextDelta,
    Tool,
)
from engine.conversation.translate import Translator
from engine.conversation.translate_lines import translate_lines
from engine.store import Store
from engine.store.edits import SegmentEdit
from engine.testing import LlmFaultPlan, OpenAiStandIn, Reply, Wrong
from engine.wire.messages import Segment
from tests.conversation.models import CountingMeter, asked, wrong
from tests.listen.harness import MemorySocket, Server, inline, parameters, server
from tests.patience import PATIENCE

GERMAN = "Das Boot fährt am Samstag um neun Uhr ab."
LATER = "Wir treffen uns vorher am Bahnhof in der Stadt."
ENGLISH = "We will meet at the station in the town before."


def english(text: str) -> str:
    return f"In English: {text}"


class Translates:
    """A model that translates as `english` does, once it is let."""

    context_tokens = 32_768

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.asked = trio.Event()
        self.let = trio.Event()
        self.let.set()
        self.fails = False

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        schema: AnswerSchema | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        self.questions.append(str(messages[-1].content))
        self.asked.set()
        await self.let.wait()
        if self.fails:
            raise LlmUnavailable("gone", "connect")
        said = [line.partition(". ") for line in self.questions[-1].splitlines()[1:-1]]
        lines = [{"number": int(number), "text": english(text)} for number, _, text in said]
        return Completion(json.dumps({"lines": lines}))

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[Tool] = (), max_tokens: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[TextDelta | Completion]]:
        raise NotImplementedError("nobody reads a translation as it is written")


class Models:
    embedder = None

    def __init__(self, llm: Translates | None) -> None:
        self.llm = llm


class Stage:
    """A server with a translator and a model."""

    def __init__(self, it: Server, model: Translates, translator: Translator) -> None:
        self.it = it
        self.model = model
        self.translator = translator

    async def listen(self, language: str = "en") -> MemorySocket:
        socket = await self.it.connect(parameters(custom_stt=True, language=language))
        await socket.until_status("ready")
        return socket

    def outcome(self, name: str) -> int:
        return self.translator.statistics().outcomes[name]

    async def kept(self) -> dict[str, Segment]:
        return {s.id: s for _, segments in await self.it.conversations() for s in segments}


@asynccontextmanager
async def stage(tmp_path: Path, *, with_model: bool = True, **settings: Any) -> AsyncIterator[Stage]:
    model, made = Translates(), list[Translator]()

    def make(store: Store) -> Translator:
        translator = Translator(
            models=Models(model if with_model else None),
            users=store.users,
            kept=store.translations,
            languages=Languages(inline),
            settings=Settings(**{"settle": 0.0, **settings}),
        )
        made.append(translator)
        return translator

    async with server(tmp_path, translator=make) as it:
        with trio.fail_after(PATIENCE):
            yield Stage(it, model, made[0])


async def say(socket: MemorySocket, text: str, start: float = 0.0, speaker: str = "SPEAKER_00") -> None:
    segment = {"text": text, "speaker": speaker, "start": start, "end": start + 2.0, "is_user": False}
    await socket.say(json.dumps({"type": "suggested_transcript", "segments": [segment]}))


async def translating(socket: MemorySocket, count: int = 1) -> list[dict[str, Any]]:
    """The segments of the latest of `count` events."""
    await socket.until(lambda socket: len(socket.events("translating")) >= count)
    segments: list[dict[str, Any]] = socket.events("translating")[-1]["segments"]
    return segments


async def test_a_segment_in_another_language_comes_back_translated_and_is_kept_so(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        socket = await on.listen("en")
        await say(socket, GERMAN)
        (segment,) = await translating(socket)
        assert segment["translations"] == [{"lang": "en", "text": english(GERMAN)}]
        assert (segment["text"], segment["revision"]) == (GERMAN, 2)
        kept = (await on.kept())[segment["id"]]
        assert (kept.translations[0].text, kept.revision) == (english(GERMAN), 2)
        assert GERMAN in on.model.questions[0]


async def test_what_is_in_the_language_already_is_not_asked_about(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        socket = await on.listen("en")
        await say(socket, ENGLISH)
        await say(socket, GERMAN, 20.0, "SPEAKER_01")
        (segment,) = await translating(socket)
        assert segment["text"] == GERMAN
        assert all(ENGLISH not in question for question in on.model.questions)
        assert on.outcome("same_language") == 1


async def test_the_users_language_is_translated_to_when_the_session_asks_for_any(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.it.store.users.change("ada", {"language": "fr"})
        socket = await on.listen("multi")
        await say(socket, GERMAN)
        assert (await translating(socket))[0]["translations"][0]["lang"] == "fr"


@pytest.mark.parametrize("settings", [{"single_language_mode": True, "language": "fr"}, {"language": ""}])
async def test_nothing_is_translated_where_nobody_wants_it(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with stage(tmp_path) as on:
        await on.it.store.users.change("ada", settings)
        socket = await on.listen("multi")
        await say(socket, GERMAN)
        await trio.testing.wait_all_tasks_blocked()
        assert on.outcome("no_language") == 1
        assert on.model.questions == []


async def test_without_a_model_nothing_waits(tmp_path: Path) -> None:
    async with stage(tmp_path, with_model=False) as on:
        socket = await on.listen("en")
        await say(socket, GERMAN)
        await socket.until(lambda socket: GERMAN in socket.text())
        assert on.translator.statistics().waiting == 0


async def test_a_segment_that_grows_meanwhile_keeps_its_words_and_is_translated_whole(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.model.let = trio.Event()
        socket = await on.listen("en")
        await say(socket, GERMAN)
        await on.model.asked.wait()
        await say(socket, LATER, 2.0)
        whole = f"{GERMAN} {LATER}"
        await socket.until(lambda socket: whole in socket.text())
        on.model.let.set()
        (segment,) = await translating(socket)
        assert segment["text"] == whole
        assert segment["translations"][0]["text"] == english(whole)
        assert segment["revision"] == 3
        assert on.outcome("changed") == 1
        (kept,) = (await on.kept()).values()
        assert (kept.text, kept.translations[0].text) == (whole, english(whole))


@pytest.mark.parametrize("edited", [False, True])
async def test_a_translation_that_comes_after_the_end_of_a_conversation_loses_no_edit(
    tmp_path: Path, edited: bool
) -> None:
    async with stage(tmp_path) as on:
        on.model.let = trio.Event()
        socket = await on.listen("en")
        await say(socket, GERMAN)
        await on.model.asked.wait()
        row = await on.it.lifecycle.finish("ada")
        assert row is not None
        (id,) = await on.kept()
        if edited:
            await on.it.store.edits.edit_segments(
                "ada", row.id, SegmentEdit(ids=(id,), text="Edited by hand.")
            )
        on.model.let.set()
        if edited:
            await trio.testing.wait_all_tasks_blocked()
            assert on.outcome("changed") == 1
            assert (await on.kept())[id].text == "Edited by hand."
            assert (await on.kept())[id].translations == ()
        else:
            await translating(socket)
            assert (await on.kept())[id].translations[0].text == english(GERMAN)


async def test_of_too_many_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    async with stage(tmp_path, queue_limit=2, settle=60) as on:
        socket = await on.listen("en")
        for number in range(5):
            await say(socket, f"{GERMAN} Nummer {number}.", 20.0 * number, f"SPEAKER_0{number}")
        await socket.until(lambda socket: "Nummer 4." in socket.text())
        assert on.translator.statistics().waiting == 2
        assert on.outcome("dropped") == 3


async def test_a_model_that_fails_leaves_the_transcript_and_later_ones_are_translated(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.model.fails = True
        socket = await on.listen("en")
        await say(socket, GERMAN)
        await trio.testing.wait_all_tasks_blocked()
        assert on.outcome("failed") == 1
        on.model.fails = False
        await say(socket, LATER, 20.0, "SPEAKER_01")
        (segment,) = await translating(socket)
        assert segment["text"] == LATER
        assert segment["speaker"] == "SPEAKER_01"


# What a model answers, over sockets.


def answers(*lines: Any) -> Callable[[Any], Reply]:
    return lambda request: Reply(json.dumps({"lines": list(lines)}))


GOOD = ({"number": 1, "text": "The boat."}, {"number": 2, "text": "The train."})
WRONGS: dict[str, tuple[tuple[Any, ...], list[str | None]]] = {
    "invented": ((*GOOD, {"number": 9, "text": "Nine."}, {"number": 0, "text": "Zero."}), ["The boat.", "The train."]),
    "wrong_type": ((GOOD[0], {"number": 2, "text": 7}, "text"), ["The boat.", None]),
    "missing": ((GOOD[0], {"number": 2}), ["The boat.", None]),
    "extra": ((GOOD[0] | {"confidence": 1}, GOOD[1]), ["The boat.", "The train."]),
    "too_long": ((GOOD[0], {"number": 2, "text": "very long words " + "x" * 900}), ["The boat.", "…"]),
}  # fmt: skip


@pytest.mark.parametrize("reason", list(WRONGS))
async def test_what_is_wrong_with_single_lines_is_dropped_and_counted(reason: str) -> None:
    lines, expected = WRONGS[reason]
    doubts: Counter[str] = Counter()
    async with asked(OpenAiStandIn(answers(*lines))) as model:
        found = await translate_lines(model.llm, ["Das Boot.", "Der Zug."], "en", asks=2, doubts=doubts)
    assert [
        line if line is None else line[-len(want or "") :] for line, want in zip(found, expected, strict=True)
    ] == (expected)
    assert doubts[reason] >= 1


async def test_a_line_given_back_unchanged_is_no_translation() -> None:
    async with asked(OpenAiStandIn(answers({"number": 1, "text": "yes. "}))) as model:
        assert await translate_lines(model.llm, ["Yes."], "en", asks=1, doubts=Counter()) == [None]


@pytest.mark.parametrize("kind", [Wrong.FENCE, Wrong.PROSE, Wrong.NOT_JSON, Wrong.EMPTY, Wrong.WRONG_SHAPE])
async def test_an_answer_that_is_no_use_is_asked_for_again(kind: Wrong) -> None:
    plan = LlmFaultPlan(first=(wrong(kind),))
    async with asked(OpenAiStandIn(answers(*GOOD), plan=plan)) as model:
        found = await translate_lines(model.llm, ["Das Boot.", "Der Zug."], "en", asks=2, doubts=Counter())
        assert found == ["The boat.", "The train."]


async def test_a_model_that_never_answers_usably_has_failed() -> None:
    async with asked(OpenAiStandIn(answers())) as model:
        with pytest.raises(LlmAnswerError):
            await translate_lines(model.llm, ["Das Boot."], "en", asks=2, doubts=Counter())
        assert isinstance(model.meter, CountingMeter)
