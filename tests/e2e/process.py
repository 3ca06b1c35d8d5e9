"""Servers in a process of their own, to be stopped, killed and measured."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import trio

from tests.databases import migrated
from tests.e2e.running import Api, api
from tests.e2e.watching import ServerLog
from tests.forking import Forked, fork
from tests.patience import BUSY, PATIENCE

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.e2e.scripted_server"
LOG_LINES = 100
"""Of a server's log, shown with a test that fails."""

SETTINGS = {
    "LISTEN_PORT": "0",
    "LISTEN_LIMITS_CONNECTS_PER_MINUTE": "10000",
    "LISTEN_LIMITS_SESSIONS_PER_USER": "1000",
    "LISTEN_USAGE_INTERVAL": "1",
    "LISTEN_STORE_BUSY_TIMEOUT": str(BUSY),
    "LISTEN_WEB_REQUEST_TIMEOUT": str(PATIENCE),
    "LISTEN_CONVERSATION_ANSWER_WAIT": str(PATIENCE / 2),
    "LISTEN_EMBEDDING_PROVIDER": "off",  # where it matters a test turns it on: it takes a second to load
}


class Process(Api):
    """A server that was started and is ready."""

    def __init__(
        self, process: trio.Process | Forked, log: ServerLog, port: int, http: httpx2.AsyncClient
    ) -> None:
        super().__init__(port, http)
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self._process.terminate()
        return await self._ended()

    async def kill(self) -> None:
        """SIGKILL, as by the kernel when memory runs out."""
        self._process.kill()
        assert await self._ended() == -signal.SIGKILL

    async def _ended(self) -> int:
        with trio.fail_after(PATIENCE):
            return await self._process.wait()

    def memory(self) -> int:
        """Bytes resident that are this process's own: heap, stacks and rings.

        By share, since the rings' double mapping would count twice; without files, whose share depends on who
        else has them mapped.
        """
        sizes = {}
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, size, *_ = line.split()
            sizes[name] = int(size) * 1024
        return sizes["Pss_Anon:"] + sizes["Pss_Shmem:"]


async def _first_line(stream: trio.abc.ReceiveStream) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        more = await stream.receive_some()
        assert more, "the server ended before it was ready"
        line += more
    return line


async def _forked(environ: dict[str, str]) -> trio.Process | Forked:
    with trio.fail_after(PATIENCE):
        return await fork(PROGRAM, environ=environ)


async def _begun(environ: dict[str, str]) -> trio.Process | Forked:
    return await trio.lowlevel.open_process(
        [sys.executable, "-m", PROGRAM],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def started(data_dir: Path, **environ: Any) -> AbstractAsyncContextManager[Process]:
    """`tests.e2e.scripted_server` on `data_dir`, killed when the block ends if it is still there.

    It is forked off a process that has loaded all it needs.
    """
    return _started(_forked, data_dir, environ)


def started_anew(data_dir: Path, **environ: Any) -> AbstractAsyncContextManager[Process]:
    """The same, but a process that loads all by itself, to be measured."""
    return _started(_begun, data_dir, environ)


@asynccontextmanager
async def _started(
    begin: Callable[[dict[str, str]], Awaitable[trio.Process | Forked]],
    data_dir: Path,
    environ: Mapping[str, Any],
) -> AsyncIterator[Process]:
    if "LISTEN_DATABASE_URL" not in environ:
        migrated(data_dir)
    settings = {"LISTEN_DATA_DIR": str(data_dir), **SETTINGS, **{name: str(v) for name, v in environ.items()}}
    log = ServerLog()
    async with trio.open_nursery() as nursery:
        process = await begin({**os.environ, **settings})
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            nursery.start_soon(log.read, process.stderr)
            try:
                with trio.fail_after(PATIENCE):
                    port = int(await _first_line(process.stdout))
                async with api(port) as asking:
                    yield Process(process, log, port, asking._http)
            except BaseException:
                print(*log.entries[-LOG_LINES:], sep="\n", file=sys.stderr)  # which a failed test shows
                raise
        finally:
            with trio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.wait()
        nursery.cancel_scope.cancel()
