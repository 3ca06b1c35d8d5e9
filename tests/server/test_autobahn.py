"""The Autobahn test suite's cases against an echo over the lane, driven by the package `kosoku`."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import pytest
import trio

from engine.listen.ports import ClientGone, ClientSocket
from engine.server.lane import LaneSocket
from engine.web import Visit
from tests.server.serving import WebSocketApp, config, receive_all, serving

kosoku = pytest.importorskip("kosoku")

MESSAGE_LIMIT = 16 << 20
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
AT_ONCE = 4


async def echo(client: ClientSocket, visit: Visit) -> None:
    laned = cast(LaneSocket, client)
    try:
        while True:
            await laned.send(await laned.receive())
    except ClientGone:
        return


def drive(url: str, cases: Sequence[str]) -> list[Any]:
    """Run the cases, in another thread's asyncio; their results."""

    async def run() -> list[Any]:
        try:
            return list(await kosoku.run_fuzzingclient(url, cases=list(cases), concurrency=AT_ONCE))
        except kosoku.FailureError as failed:
            return list(failed.results)

    return asyncio.run(run())


async def verdicts(cases: Sequence[str]) -> tuple[Counter[str], list[str]]:
    """How many of each verdict, and the cases that were not good enough."""
    async with serving(
        WebSocketApp(receive_all), config(message_limit=MESSAGE_LIMIT, close_timeout=5.0), echo
    ) as served:
        url = f"ws://127.0.0.1:{served.port}/v4/listen"
        results = await trio.to_thread.run_sync(drive, url, cases)
    bad = [
        f"{one.case_id}: {one.behavior.value}, {one.behavior_close.value}"
        for one in results
        if one.behavior.value not in GOOD or one.behavior_close.value not in GOOD
    ]
    return Counter(one.behavior.value for one in results), bad


async def test_the_cases_on_the_protocol_find_no_fault() -> None:
    counts, bad = await verdicts(["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*"])
    assert bad == []
    assert counts.total() > 200


@pytest.mark.campaign
async def test_the_cases_on_limits_and_performance_find_no_fault() -> None:
    counts, bad = await verdicts(["9.*", "10.*"])
    print(dict(counts))
    assert bad == []
