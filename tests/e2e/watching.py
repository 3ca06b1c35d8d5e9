"""What a server logs, as events to wait for: its own account of sessions, ledgers and conversations."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog
import trio

from engine.audio.ledger import LedgerSnapshot

Entry = dict[str, Any]


class ServerLog:
    """The lines so far, and a wait for those to come."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._news = trio.Event()

    def add(self, entry: Entry) -> None:
        """In the loop's thread."""
        self.entries.append(entry)
        self._news.set()

    async def read(self, lines: AsyncIterator[bytes]) -> None:
        """Take JSON lines from a process until it ends; other lines are kept under `text`."""
        rest = b""
        async for data in lines:
            *whole, rest = (rest + data).split(b"\n")
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
        """Wait until `count` such lines are there. Give it a time limit."""
        while len(found := self.all(event, **fields)) < count:
            self._news = trio.Event()
            await self._news.wait()
        return found

    def ledgers(self) -> dict[str, LedgerSnapshot]:
        """The final ledger of each session that has ended, by session."""
        return {
            entry["session"]: msgspec.convert(entry["ledger"], LedgerSnapshot)
            for entry in self.all("session.ended")
        }

    def troubles(self) -> list[Entry]:
        """Lines that say the server itself is at fault."""
        return [entry for entry in self.entries if entry.get("level") == "error" or "exc_info" in entry]


@contextmanager
def captured() -> Iterator[ServerLog]:
    """What this process logs through structlog while the block runs, from any thread."""
    log = ServerLog()
    token = trio.lowlevel.current_trio_token()

    def capture(_logger: object, level: str, entry: MutableMapping[str, Any]) -> Any:
        token.run_sync_soon(log.add, {**entry, "level": level})
        raise structlog.DropEvent

    # The list itself is changed: loggers that were used before hold on to it.
    processors = structlog.get_config()["processors"]
    before = processors.copy()
    processors[:] = [structlog.contextvars.merge_contextvars, capture]
    try:
        yield log
    finally:
        processors[:] = before
