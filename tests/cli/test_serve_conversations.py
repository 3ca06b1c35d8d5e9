"""`listen serve` without a key: two conversations, and what their owner gets of them. A real process, a real client."""

from __future__ import annotations

import base64
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from engine.conversation.structured import CATEGORIES
from tests.cli.test_serve import serving
from tests.e2e.running import hear_all, talking
from tests.patience import PATIENCE

CONTRACT = (
    (0, "I will send the contract to the lawyer by Friday."),
    (1, "The lawyer wants to read the contract before the meeting."),
    (0, "Please book the room for the meeting tomorrow."),
    (1, "Okay, I'll book the room tomorrow morning."),
)
DENTIST = (
    (0, "The dentist found a hole in one of Emma's teeth."),
    (1, "I'll take Emma to the dentist on Monday."),
    (0, "And can you buy toothpaste for Emma by tomorrow?"),
    (1, "Sure, I will buy the toothpaste tomorrow."),
)
ABOUT_CONTRACT = "Paperwork for our attorney"
ABOUT_DENTIST = "Does any child suffer from tooth decay?"
WORD = 0.1
"""Seconds."""
PACKET = bytes(3200)
PACKETS_PER_SECOND = 10
TAIL = 2
"""Seconds that each talk goes on after its last word."""


def words_of(talk: tuple[tuple[int, str], ...]) -> list[str]:
    return " ".join(text for _, text in talk).split()


def seconds_of(talk: tuple[tuple[int, str], ...]) -> int:
    return round(len(words_of(talk)) * WORD) + TAIL


def script() -> list[dict[str, Any]]:
    """Both talks, a word every tenth of a second, the second talk after the first."""
    words, began = [], 0.0
    for talk in (CONTRACT, DENTIST):
        said = [(speaker, word) for speaker, text in talk for word in text.split()]
        for place, (speaker, word) in enumerate(said):
            start = began + WORD * place
            words.append(
                {"text": word, "start": round(start, 1), "end": round(start + WORD, 1), "speaker": speaker}
            )
        began += seconds_of(talk)
    return words


async def speak(url: str, http: httpx2.AsyncClient) -> list[dict[str, Any]]:
    """Say both talks on one connection, ending each; the conversations as they are then."""
    ended = []
    async with talking(url, "ada") as (client, shown):
        for talk in (CONTRACT, DENTIST):
            await hear_all(client, shown, [PACKET] * (PACKETS_PER_SECOND * seconds_of(talk)))
            shown.events.clear()
            answer = await http.post("/v1/conversations", json={})
            ended.append(answer.raise_for_status().json()["conversation"])
    return ended


async def chat(http: httpx2.AsyncClient, text: str) -> dict[str, Any]:
    streamed = (await http.post("/v2/messages", json={"text": text})).raise_for_status().text
    answer: dict[str, Any] = json.loads(base64.b64decode(streamed.strip().rpartition("done: ")[2]))
    return answer


def said_in(document: dict[str, Any]) -> set[str]:
    """All words that are kept of a conversation, but for those too common to mean anything."""
    return set(re.findall(r"\w{4,}", json.dumps(document).casefold()))


@contextmanager
def two_talks_served(folder: Path) -> Iterator[str]:
    """A server whose vendor hears the script, in a process of its own; its WebSocket URL."""
    path = folder / "script.json"
    path.write_text(json.dumps(script()))
    with serving("--stt-stand-in", "soniox", "--stt-stand-in-script", str(path)) as (process, line):
        url = re.search(r"--url (\S+)", line)
        assert url is not None, line
        yield url[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def asking(url: str, timeout: float = PATIENCE) -> httpx2.AsyncClient:
    """Its REST routes as Ada."""
    return httpx2.AsyncClient(base_url=url.replace("ws:", "http:"), params={"uid": "ada"}, timeout=timeout)


async def found_by_meaning(http: httpx2.AsyncClient, question: str, right: dict[str, Any]) -> bool:
    """Whether a question is answered with `right` first, none of whose words it has."""
    assert not set(re.findall(r"\w{4,}", question.casefold())) & said_in(right)
    answer = await http.post("/v1/conversations/search", json={"query": question})
    found = answer.raise_for_status().json()["items"]
    return bool(found) and found[0]["id"] == right["id"]


async def walk(url: str) -> None:
    async with asking(url) as http:
        contract, dentist = await speak(url, http)
        for talk, document in ((CONTRACT, contract), (DENTIST, dentist)):
            read = (await http.get(f"/v1/conversations/{document['id']}")).json()
            assert read == document
            assert " ".join(one["text"] for one in read["transcript_segments"]).split() == words_of(talk)
            fully_kept(read)
        assert contract["structured"]["title"] != dentist["structured"]["title"]
        assert await found_by_meaning(http, ABOUT_DENTIST, dentist)
        assert await found_by_meaning(http, ABOUT_CONTRACT, contract)
        answer = await chat(http, "Which papers does the attorney get?")
        assert answer["memories_id"][0] == contract["id"]
        assert "I will send the contract to the lawyer by Friday." in answer["text"]
        assert "[1]" in answer["text"]
        answer = await chat(http, "What about my girl's tooth decay?")
        assert answer["memories_id"][0] == dentist["id"]


def fully_kept(document: dict[str, Any]) -> None:
    """Title, overview, category, and action items with days that lie ahead."""
    assert document["status"] == "completed"
    structured = document["structured"]
    assert structured["title"]
    assert structured["overview"]
    assert structured["category"] in CATEGORIES
    dues = [item["due_at"] for item in structured["action_items"]]
    assert len(dues) >= 2
    began = datetime.fromisoformat(document["started_at"])
    assert all(0 <= (datetime.fromisoformat(due) - began).days <= 7 for due in dues)


def test_two_conversations_are_kept_found_by_meaning_and_cited_without_any_key(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    with two_talks_served(tmp_path) as url:
        trio.run(walk, url)
