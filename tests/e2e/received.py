"""Receivers of webhooks in processes of their own, and what they were sent."""

import base64
import hmac
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio
from standardwebhooks import Webhook as Verifier

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]


class Request(msgspec.Struct, frozen=True):
    """One request. `line`: `POST /path?query HTTP/1.1`."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1].partition("?")[0]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def verify(self, secret: str) -> None:
        """Raises when it was not signed with `secret`, as the library sees it, which takes no body but text."""
        if self.headers["content-type"] == "application/json":
            Verifier(secret).verify(self.body, dict(self.headers))
            return
        key = base64.b64decode(secret.removeprefix("whsec_"))
        said = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        signature = base64.b64encode(hmac.digest(key, said, "sha256")).decode()
        assert self.headers["webhook-signature"] == f"v1,{signature}"


class Receiver:
    """What came so far, and a wait for what will."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.requests: list[Request] = []
        self._scheme = scheme
        self._news = trio.Event()

    def url(self, path: str) -> str:
        return f"{self._scheme}://localhost:{self.port}{path}"

    def at(self, path: str) -> list[Request]:
        """The requests to a path, each delivery once, in order."""
        return list({one.headers["webhook-id"]: one for one in self.requests if one.path == path}.values())

    async def until(self, seen: Callable[["Receiver"], object]) -> None:
        """Wait until `seen(self)` is true."""
        with trio.fail_after(PATIENCE):
            while not seen(self):
                self._news = trio.Event()
                await self._news.wait()

    async def read(self, lines: trio.abc.ReceiveStream, rest: bytes) -> None:
        """Take requests until the process ends."""
        async for data in lines:
            *whole, rest = (rest + bytes(data)).split(b"\n")
            self.requests += [
                Request(one["line"], one["headers"], base64.b64decode(one["body"]))
                for one in map(msgspec.json.decode, whole)
            ]
            self._news.set()


@asynccontextmanager
async def receiving(certificate: Path | None = None, key: Path | None = None) -> AsyncIterator[Receiver]:
    """`tests.e2e.receiver`, behind TLS with a certificate, ended with the block."""
    files = [str(path) for path in (certificate, key) if path is not None]
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.e2e.receiver", *files], cwd=ROOT, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            first = b""
            with trio.fail_after(PATIENCE):
                while b"\n" not in first:
                    more = await process.stdout.receive_some()
                    assert more, "the receiver ended before it was ready"
                    first += more
            port, _, rest = first.partition(b"\n")
            receiver = Receiver(int(port), "https" if files else "http")
            nursery.start_soon(receiver.read, process.stdout, rest)
            yield receiver
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
        nursery.cancel_scope.cancel()
