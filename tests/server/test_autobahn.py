"""The Autobahn cases on the protocol: against an echo by both ways in, and from our client of vendors, which echoes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from engine.listen.ports import ClientGone, ClientSocket
from engine.server.lane import LaneSocket
from engine.stt.websocket import WebSocketTransport
from engine.web import Visit
from tests.server.autobahn import MESSAGE_LIMIT, Verdicts, try_client, try_server
from tests.server.serving import WebSocketApp, config, serving

pytest.importorskip("kosoku")

PROTOCOL = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*")


async def echo_laned(client: ClientSocket, visit: Visit) -> None:
    laned = cast(LaneSocket, client)
    try:
        while True:
            await laned.send(await laned.receive())
    except ClientGone:
        return


async def echo(receive: Any, send: Any) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        try:
            await send({"type": "websocket.send", "bytes": event["bytes"], "text": event["text"]})
        except OSError:
            return


@asynccontextmanager
async def echoing(way: str) -> AsyncIterator[str]:
    """The URL of a server that echoes by this way in."""
    settings = config(message_limit=MESSAGE_LIMIT, close_timeout=5.0)
    laned = echo_laned if way == "lane" else None
    async with serving(WebSocketApp(echo), settings, laned) as served:
        yield f"ws://127.0.0.1:{served.port}/v4/listen"


def check(verdicts: Verdicts, at_least: int) -> None:
    assert verdicts.named(good=False) == []
    assert len(verdicts.all) >= at_least


@pytest.mark.parametrize("way", ["lane", "http"])
async def test_a_server_finds_no_fault_in_the_cases_on_the_protocol(way: str) -> None:
    async with echoing(way) as url:
        check(await try_server(url, PROTOCOL), 240)


async def test_a_client_of_vendors_finds_no_fault_in_the_cases_on_the_protocol() -> None:
    check(await try_client(WebSocketTransport(message_limit=MESSAGE_LIMIT), PROTOCOL), 240)
