"""What happens to audio that is received: results of processors, transcripts. For programs that want it at once.

Operations: `publish` and `publish_text`; `read` a user's events after those that one has, waiting for the next.
Invariants: nobody who publishes ever waits. A reader is told which events it has missed, and reads no other user's.
Bounded: the latest `EVENTS` of each of the `USERS` that had some last; older ones are gone.
"""

from collections import OrderedDict, deque
from typing import Any

import msgspec
import trio

from engine.webhooks.receiver.joining import Began

__all__ = ["EVENTS", "Events", "EventsRead"]

EVENTS = 256
USERS = 1000

_PINGS = ("ping", '{"type":"ping"}')


class EventsRead(msgspec.Struct, frozen=True, kw_only=True):
    """`events` in their order, each a JSON object. `next` is what to read after; `missed` were gone before that."""

    events: list[msgspec.Raw]
    next: int
    missed: int = 0


class _Latest:
    """One user's. `last` counts all there were."""

    def __init__(self) -> None:
        self.last = 0
        self.events: deque[bytes] = deque(maxlen=EVENTS)
        self.news = trio.Event()

    def after(self, seen: int) -> EventsRead:
        first = self.last - len(self.events)
        # Who has seen more than there is has seen those of a process that is gone.
        begin = seen if seen <= self.last else first
        found = list(self.events)[max(0, begin - first) :]
        return EventsRead(
            events=[msgspec.Raw(event) for event in found],
            next=self.last,
            missed=max(0, first - begin),
        )


class Events:
    """Those of all users of one process."""

    def __init__(self) -> None:
        self._users: OrderedDict[str, _Latest] = OrderedDict()

    def publish(self, session: Began, kind: str, **fields: Any) -> None:
        """Something about a session."""
        latest = self._of(session.uid)
        latest.events.append(msgspec.json.encode({"type": kind, "session_id": session.id, **fields}))
        latest.last += 1
        latest.news.set()
        latest.news = trio.Event()

    def publish_text(self, session: Began, text: str) -> None:
        """What a live session said to its client, which is a JSON value, or no event."""
        if text not in _PINGS:
            self.publish(session, "transcript", message=msgspec.Raw(text.encode()))

    async def read(self, uid: str, after: int = 0, wait: float = 0.0) -> EventsRead:
        """The user's events after number `after`, those kept; waits up to `wait` seconds while there are none."""
        deadline = trio.current_time() + wait
        while True:
            latest = self._of(uid)
            found = latest.after(after)
            if found.events or found.missed or trio.current_time() >= deadline:
                return found
            with trio.move_on_at(deadline):
                await latest.news.wait()

    def _of(self, uid: str) -> _Latest:
        latest = self._users.setdefault(uid, _Latest())
        self._users.move_to_end(uid)
        while len(self._users) > USERS:
            self._users.popitem(last=False)
        return latest
