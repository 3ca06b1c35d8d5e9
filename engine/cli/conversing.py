"""One streaming of a recording: sending and reading at the same time, then waiting for the last words."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx2
import msgspec
import trio
from rich.console import Console

from engine.cli.sending import Sent, send
from engine.cli.status import FAILED, OK
from engine.cli.transcript import Transcript
from engine.cli.views import JsonView, LiveView, PlainView, View, apply
from engine.client import ListenClient, ListenClosed
from engine.wire.messages import ConversationSession, ServiceStatus

if TYPE_CHECKING:
    from engine.audio import Encoder
    from engine.cli.recording import Recording

LOOKUP_TIMEOUT = 5.0
"""Seconds for one request to REST."""

DECIDING = 2.0
"""Seconds after the last words in which it may yet be found out who spoke; of who said too little it never is."""

JUST_NOW = 0.5
"""Seconds: a conversation that began this shortly before the connection was made for it."""


class Lookup(msgspec.Struct, frozen=True):
    """Asks REST what the socket does not say.

    When a conversation began: segment times count from there. Where a session goes on with an earlier conversation,
    latencies can only be told with it, and are then off by what the two machines' clocks differ. And what the people
    are called who were recognised.
    """

    url: str
    uid: str | None
    token: str | None

    async def started_at(self, conversation_id: str) -> float | None:
        """Seconds since the epoch; None when the server does not say."""
        try:
            answer = await self._get(f"/v1/conversations/{quote(conversation_id, safe='')}")
            return datetime.fromisoformat(answer["started_at"]).timestamp()
        except (httpx2.HTTPError, ValueError, KeyError, TypeError):
            return None

    async def names(self) -> dict[str, str]:
        """What the people whom the user knows are called, by id; of nobody when the server does not say."""
        try:
            return {str(one["id"]): str(one["name"]) for one in await self._get("/v1/users/people")}
        except (httpx2.HTTPError, ValueError, KeyError, TypeError):
            return {}

    async def _get(self, path: str) -> Any:
        parts = urlsplit(self.url)
        scheme = "https" if parts.scheme in ("wss", "https") else "http"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        # Certificates take 0.15 s to load, in which nothing would be sent: only where they are needed.
        async with httpx2.AsyncClient(timeout=LOOKUP_TIMEOUT, verify=scheme == "https") as client:
            answer = await client.get(
                f"{scheme}://{parts.netloc}{path}",
                params={"uid": self.uid} if self.uid else {},
                headers=headers,
            )
        return answer.raise_for_status().json()


class Run:
    """Connects by `connect`, sends `recording`, shows what comes, and tells how it went."""

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[ListenClient]],
        lookup: Lookup,
        recording: Recording,
        encoder: Encoder,
        as_json: bool,
    ) -> None:
        self._connect = connect
        self._lookup = lookup
        self._recording = recording
        self._encoder = encoder
        self._sent = Sent()
        self._transcript = Transcript()
        self._errors = Console(stderr=True)
        self._view = self._choose_view(as_json)
        self._offset = 0.0
        self._flushed = False
        self._asked: set[str] = set()  # people whose names were looked up
        # Set when no more words are to be expected: all is transcribed, or the connection is gone.
        self._done = trio.Event()
        self._decided = trio.Event()  # nobody's voice is yet to be compared
        self._read_all = trio.Event()
        self._patience: trio.CancelScope | None = None

    async def run(self, fast: bool, tail: float) -> int:
        """From connecting to the last line. Returns the exit status; raises ConnectFailed."""
        async with self._connect() as client:
            with self._view:
                closed = await self._converse(client, fast, tail)
                if self._transcript.unnamed:
                    await self._find_names()
        code = client.close_code if closed is None else closed.code
        reason = client.close_reason if closed is None else closed.reason
        self._view.finish(
            {
                "complete": self._sent.complete,
                "flushed": self._flushed,
                "close_code": code,
                "close_reason": reason,
                "conversation_offset": round(self._offset, 3),
                "segments": len(self._transcript.segments),
                "text": self._transcript.text,
            }
        )
        return self._verdict(closed, tail)

    async def _converse(self, client: ListenClient, fast: bool, tail: float) -> ListenClosed | None:
        """Returns how the server closed the connection, None when it left that to us."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, client, tail, nursery)
            try:
                await send(client, self._recording, self._encoder, self._sent, self._view.progress, fast=fast)
                await client.flush()
            except ListenClosed:
                # What the server said before it closed is still being read; the code is looked at below.
                await self._read_all.wait()
            else:
                with trio.move_on_after(tail) as self._patience:
                    await self._done.wait()
                with trio.move_on_after(DECIDING):
                    await self._decided.wait()
            closed = None
            if client.close_code is not None:
                closed = ListenClosed(client.close_code, client.close_reason, client.error)
            await client.close()
            await self._read_all.wait()
            nursery.cancel_scope.cancel()
        return closed

    async def _read(self, client: ListenClient, tail: float, nursery: trio.Nursery) -> None:
        connected_at = time.time()
        async for message in client.events():
            apply(message, self._transcript)
            self._view.message(message, self._offset)
            if self._transcript.decided:
                self._decided.set()
            elif self._decided.is_set():
                self._decided = trio.Event()
            if isinstance(message, ConversationSession):
                nursery.start_soon(self._find_offset, message.conversation_id, connected_at)
            elif isinstance(message, tuple) and self._transcript.unnamed - self._asked:
                self._asked |= self._transcript.unnamed
                nursery.start_soon(self._find_names)
            elif isinstance(message, ServiceStatus) and message.status == "flushed":
                self._flushed = True
                self._done.set()
            if self._patience is not None:
                self._patience.deadline = trio.current_time() + tail
        self._done.set()
        self._decided.set()
        self._read_all.set()

    async def _find_offset(self, conversation_id: str, connected_at: float) -> None:
        started_at = await self._lookup.started_at(conversation_id)
        if started_at is not None and started_at < connected_at - JUST_NOW:
            self._offset = time.time() - self._sent.wall() - started_at

    async def _find_names(self) -> None:
        self._transcript.names.update(await self._lookup.names())

    def _choose_view(self, as_json: bool) -> View:
        console = Console()
        if as_json:
            return JsonView(self._sent)
        if console.is_terminal:
            return LiveView(self._transcript, self._sent, self._recording.seconds, console)
        return PlainView(self._transcript, self._errors)

    def _verdict(self, closed: ListenClosed | None, tail: float) -> int:
        """The exit status, with a sentence when something is amiss."""
        if closed is not None and not self._flushed:
            done = f"{self._sent.position:.1f} of {self._recording.seconds:.1f} s had been sent"
            self._say("error", f"{closed}; {done}")
            return FAILED
        if not self._flushed:
            self._say(
                "warning", f"the server did not say that all is transcribed; waited {tail:g} s for more"
            )
        return OK

    def _say(self, kind: str, text: str) -> None:
        self._errors.print(f"{kind}: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)
