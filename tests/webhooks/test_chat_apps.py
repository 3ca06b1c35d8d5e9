"""The apps that a user has enabled, as chats and conversations have them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from engine.config import Apps
from engine.conversation.chat.ports import AppToolFailed
from engine.store import Store
from engine.store.database import wall_clock
from engine.webhooks.chat_apps import ChatApps
from engine.webhooks.signing import new_secret

from .hosting import add_app, reaching, stored
from .receiving import Behaviour, Receiver, answering, cutting, hanging, receiver

EXTERNAL = ["external_integration"]


class Site:
    """A user's apps, with a server of one of them."""

    def __init__(self, store: Store, apps: ChatApps, there: Receiver) -> None:
        self.store = store
        self.apps = apps
        self.there = there
        self.secret = new_secret()

    async def tool(self, **said: Any) -> None:
        """`u1` has an app with one tool."""
        tool = {"name": "post", "description": "Posts.", "endpoint": self.there.url("/post?a=1"), **said}
        await add_app(self.store, capabilities=EXTERNAL, chat_tools=[tool], secret=self.secret)

    async def call(self, **arguments: Any) -> str:
        (tool,) = await self.apps.tools("u1")
        return await self.apps.call("u1", tool, arguments)


@asynccontextmanager
async def having(folder: Path, answer: Behaviour | None = None, **settings: Any) -> AsyncIterator[Site]:
    async with stored(folder) as store, reaching() as http, receiver(answer) as there:
        apps = ChatApps(store.app_registry, store.users, http, Apps(**settings), wall_clock)
        yield Site(store, apps, there)


async def test_a_chat_answers_as_an_app_that_its_user_has_enabled(tmp_path: Path) -> None:
    async with having(tmp_path) as it:
        await add_app(it.store, "poet", capabilities=["chat"], chat_prompt="Rhyme.")
        await add_app(it.store, "mute", capabilities=["memories"], chat_prompt="Rhyme.")
        persona = await it.apps.persona("u1", "poet")
        assert persona is not None
        assert (persona.name, persona.prompt) == ("App poet", "Rhyme.")
        assert await it.apps.persona("u1", "mute") is None
        assert await it.apps.persona("u2", "poet") is None


async def test_conversations_are_put_to_so_many_apps_the_preferred_one_first(tmp_path: Path) -> None:
    async with having(tmp_path, prompts=2) as it:
        for id in ("a", "b", "c"):
            await add_app(it.store, id, capabilities=["memories"], memory_prompt=f"Do {id}.")
        await add_app(it.store, "d", capabilities=["chat"], memory_prompt="Do d.")
        assert await it.store.app_registry.prefer("u1", "c")
        assert [one.prompt for one in await it.apps.prompts("u1")] == ["Do c.", "Do a."]
        named = await it.apps.prompt("u1", "b")
        assert named is not None
        assert named.prompt == "Do b."
        assert await it.apps.prompt("u1", "d") is None
        assert await it.apps.prompts("u2") == []


async def test_a_tool_is_offered_with_a_whole_schema(tmp_path: Path) -> None:
    async with having(tmp_path) as it:
        properties = {"channel": {"type": "string"}}
        await it.tool(parameters={"properties": properties, "required": ["channel"]})
        (tool,) = await it.apps.tools("u1")
        assert (tool.name, tool.description) == ("post", "Posts. (by the app App notes)")
        assert tool.parameters == {"type": "object", "properties": properties, "required": ["channel"]}
        assert await it.apps.tools("u2") == []


async def test_a_tool_is_called_with_its_arguments_and_whose_they_are_signed(tmp_path: Path) -> None:
    async with having(tmp_path, answering(body=b'{"result": "Done!"}')) as it:
        await it.tool(parameters={})
        place = {"latitude": 52.5, "longitude": 13.4}
        await it.store.users.change("u1", {"geolocation": place})
        assert await it.call(channel="#general", n=3) == "Done!"
        (asked,) = it.there.requests
        assert (asked.method, asked.target) == ("POST", "/post?a=1")
        assert Verifier(it.secret).verify(asked.body, dict(asked.headers)) == {
            "channel": "#general",
            "n": 3,
            "uid": "u1",
            "app_id": "notes",
            "tool_name": "post",
            "geolocation": place,
        }


async def test_arguments_cannot_pass_for_another_user(tmp_path: Path) -> None:
    async with having(tmp_path) as it:
        await it.tool()
        await it.call(uid="u2", app_id="other", tool_name="x")
        said = json.loads(it.there.requests[0].body)
        assert said == {"uid": "u1", "app_id": "notes", "tool_name": "post"}


async def test_a_tool_may_be_a_get(tmp_path: Path) -> None:
    async with having(tmp_path) as it:
        await it.tool(method="GET", auth_required=False)
        await it.call(q="ü & x", n=3, tags=["a"], none=None)
        (asked,) = it.there.requests
        assert asked.body == b""
        assert "webhook-signature" not in asked.headers
        assert parse_qs(asked.query) == {
            "a": ["1"],
            "q": ["ü & x"],
            "n": ["3"],
            "tags": ['["a"]'],
            "uid": ["u1"],
            "app_id": ["notes"],
            "tool_name": ["post"],
        }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"result": "Posted."}', "Posted."),
        (b'{"message": "Posted."}', "Posted."),
        (b'{"result": {"id": 7}}', '{"id": 7}'),
        (b'"Posted."', "Posted."),
        (b"[1]", "[1]"),
        (b"Posted \xff.", "Posted \ufffd."),
        (b"", ""),
    ],
)
async def test_what_a_tool_answers_is_text(tmp_path: Path, body: bytes, said: str) -> None:
    async with having(tmp_path, answering(body=body)) as it:
        await it.tool()
        assert await it.call() == said


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answering(401, body=b'{"error": "Slack is not connected."}'), "401 Slack is not connected"),
        (answering(500, body=b"oops"), "500"),
        (answering(302, headers={"Location": "http://127.0.0.1/"}), "302"),
        (answering(200, body=b'{"error": "No such channel."}'), "No such channel"),
        (cutting, "did not answer"),
        (hanging, "timeout"),
    ],
)
async def test_a_tool_that_fails_says_so(tmp_path: Path, answer: Behaviour, why: str) -> None:
    async with having(tmp_path, answer, tool_timeout=0.5) as it:
        await it.tool()
        with pytest.raises(AppToolFailed, match=why):
            await it.call()


async def test_a_tool_that_was_taken_away_meanwhile_is_not_called(tmp_path: Path) -> None:
    async with having(tmp_path) as it:
        await it.tool()
        (tool,) = await it.apps.tools("u1")
        await it.store.app_registry.change("maker", "notes", {"chat_tools": []})
        with pytest.raises(AppToolFailed, match="any more"):
            await it.apps.call("u1", tool, {})
        await it.store.apps.disable("u1", "notes")
        with pytest.raises(AppToolFailed, match="any more"):
            await it.apps.call("u1", tool, {})
        assert it.there.requests == []
