"""What an app's own server says before its users may enable it."""

import pytest

from engine.webhooks.app_setup import AppSetup, NotToBeHad
from engine.webhooks.submission import ChatTool, ExternalIntegration

from .hosting import reaching
from .receiving import answering, hanging, receiver


@pytest.mark.parametrize("completed", [True, False])
async def test_an_app_says_whether_it_is_set_up(completed: bool) -> None:
    said = b'{"is_setup_completed": %s}' % (b"true" if completed else b"false")
    async with receiver(answering(body=said)) as there, reaching() as http:
        integration = ExternalIntegration(setup_completed_url=there.url("/setup?a=1"))
        assert await AppSetup(http, 5.0).completed(integration, "u 1") is completed
        (asked,) = there.requests
        assert (asked.method, asked.target) == ("GET", "/setup?a=1&uid=u+1")


async def test_an_app_that_wants_nothing_set_up_is_not_asked() -> None:
    async with reaching() as http:
        assert await AppSetup(http, 5.0).completed(ExternalIntegration(setup_completed_url=""), "u1")


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b"", "404"),
        (302, b"", "302"),
        (200, b"yes", "not JSON"),
        (200, b"[]", "is_setup_completed"),
        (200, b'{"is_setup_completed": "true"}', "is_setup_completed"),
        (200, b"[" * 20_000, "not JSON"),
        (200, b" " * 200_000, "too long"),
    ],
)
async def test_what_it_answers_else_is_none_of_both(status: int, body: bytes, why: str) -> None:
    async with receiver(answering(status, body=body)) as there, reaching() as http:
        with pytest.raises(NotToBeHad, match=why):
            await AppSetup(http, 5.0).completed(ExternalIntegration(setup_completed_url=there.url()), "u1")


async def test_it_is_not_waited_for_longer_than_told(autojump_clock: object) -> None:
    async with receiver(hanging) as there, reaching() as http:
        with pytest.raises(NotToBeHad, match="2 s"):
            await AppSetup(http, 2.0).completed(ExternalIntegration(setup_completed_url=there.url()), "u1")


async def test_a_manifest_has_tools() -> None:
    said = b'{"tools": [{"name": "post", "description": "Posts.", "endpoint": "/post", "x": 1}], "chat_messages": {}}'
    async with receiver(answering(body=said)) as there, reaching() as http:
        (tool,) = await AppSetup(http, 5.0).tools(there.url("/.well-known/omi-tools.json"))
        assert tool == ChatTool(name="post", description="Posts.", endpoint="/post")


@pytest.mark.parametrize("said", [b"[]", b'{"tools": [{"name": "post"}]}', b'{"tools": 7}', b"{"])
async def test_what_is_no_manifest_is_refused(said: bytes) -> None:
    async with receiver(answering(body=said)) as there, reaching() as http:
        with pytest.raises(NotToBeHad):
            await AppSetup(http, 5.0).tools(there.url())


async def test_addresses_that_must_not_be_asked_are_named() -> None:
    async with reaching() as http:
        wrong = await AppSetup(http, 5.0).wrong_with(["http://127.0.0.1:9/x", "http://10.1.2.3/y"])
        assert wrong is not None
        assert wrong.startswith("http://10.1.2.3/y is not accepted")
        assert await AppSetup(http, 5.0).wrong_with(["http://127.0.0.1:9/x"]) is None
