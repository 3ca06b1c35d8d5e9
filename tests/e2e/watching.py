"""What a server logs, as events to wait for: its own account of sessions, ledgers and conversations."""

import io
import logging
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import msgspec
import trio

from engine.audio.ledger import LedgerSnapshot
from engine.log import configure_logging
from tests.patience import PATIENCE

Entry = dict[str, Any]


class ServerLog:
    """The lines so far, and a wait for those to come."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._news = trio.lowlevel.ParkingLot()

    def add(self, entry: Entry) -> None:
        """In the loop's thread."""
        self.entries.append(entry)
        self._news.unpark_all()

    async def read(self, lines: AsyncIterable[bytes | bytearray]) -> None:
        """Take JSON lines from a process until it ends; other lines are kept under `text`."""
        rest = b""
        async for data in lines:
            *whole, rest = (rest + bytes(data)).split(b"\n")
            for line in whole:
                try:
                    self.add(msgspec.json.decode(line, type=Entry))
                except msgspec.DecodeError:
                    self.add({"event": "", "text": line.decode(errors="replace")})

    def all(self, event: str, **fields: Any) -> list[Entry]:
        """Those of `event` whose fields are these."""
        return [
            entry
            for entry in self.entries
            if entry["event"] == event and all(entry.get(key) == value for key, value in fields.items())
        ]

    async def until(self, event: str, *, count: int = 1, **fields: Any) -> list[Entry]:
        """Wait until `count` such lines are there."""
        with trio.fail_after(PATIENCE):
            while len(found := self.all(event, **fields)) < count:
                await self._news.park()
        return found

    async def each(self, *events: str) -> AsyncIterator[Entry]:
        """The lines of `events`, from the first on, as they come; without end."""
        at = 0
        while True:
            while at < len(self.entries):
                at += 1
                if self.entries[at - 1]["event"] in events:
                    yield self.entries[at - 1]
            await self._news.park()

    def ledgers(self) -> dict[str, LedgerSnapshot]:
        """The final ledger of each session that has ended, by session."""
        return {
            entry["session"]: msgspec.convert(entry["ledger"], LedgerSnapshot)
            for entry in self.all("session.ended")
        }

    def troubles(self) -> list[Entry]:
        """Lines that say the server itself is at fault."""
        return [entry for entry in self.entries if entry.get("level") == "error" or "exception" in entry]


class _Lines(io.TextIOBase):
    """Where the process's log is written, from any thread."""

    def __init__(self, log: ServerLog) -> None:
        self._log = log
        self._token = trio.lowlevel.current_trio_token()

    def write(self, text: str) -> int:
        for line in text.splitlines():
            self._token.run_sync_soon(self._log.add, msgspec.json.decode(line, type=Entry))
        return len(text)


@contextmanager
def captured() -> Iterator[ServerLog]:
    """What this process logs while the block runs."""
    log = ServerLog()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("json", "info", cast(IO[str], _Lines(log)))
    try:
        yield log
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
