"""/v2/messages over the whole application: the stream as clients read it, its end, its errors."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import trio

from engine.conversation.chat.reply import ChatText
from engine.store import Store
from engine.testing import LlmFaultPlan, OpenAiStandIn, Reply, Wrong
from engine.web.chat import PIECE, chunks
from tests.conversation.chatting import Model
from tests.conversation.models import asked, wrong
from tests.patience import PATIENCE
from tests.web.serving import Site, add, row, segment, site

SAID = "The boat leaves on Saturday.\nAt nine [1]."


async def some(store: Store) -> None:
    structured = {"title": "Boat trip", "overview": "About a boat.", "emoji": "⛵"}
    await add(
        store, row("trip", structured=structured), segment("s1", "The boat leaves on Saturday at nine.")
    )
    await store.texts.index("alice", "trip")


@asynccontextmanager
async def talking(tmp_path: Path, standin: OpenAiStandIn, **changes: Any) -> AsyncIterator[Site]:
    async with asked(standin, **changes) as model, site(tmp_path, filled=some) as served:
        served.models.llm = model.llm
        yield served


def read(body: str) -> tuple[list[str], str, dict[str, Any]]:
    """Thoughts, text and the message at the end, as the phone app reads them."""
    lines = body.split("\n\n")
    assert lines.pop() == ""
    thoughts = [line.removeprefix("think: ") for line in lines if line.startswith("think: ")]
    text = "".join(
        line.removeprefix("data: ").replace("__CRLF__", "\n") for line in lines if line.startswith("data: ")
    )
    (done,) = [line.removeprefix("done: ") for line in lines if line.startswith("done: ")]
    assert lines[-1].startswith("done: ")
    return thoughts, text, msgspec.json.decode(base64.b64decode(done))


async def test_an_answer_streams_as_clients_read_it_and_is_in_the_history(tmp_path: Path) -> None:
    async with talking(tmp_path, OpenAiStandIn(Model(Reply(SAID), need={"question": "boat"}))) as served:
        answer = await served.request("POST", "/v2/messages", json={"text": "When?", "file_ids": None})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        thoughts, text, message = read(answer.text)
        assert text == message["text"] == SAID
        assert thoughts == ["Looking through your conversations"]
        assert message["sender"] == "ai"
        assert message["memories_id"] == ["trip"]
        assert message["memories"] == [
            {
                "id": "trip",
                "created_at": "2023-11-14T22:13:20Z",
                "structured": {"title": "Boat trip", "emoji": "⛵"},
                "deleted": False,
            }
        ]
        history = (await served.get("/v2/messages", app_id="omi", dropdown_selected="false")).json()
        assert history[0] == message
        assert [one["text"] for one in history] == [SAID, "When?"]
        assert [one["id"] for one in (await served.get("/v2/messages", limit=1, offset=1)).json()] == [
            history[1]["id"]
        ]
        assert (await served.get("/v2/messages", uid="bob")).json() == []


async def test_without_a_model_the_passages_are_the_answer(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        answer = await served.request("POST", "/v2/messages", json={"text": "When does the boat leave?"})
        _, text, message = read(answer.text)
        assert text.startswith("No language model is configured here")
        assert "SPEAKER_00: The boat leaves on Saturday at nine." in text
        assert message["memories_id"] == ["trip"]


async def test_a_chat_is_cleared_and_begins_anew_with_a_greeting(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await served.request("POST", "/v2/messages", json={"text": "Hello there"})
        cleared = await served.request("DELETE", "/v2/messages?app_id=null")
        assert cleared.status_code == 200
        assert cleared.json()["status"] == "success"
        (only,) = (await served.get("/v2/messages")).json()
        assert only["id"] == cleared.json()["id"]
        begun = await served.request("POST", "/v2/initial-message")
        assert begun.json()["text"].startswith("Hi!")
        assert (await served.get("/v2/messages")).json()[0] == begun.json()


REFUSED: list[tuple[str, str, dict[str, Any] | None, int, str]] = [
    ("POST", "/v2/messages", {"text": "  "}, 422, "text=0 characters is not accepted: use 1 to 8000"),
    ("POST", "/v2/messages", {"text": "x" * 8001}, 422, "text=8001 characters"),
    ("POST", "/v2/messages", {}, 422, "text"),
    ("POST", "/v2/messages", {"text": "Hi", "file_ids": ["f1"]}, 422, "file_ids"),
    ("POST", "/v2/messages?app_id=pirate", {"text": "Hi"}, 403, "app_id='pirate' is not accepted"),
    ("POST", "/v2/initial-message?plugin_id=pirate", None, 403, "app_id='pirate'"),
    ("DELETE", "/v2/messages?app_id=pirate", None, 403, "app_id='pirate'"),
    ("GET", "/v2/messages?limit=0", None, 422, "limit=0 is not accepted"),
]


async def test_what_is_not_accepted_is_said_before_a_stream_begins(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for method, path, body, status, detail in REFUSED:
            answer = await served.request(method, path, json=body)
            assert answer.status_code == status, (method, path)
            assert detail in answer.json()["detail"]


async def test_a_client_that_goes_away_ends_the_models_work(tmp_path: Path) -> None:
    model = Model(Reply(SAID), need={"needs_context": False})
    standin = OpenAiStandIn(model, plan=LlmFaultPlan(first=(None, wrong(Wrong.STALL))))
    async with talking(tmp_path, standin) as served:
        headers = {"Authorization": "Bearer dev:alice"}
        request = served.client.stream("POST", "/v2/messages", json={"text": "When?"}, headers=headers)
        async with request as answer:
            assert (await anext(answer.aiter_bytes())).startswith(b"data: ")
        with trio.fail_after(PATIENCE):
            await standin.until(lambda standin: not standin.statistics().connections)
        assert (await served.get("/v2/messages")).json() == []


async def test_an_answer_comes_piece_by_piece(tmp_path: Path) -> None:
    standin = OpenAiStandIn(Model(Reply(SAID), need={"needs_context": False}))
    async with talking(tmp_path, standin) as served:
        headers = {"Authorization": "Bearer dev:alice"}
        pieces: list[bytes] = []
        request = served.client.stream("POST", "/v2/messages", json={"text": "When?"}, headers=headers)
        async with request as answer:
            assert isinstance(answer, httpx2.Response)
            pieces += [piece async for piece in answer.aiter_bytes()]
        assert len(pieces) > 2


def test_no_line_is_long_enough_for_clients_to_take_it_for_torn() -> None:
    written = chunks(ChatText("Line\r\nbreak\r" + "x" * 3 * PIECE))
    assert len(written) == 4
    assert all(len(line) < 1024 for line in written)
    assert written[0].startswith(b"data: Line__CRLF__break__CRLF__xxx")
    assert all(line.endswith(b"\n\n") and line.count(b"\n") == 2 for line in written)
