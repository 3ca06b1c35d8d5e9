"""The Autobahn cases on the protocol: against an echo by both ways in, and from our client of vendors, which echoes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
from msgspec.structs import replace

from engine.config import Web
from engine.listen.ports import ClientGone, ClientSocket
from engine.server.lane import Lane, LaneSocket
from engine.server.vendor_lane import LaneTransport
from engine.stt.transport import Transport
from engine.stt.websocket import WebSocketTransport
from engine.web import Visit
from tests.server.autobahn import AT_ONCE, MESSAGE_LIMIT, Verdicts, try_client, try_server
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
    settings = replace(config(message_limit=MESSAGE_LIMIT, close_timeout=5.0), web=Web())
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


@asynccontextmanager
async def transport(way: str) -> AsyncIterator[Transport]:
    """What connects to vendors: in the lane, or by trio-websocket."""
    by_trio = WebSocketTransport(message_limit=MESSAGE_LIMIT)
    if way == "trio-websocket":
        yield by_trio
        return
    lane = Lane(1, MESSAGE_LIMIT, links=AT_ONCE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.run)
        yield LaneTransport(lane, by_trio)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("way", ["lane", "trio-websocket"])
async def test_a_client_of_vendors_finds_no_fault_in_the_cases_on_the_protocol(way: str) -> None:
    async with transport(way) as connecting:
        check(await try_client(connecting, PROTOCOL), 240)
