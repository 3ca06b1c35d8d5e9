"""The receivers of the README, run as they stand there against a server that sends them its webhooks."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trio
from msgspec.structs import replace

from engine.config import Webhook
from engine.store import COMPLETED, ConversationRow, SegmentsChanged, Store
from engine.store.database import wall_clock
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from engine.wire.messages import ProactiveMessage, Segment
from tests.e2e.running import Running, Shown, config, hear_all, running, talking
from tests.patience import PATIENCE
from tests.webhooks.receiving import Receiver, receiver

README = (Path(__file__).parents[2] / "README.md").read_text()
NAMES = ["chat.py", "tasks.py", "call.py", "journal.py", "coach.py"]
MOST_LINES = 20

RUN = """
import http.server, sys
class Telling(http.server.ThreadingHTTPServer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        print(self.server_address[1], flush=True)
    def finish_request(self, *arguments):
        super().finish_request(*arguments)
        print("handled", flush=True)
http.server.ThreadingHTTPServer = Telling
exec(compile(sys.stdin.read(), "README.md", "exec"))
"""
"""Runs a program as it is, and prints the port that it listens on, and when it has handled a request."""

HOUR = 3_600_000_000


def program(name: str) -> str:
    """A program of the README."""
    (found,) = re.findall(rf"```python\n(# {re.escape(name)}\n.*?)```", README, re.DOTALL)
    return str(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_receiver_is_short_and_needs_nothing_but_python(name: str) -> None:
    said = program(name)
    assert len(said.splitlines()) <= MOST_LINES
    (imported,) = re.findall(r"^import (.+)$", said, re.MULTILINE)
    assert {one.partition(".")[0] for one in imported.split(", ")} <= sys.stdlib_module_names


class Program:
    """A receiver as a process of its own."""

    def __init__(self, said: trio.abc.ReceiveStream) -> None:
        self._said = said
        self.url = ""

    async def line(self) -> str:
        """The next that it prints; it prints when there is something to wait for, so one line at a time."""
        with trio.fail_after(PATIENCE):
            return (await self._said.receive_some()).decode()


@asynccontextmanager
async def started(name: str, **environment: str) -> AsyncIterator[Program]:
    """A receiver of the README, listening."""
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(
                trio.run_process,
                [sys.executable, "-c", RUN],
                stdin=program(name).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PORT": "0", **environment},
                check=False,
            )
        )
        assert process.stdout is not None
        program_at_work = Program(process.stdout)
        program_at_work.url = f"http://127.0.0.1:{int(await program_at_work.line())}/"
        yield program_at_work
        process.kill()


async def set_webhook(server: Running, kind: str, url: str, uid: str) -> None:
    path = f"/v1/users/developer/webhook/{kind}"
    answer = await server._http.post(path, params={"uid": uid}, json={"url": url})
    assert answer.status_code == 200, answer.text


@asynccontextmanager
async def serving(folder: Path, *words: Word) -> AsyncIterator[tuple[Running, Receiver]]:
    """A server that hears `words`, and the service that a receiver uses."""
    settings = replace(config(folder), webhook=Webhook(allow=("127.0.0.0/8",)))
    async with receiver() as service, running(settings, ScriptedVendor(script_of(words))) as server:
        yield server, service


async def tell(server: Running, text: str) -> None:
    """Ada had this conversation."""
    path = "/v1/dev/user/conversations"
    answer = await server._http.post(path, params={"uid": "ada"}, json={"text": text})
    assert answer.status_code == 200, answer.text


def spoken(text: str, each: float) -> list[Word]:
    """The words of a text, one every `each` seconds."""
    step = round(each * SAMPLE_RATE)
    return [Word(word, n * step, (n + 1) * step - step // 4) for n, word in enumerate(text.split())]


async def test_a_summary_of_a_conversation_is_posted_to_a_chat(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as (server, service),
        started("chat.py", CHAT_URL=service.url("/chat")) as chat,
    ):
        await set_webhook(server, "memory_created", chat.url, "ada")
        await tell(server, "I have to renew my passport before the trip to Norway.")
        await service.until(1)
        (posted,) = service.requests
        assert (posted.path, posted.headers["content-type"]) == ("/chat", "application/json")
        (conversation,) = await server.conversations("ada")
        said = conversation["structured"]
        expected = f"{said['emoji']} *{said['title']}*\n{said['overview']}"
        assert json.loads(posted.body) == {"text": expected}


async def test_each_action_item_becomes_a_task(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as (server, service),
        started("tasks.py", TASKS_URL=service.url("/tasks"), TASKS_TOKEN="t") as tasks_receiver,
    ):
        await set_webhook(server, "memory_created", tasks_receiver.url, "ada")
        await tell(server, "I have to renew my passport. I will send Ann the report on Friday.")
        await service.until(2)
        items = (await server.get("/v1/action-items", uid="ada"))["action_items"]
        tasks = [json.loads(posted.body) for posted in service.requests]
        assert sorted(task["content"] for task in tasks) == sorted(item["description"] for item in items)
        assert len({posted.headers["x-request-id"] for posted in service.requests}) == 2
        assert {posted.headers["authorization"] for posted in service.requests} == {"Bearer t"}


async def test_a_spoken_command_starts_a_call_once(tmp_path: Path) -> None:
    words = spoken("Well, please call me now. I am waiting for you here, as I said.", 0.3)
    async with (
        serving(tmp_path, *words) as (server, service),
        started("call.py", CALLS_URL=service.url("/calls"), PHONE="+4930", CALL_SAYS="http://x/") as caller,
    ):
        await set_webhook(server, "realtime_transcript", caller.url, "ada")
        async with talking(server.url, "ada") as (client, shown):
            await hear_all(client, shown, [bytes(SAMPLE_RATE * 2)] * 6)
            await service.until(1)
        (called,) = service.requests
        assert (called.path, parse_qs(called.body.decode())) == (
            "/calls",
            {"To": ["+4930"], "Url": ["http://x/"]},
        )


async def test_who_speaks_fast_is_told_so_while_they_speak(tmp_path: Path) -> None:
    words = spoken(" ".join(["quick"] * 40), 0.1)
    async with serving(tmp_path, *words) as (server, _), started("coach.py") as coach:
        await set_webhook(server, "realtime_transcript", coach.url, "ada")
        async with talking(server.url, "ada") as (client, shown):
            await hear_all(client, shown, [bytes(SAMPLE_RATE * 2)] * 5)
            await shown.until(_advice)
        told = _advice(shown)[0]
        assert re.fullmatch(r"Slow down: \d{3} words a minute\.", told.message)


def _advice(shown: Shown) -> list[ProactiveMessage]:
    return [event for event in shown.events if isinstance(event, ProactiveMessage)]


async def test_a_day_becomes_a_page_of_a_journal(tmp_path: Path) -> None:
    pages = trio.Path(tmp_path) / "journal"
    await pages.mkdir()
    async with started("journal.py", JOURNAL=str(pages)) as journal:
        day = await _spoke_on_a_day_that_is_due(tmp_path / "data", journal.url)
        async with serving(tmp_path / "data"):
            assert await journal.line() == "handled\n"
        written = await (pages / f"{day}.md").read_text()
        assert written.startswith(f"# {day}: Sailing")


async def _spoke_on_a_day_that_is_due(folder: Path, url: str) -> str:
    """Ada spoke on the day that is summarised at the hour that was last reached."""
    await trio.Path(folder).mkdir()
    store = await Store.open(folder, trio.to_thread.run_sync)
    hour = wall_clock() // HOUR * HOUR
    now = datetime.fromtimestamp(hour / 1_000_000, UTC)
    day = now.date() if now.hour >= 12 else now.date() - timedelta(1)
    spoke = round(datetime.combine(day, datetime.min.time(), UTC).timestamp()) * 1_000_000
    await store.users.change("ada", {"daily_summary_hour": now.hour})
    await store.webhooks.set_url("ada", "developer", "day_summary", url, None)
    kept = ConversationRow(
        uid="ada",
        id="c1",
        status=COMPLETED,
        created_at=spoke,
        started_at=spoke,
        finished_at=spoke,
        last_speech_at=spoke,
        timeout_seconds=120,
        structured={"title": "Sailing", "overview": "The trip to the sea."},
    )
    await store.conversations.create(kept)
    words = Segment(id="s1", text="We sail on Friday.", start=0.0, end=2.0)
    await store.conversations.apply([SegmentsChanged("ada", "c1", (words,), spoke, spoke)])
    await store.day_summaries.cover(hour - HOUR)
    await store.close()
    return day.isoformat()
