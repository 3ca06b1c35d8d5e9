"""What happened to received audio, as it is told to programs: the latest events of each user.

Operations: `add` events, which get the numbers that follow; `after` a number; `expire` what is old.
Invariants: a user's events are numbered without a gap in the order in which they were added, from 1 or, when none was
kept any more, again from 1.
Bounded: `MOST` events of a user, and `MOST_BYTES` unless one alone has more.
Cost: two statements and one row each for every user in a batch.
"""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from engine.store.database import Database
from engine.store.tables import received_events

__all__ = ["MOST", "EventsAfter", "ReceivedEvents"]

MOST = 256
MOST_BYTES = 4 * 2**20


class EventsAfter(msgspec.Struct, frozen=True, kw_only=True):
    """`bodies` in their order, the last of which has the number `last`; `missed` are not kept any more."""

    bodies: Sequence[bytes]
    last: int
    missed: int


class ReceivedEvents:
    """Of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, events: Mapping[str, Sequence[bytes]], now: int) -> None:
        """Events by uid, each a JSON object. `now`: µs since the epoch."""
        await self._database.write(_add, events, now)

    async def after(self, uid: str, number: int) -> EventsAfter:
        """Those after `number`; all there are when that is more than the last one's."""
        return await self._database.read(_after, uid, number)

    async def expire(self, before: int) -> int:
        """Erase those from before that time (µs); how many."""
        return await self._database.write(_expire, before)


def _add(connection: Connection, events: Mapping[str, Sequence[bytes]], now: int) -> None:
    of = received_events.c
    for uid, bodies in sorted(events.items()):
        known = select(of.number, func.length(of.body)).where(of.uid == uid).order_by(of.number.desc())
        sizes = [(int(number), int(size)) for number, size in connection.execute(known)]
        last = sizes[0][0] if sizes else 0
        new = list(enumerate(bodies, last + 1))
        oldest = _oldest_kept([(number, len(body)) for number, body in new[::-1]] + sizes)
        rows = [
            {"uid": uid, "number": number, "body": body, "created_at": now}
            for number, body in new
            if number >= oldest
        ]
        connection.execute(insert(received_events), rows)
        connection.execute(delete(received_events).where(of.uid == uid, of.number < oldest))


def _oldest_kept(sizes: Sequence[tuple[int, int]]) -> int:
    """The number from which on events are kept; `sizes`, the latest first, are number and bytes."""
    total, oldest = 0, sizes[0][0]
    for number, size in sizes[:MOST]:
        total += size
        if total > MOST_BYTES and number != oldest:
            break
        oldest = number
    return oldest


def _after(connection: Connection, uid: str, number: int) -> EventsAfter:
    of = received_events.c
    query = select(of.number, of.body).where(of.uid == uid).order_by(of.number)
    last = connection.execute(select(func.max(of.number)).where(of.uid == uid)).scalar() or 0
    found = connection.execute(query.where(of.number > (number if number <= last else 0))).all()
    missed = found[0].number - 1 - number if found else 0
    return EventsAfter(bodies=[bytes(row.body) for row in found], last=last, missed=max(0, missed))


def _expire(connection: Connection, before: int) -> int:
    return connection.execute(delete(received_events).where(received_events.c.created_at < before)).rowcount
