"""A whole server whose language model misbehaves in every way: what its users get all the same."""

import base64
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import trio

from engine.conversation.structured import Extraction, Structured
from engine.testing import Wrong
from tests.conversation.talk import STARTED
from tests.conversation.test_llm_extract import sound
from tests.e2e.mischief import DIMENSIONS, MISHAPS, QUESTION, SOME, TALKS, model, name_of
from tests.e2e.process import Process, started
from tests.e2e.running import hear_all, talking
from tests.e2e.watching import ServerLog
from tests.patience import PATIENCE

SETTINGS = {
    "OPENAI_API_KEY": "sk-x",
    "LISTEN_LLM_CONCURRENCY": 200,
    "LISTEN_LLM_QUEUE_LIMIT": 1000,
    "LISTEN_LLM_FIRST_BYTE_TIMEOUT": 2,
    "LISTEN_LLM_GAP_TIMEOUT": 2,
    "LISTEN_LLM_TOTAL_TIMEOUT": 3,
    "LISTEN_LLM_RETRIES": 2,
    "LISTEN_LLM_RETRY_INITIAL": 0.01,
    "LISTEN_LLM_ASKS": 2,
    "LISTEN_EMBEDDING_PROVIDER": "openai",
    "LISTEN_EMBEDDING_DIMENSIONS": DIMENSIONS,
    "LISTEN_CONVERSATION_PARALLEL": 200,
    "LISTEN_CONVERSATION_TRIES": 3,
    "LISTEN_CONVERSATION_RETRY_INITIAL": 0.05,
    "LISTEN_CONVERSATION_RETRY_LIMIT": 0.5,
    "LISTEN_WEB_REQUESTS_PER_MINUTE": 100_000,
}


class Endings:
    """Of conversations, as the server logs them."""

    def __init__(self, log: ServerLog) -> None:
        self._log = log
        self._ended: dict[str, trio.Event] = defaultdict(trio.Event)

    async def watch(self) -> None:
        async for entry in self._log.each("conversation.completed", "conversation.failed"):
            self._ended[entry["conversation"]].set()

    async def of(self, id: str) -> None:
        await self._ended[id].wait()


class User:
    """One user of a server."""

    def __init__(self, http: httpx2.AsyncClient, endings: Endings, uid: str) -> None:
        self.uid = uid
        self._http = http
        self._endings = endings
        self._headers = {"Authorization": f"Bearer dev:{uid}"}

    async def ask(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        found = await self._http.request(method, path, json=body, headers=self._headers)
        assert found.status_code == 200, f"{self.uid} {path}: {found.status_code} {found.text}"
        return found

    async def gives(self, talk: str) -> str:
        """A conversation, processed: its id."""
        said, _ = TALKS[talk]
        segments = [
            {
                "text": text,
                "speaker": f"SPEAKER_0{speaker}",
                "is_user": speaker == 0,
                "start": 4.0 * number,
                "end": 4.0 * number + 3,
            }
            for number, (speaker, text) in enumerate(said)
        ]
        body = {"transcript_segments": segments, "started_at": STARTED.isoformat(), "language": "en"}
        given = await self.ask("POST", "/v1/dev/user/conversations/from-segments", body)
        id = str(given.json()["id"])
        await self._endings.of(id)
        return id

    async def read(self, id: str) -> dict[str, Any]:
        """The conversation, what is kept of it being sound; one that has failed says why."""
        document: dict[str, Any] = (await self.ask("GET", f"/v1/conversations/{id}")).json()
        if document["status"] == "failed":
            progress = (await self.ask("GET", f"/v1/conversations/{id}/finalization")).json()
            assert progress["failure"], self.uid
            return document
        assert document["status"] == "completed", self.uid
        sound(Extraction(structured=msgspec.convert(document["structured"], Structured)))
        return document

    async def completed(self, id: str) -> dict[str, Any]:
        """The same, processed again if it has failed: the model is well by then."""
        document = await self.read(id)
        if document["status"] == "failed":
            document = (await self.ask("POST", f"/v1/conversations/{id}/reprocess")).json()
        assert document["status"] == "completed", (self.uid, document)
        return await self.read(id)

    async def chats(self, text: str) -> dict[str, Any]:
        """The kept answer."""
        streamed = (await self.ask("POST", "/v2/messages", {"text": text})).text
        done: dict[str, Any] = json.loads(base64.b64decode(streamed.strip().rpartition("done: ")[2]))
        assert done["text"], self.uid
        assert "[99]" not in done["text"]
        return done


async def befallen_once(user: User, number: int) -> None:
    """Each request goes well when it is made again: nothing is lost."""
    await user.ask("PATCH", "/v1/users/profile", {"name": f"Once{number:02d}"})
    boat, budget = await user.gives("boat"), await user.gives("budget")
    titles = [(await user.completed(id))["structured"]["title"] for id in (boat, budget)]
    assert titles[0] != titles[1], user.uid
    found = (await user.ask("POST", "/v1/conversations/search", {"query": QUESTION})).json()["items"]
    if MISHAPS[number].wrong is not Wrong.TOO_LONG:  # its overview speaks of other things then
        assert found[0]["id"] == boat, (user.uid, name_of(MISHAPS[number]), titles)
    answer = await user.chats(f"Once{number:02d}: {QUESTION}")
    assert answer["memories_id"][:1] == [boat], (user.uid, name_of(MISHAPS[number]), answer["text"])


async def befallen_always(user: User, number: int) -> None:
    """No request goes well: the conversation ends all the same, and a question is answered."""
    await user.ask("PATCH", "/v1/users/profile", {"name": f"Always{number:02d}"})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(user.chats, f"Always{number:02d}: {QUESTION}")
        await user.read(await user.gives("boat"))


async def speaks(user: User, url: str) -> None:
    """What is said on the socket goes the same way."""
    async with talking(url, user.uid) as (client, shown):
        await hear_all(client, shown, [bytes(3200)] * 40)
        ended = (await user.ask("POST", "/v1/conversations", {})).json()["conversation"]
    assert (ended["status"], ended["structured"]["title"]) == ("completed", "Money for next year")


@asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[Process]:
    async with trio.open_nursery() as nursery:
        port = await nursery.start(model().serve)
        settings = SETTINGS | {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
        async with started(data_dir, **settings) as server:
            yield server
        nursery.cancel_scope.cancel()


def asking(server: Process) -> httpx2.AsyncClient:
    """Each request on a connection of its own: one that idles the server may close at any moment."""
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=0)
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", limits=limits, timeout=PATIENCE)


async def all_of_them(server: Process, numbers: Sequence[int]) -> None:
    """Each mishap befalls two users, and somebody speaks."""
    endings = Endings(server.log)
    async with asking(server) as http, trio.open_nursery() as watching:
        watching.start_soon(endings.watch)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(speaks, User(http, endings, "speaker"), server.url)
            for number in numbers:
                once, always = f"once{number:02d}", f"always{number:02d}"
                nursery.start_soon(befallen_once, User(http, endings, once), number)
                nursery.start_soon(befallen_always, User(http, endings, always), number)
        watching.cancel_scope.cancel()


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(SOME, id="some"),
        pytest.param(range(len(MISHAPS)), id="all", marks=pytest.mark.campaign),
    ],
)
async def test_whatever_a_model_does_conversations_end_and_questions_are_answered(
    tmp_path: Path, numbers: Sequence[int]
) -> None:
    async with running(tmp_path) as server:
        with trio.fail_after(3 * PATIENCE):
            await all_of_them(server, numbers)
        assert server.log.all("jobs.error") == []
        assert [entry for entry in server.log.entries if "exception" in entry] == []
        assert await server.terminate() == 0
