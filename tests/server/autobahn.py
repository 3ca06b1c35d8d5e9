"""The Autobahn cases against anything that echoes, and from anything that echoes, by the package `kosoku`.

kosoku changes `binascii` and the module path of its process, and keeps a core busy, so it has one of its own:

    python -m tests.server.autobahn client URL CASE...   clients of the server at URL
    python -m tests.server.autobahn server CASE...       a server, which prints its port first
    python -m tests.server.autobahn websockets           the package `websockets` as a server that echoes

The first two print a list of `Verdict` as JSON when all is over.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio

from engine.stt.transport import ConnectionLost, Request, Transport

ROOT = Path(__file__).parents[2]
MESSAGE_LIMIT = 16 << 20
"""Bytes of the largest message in the cases."""
GOOD = frozenset(("OK", "NON-STRICT", "INFORMATIONAL"))
AT_ONCE = 4


class Verdict(msgspec.Struct, frozen=True):
    """What Autobahn says of one case: the exchange of messages, and the way the connection was closed."""

    case: str
    behavior: str
    close: str

    @property
    def good(self) -> bool:
        return self.behavior in GOOD and self.close in GOOD


class Verdicts(msgspec.Struct, frozen=True):
    """Of one run."""

    all: tuple[Verdict, ...]

    @property
    def counts(self) -> Counter[str]:
        """How many of each; a case that is not good is `FAILED`, whatever Autobahn calls it."""
        return Counter(one.behavior if one.good else "FAILED" for one in self.all)

    def named(self, *, good: bool) -> list[str]:
        """The cases that are not quite OK, or those that are not good at all."""
        return [
            f"{one.case}: {one.behavior}, {one.close}"
            for one in self.all
            if one.good is good and (one.behavior, one.close) != ("OK", "OK")
        ]


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[trio.Process]:
    """This module in a process, killed when the block ends if it is still there."""
    command = [sys.executable, "-m", "tests.server.autobahn", *arguments]
    process = await trio.lowlevel.open_process(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()


async def _line(process: trio.Process, rest: bytes = b"") -> tuple[bytes, bytes]:
    """The next line of its output, and what came behind it."""
    assert process.stdout is not None
    while b"\n" not in rest:
        more = await process.stdout.receive_some()
        assert more, "the process ended before it had said all"
        rest += more
    line, _, rest = rest.partition(b"\n")
    return line, rest


async def try_server(url: str, cases: Sequence[str]) -> Verdicts:
    """Run the cases as clients of a server that echoes."""
    async with _process("client", url, *cases) as process:
        line, _ = await _line(process)
        return Verdicts(msgspec.json.decode(line, type=tuple[Verdict, ...]))


async def try_client(transport: Transport, cases: Sequence[str]) -> Verdicts:
    """Run the cases as a server of this client, which echoes what it receives on each connection."""
    async with _process("server", *cases) as process:
        port, rest = await _line(process)
        url = f"ws://127.0.0.1:{int(port)}"
        async with transport.connect(Request(f"{url}/getCaseCount")) as connection:
            count = int(await connection.receive())
        room = trio.CapacityLimiter(AT_ONCE)

        async def one(number: int) -> None:
            async with room:
                await _echo(transport, Request(f"{url}/runCase?case={number}&agent=listen"))

        async with trio.open_nursery() as nursery:
            for number in range(1, count + 1):
                nursery.start_soon(one, number)
        await _echo(transport, Request(f"{url}/updateReports?agent=listen"))
        line, _ = await _line(process, rest)
        return Verdicts(msgspec.json.decode(line, type=tuple[Verdict, ...]))


async def _echo(transport: Transport, request: Request) -> None:
    async with transport.connect(request) as connection:
        try:
            while True:
                await connection.send(await connection.receive())
        except ConnectionLost:
            return


@asynccontextmanager
async def websockets_server() -> AsyncIterator[str]:
    """The package `websockets` echoing in a process of its own; its URL."""
    async with _process("websockets") as process:
        port, _ = await _line(process)
        yield f"ws://127.0.0.1:{int(port)}"


async def _drive_client(url: str, *cases: str) -> None:
    import kosoku

    try:
        results = await kosoku.run_fuzzingclient(url, cases=list(cases), concurrency=AT_ONCE)
    except kosoku.FailureError as failed:
        results = failed.results
    _print(results)


async def _drive_server(*cases: str) -> None:
    import kosoku

    async with kosoku.run_fuzzingserver(list(cases), port=0) as server:
        print(server.port, flush=True)
        try:
            results = await server.get_result()
        except kosoku.FailureError as failed:
            results = failed.results
    _print(results)


def _print(results: Sequence[object]) -> None:
    verdicts = [Verdict(one.case_id, one.behavior.value, one.behavior_close.value) for one in results]  # type: ignore[attr-defined]
    print(msgspec.json.encode(verdicts).decode(), flush=True)


async def _serve_websockets() -> None:
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    async def echo(connection: ServerConnection) -> None:
        try:
            async for message in connection:
                await connection.send(message)
        except ConnectionClosed:
            return

    async with serve(echo, "127.0.0.1", 0, max_size=MESSAGE_LIMIT, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


def main(role: str, *arguments: str) -> None:
    """As the module's text says."""
    if role == "client":
        asyncio.run(_drive_client(*arguments))
    elif role == "server":
        asyncio.run(_drive_server(*arguments))
    else:
        asyncio.run(_serve_websockets())


if __name__ == "__main__":
    main(*sys.argv[1:])
