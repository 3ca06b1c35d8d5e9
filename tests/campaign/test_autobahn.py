"""All Autobahn cases, also those on limits and performance, beside the package `websockets`; to `autobahn.md`.

Compression is offered by nobody here (see engine/server/connection.py), so the cases on it (12 and 13) do not apply.
"""

import importlib.metadata
import os
import platform
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import trio

from tests.server.autobahn import MESSAGE_LIMIT, Verdicts, try_client, try_server, websockets_server
from tests.server.test_autobahn import echoing, transport

pytestmark = pytest.mark.campaign

TABLE = Path(__file__).with_name("autobahn.md")
PROTOCOL = tuple(f"{number}.*" for number in range(1, 8))
LIMITS = ("9.*", "10.*")
LONGEST = 1800.0
"""Seconds for one peer and one part; then it has failed."""


class Row(msgspec.Struct, frozen=True):
    """One peer's part of the cases."""

    peer: str
    part: str
    verdicts: Verdicts
    seconds: float


Try = Callable[[tuple[str, ...]], Awaitable[Verdicts]]


async def lane(cases: tuple[str, ...]) -> Verdicts:
    async with echoing("lane") as url:
        return await try_server(url, cases)


async def http(cases: tuple[str, ...]) -> Verdicts:
    async with echoing("http") as url:
        return await try_server(url, cases)


async def client(cases: tuple[str, ...]) -> Verdicts:
    async with transport("trio-websocket") as connecting:
        return await try_client(connecting, cases)


async def client_in_the_lane(cases: tuple[str, ...]) -> Verdicts:
    async with transport("lane") as connecting:
        return await try_client(connecting, cases)


async def websockets(cases: tuple[str, ...]) -> Verdicts:
    async with websockets_server() as url:
        return await try_server(url, cases)


OURS: dict[str, Try] = {
    "our server, native lane": lane,
    "our server, HTTP server": http,
    "our client, native lane": client_in_the_lane,
    "our client, trio-websocket": client,
}
PEERS: dict[str, Try] = {f"server of websockets {importlib.metadata.version('websockets')}": websockets}


async def test_the_autobahn_cases_find_no_fault_of_ours(
    record_property: Callable[[str, object], None],
) -> None:
    rows: list[Row] = []
    for part in (PROTOCOL, LIMITS):
        for peer, attempt in (OURS | PEERS).items():
            began = trio.current_time()
            with trio.fail_after(LONGEST):
                verdicts = await attempt(part)
            name = f"{part[0].rstrip('.*')} to {part[-1].rstrip('.*')}"
            rows.append(Row(peer, name, verdicts, trio.current_time() - began))
            counts = ", ".join(f"{count} {kind}" for kind, count in verdicts.counts.items())
            record_property(f"{peer}, {name}", counts)
    TABLE.write_text(table(rows))
    print(f"\n{table(rows)}")
    faults = {row.peer: row.verdicts.named(good=False) for row in rows if row.peer in OURS}
    assert {peer: found for peer, found in faults.items() if found} == {}


def table(rows: list[Row]) -> str:
    """A line for each peer and part, then every case that was not quite right."""
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    lines = [
        "# Autobahn",
        "",
        f"{when} UTC, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, "
        f"kosoku {importlib.metadata.version('kosoku')}, messages up to {MESSAGE_LIMIT >> 20} MiB, loopback.",
        "",
        "| peer | cases | run | OK | non-strict | informational | failed | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = row.verdicts.counts
        kinds = [counts[kind] for kind in ("OK", "NON-STRICT", "INFORMATIONAL", "FAILED")]
        figures = " | ".join(str(figure) for figure in (len(row.verdicts.all), *kinds, round(row.seconds)))
        lines.append(f"| {row.peer} | {row.part} | {figures} |")
    for good, title in ((False, "Failed"), (True, "Not quite OK (message exchange, close)")):
        lines += ["", f"## {title}", ""]
        for row in rows:
            found = row.verdicts.named(good=good)
            if found:
                lines.append(f"- {row.peer}: {'; '.join(found)}")
        if lines[-1] == "":
            lines.append("None.")
    return "\n".join(lines) + "\n"
