"""What happens to audio that is received: results of processors, transcripts. For programs that want it at once.

Operations: `publish` and `publish_text`; `read` a user's events after those that one has, waiting for the next; `run`
keeps what was published, for readers of all processes.
Invariants: nobody who publishes ever waits. A reader is told which events it has missed, and reads no other user's.
An event is read once it is kept: after `events_delay` at most, while the database answers.
Bounded: `WAITING_BYTES` that are not kept yet: what more is published is dropped, and counted; what is kept as
`engine.store.received_events` says. An event of more than `EVENT_BYTES` is said without what it says.
Cost: a transaction every `events_delay` in which something was published; each reader that waits asks the database
when something was published here, and every `events_delay` where others publish too.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import trio

from engine._config_receiver import Receiver as Settings
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable
from engine.store.received_events import EventsAfter
from engine.stt.backoff import Backoff
from engine.webhooks.receiver.joining import Began
from engine.webhooks.receiver.ports import Clock

__all__ = ["EVENT_BYTES", "Events", "EventsRead", "KeptEvents"]

log = get_logger(__name__)

EVENT_BYTES = 2**18
WAITING_BYTES = 16 * 2**20

_PINGS = ("ping", '{"type":"ping"}')


class EventsRead(msgspec.Struct, frozen=True, kw_only=True):
    """`events` in their order, each a JSON object. `next` is what to read after; `missed` were gone before that."""

    events: list[msgspec.Raw]
    next: int
    missed: int = 0


class KeptEvents(Protocol):
    """Where events are kept. Both raise `DatabaseUnavailable`."""

    async def add(self, events: Mapping[str, Sequence[bytes]], now: int) -> None:
        """Number and keep events by uid."""
        ...

    async def after(self, uid: str, number: int) -> EventsAfter:
        """A user's events after `number`."""
        ...


class Events:
    """Those of all users. `shared`: other processes publish, too."""

    def __init__(self, kept: KeptEvents, settings: Settings, now: Clock, *, shared: bool = False) -> None:
        self.dropped = 0
        """Events for which there was no room."""
        self._kept = kept
        self._settings = settings
        self._now = now
        self._asks_every = settings.events_delay if shared else math.inf
        self._waiting: dict[str, list[bytes]] = {}
        self._bytes = 0
        self._published = trio.Event()
        self._news = trio.Event()

    def publish(self, session: Began, kind: str, **fields: Any) -> None:
        """Something about a session."""
        said = {"type": kind, "session_id": session.id}
        event = msgspec.json.encode(said | fields)
        if len(event) > EVENT_BYTES:
            event = msgspec.json.encode(said | {"left_out_bytes": len(event)})
        if self._bytes + len(event) > WAITING_BYTES:
            self.dropped += 1
            return
        self._waiting.setdefault(session.uid, []).append(event)
        self._bytes += len(event)
        self._published.set()

    def publish_text(self, session: Began, text: str) -> None:
        """What a live session said to its client, which is a JSON value, or no event."""
        if text not in _PINGS:
            self.publish(session, "transcript", message=msgspec.Raw(text.encode()))

    async def read(self, uid: str, after: int = 0, wait: float = 0.0) -> EventsRead:
        """The user's events after number `after`, those kept; waits up to `wait` seconds while there are none.

        Raises `DatabaseUnavailable`.
        """
        deadline = trio.current_time() + wait
        while True:
            news = self._news
            found = await self._kept.after(uid, after)
            if found.bodies or trio.current_time() >= deadline:
                events = [msgspec.Raw(body) for body in found.bodies]
                return EventsRead(events=events, next=found.last, missed=found.missed)
            with trio.move_on_at(min(deadline, trio.current_time() + self._asks_every)):
                await news.wait()

    async def run(self) -> None:
        """Keep what is published, until cancelled."""
        backoff = Backoff(self._settings.retry_initial, self._settings.retry_limit)
        while True:
            await self._published.wait()
            self._published = trio.Event()
            try:
                await self.keep()
                backoff.reset()
            except DatabaseUnavailable as error:
                log.warning("receiver.events_wait", error=str(error), dropped=self.dropped)
                await trio.sleep(backoff.next())
                self._published.set()
            await trio.sleep(self._settings.events_delay)

    async def keep(self) -> None:
        """Keep what was published so far. Raises `DatabaseUnavailable`: then it still waits."""
        batch, self._waiting = self._waiting, {}
        size, self._bytes = self._bytes, 0
        if not batch:
            return
        try:
            await self._kept.add(batch, self._now())
        except DatabaseUnavailable:
            for uid, events in self._waiting.items():
                batch.setdefault(uid, []).extend(events)
            self._waiting = batch
            self._bytes += size
            raise
        self._news.set()
        self._news = trio.Event()
