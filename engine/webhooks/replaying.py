"""Sending again what has ended, since a time: what can be, for of audio only so much is kept."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import msgspec

from engine.store.deliveries import DeliveryFilter
from engine.store.webhook_records import DeliveryRow

__all__ = ["Replayed", "replay_since"]

PAGE = 500


class Log(Protocol):
    """What this needs of the store; `engine.store.deliveries` says what each does."""

    async def ended(
        self, uid: str, chosen: DeliveryFilter, *, limit: int, offset: int = 0
    ) -> Sequence[DeliveryRow]:
        """A page of those chosen that may be sent again, the oldest first, their bodies left out."""
        ...

    async def replay(self, uid: str, *ids: str) -> int:
        """Send these again, those that have ended; how many. A file may be gone by then: its log says so."""
        ...


class Replayed(msgspec.Struct, frozen=True):
    """So many deliveries are sent again (`count`); of so many the audio is not kept any more (`gone`)."""

    count: int
    gone: int = 0


async def replay_since(
    log: Log,
    gone: Callable[[Sequence[str]], Awaitable[Collection[str]]],
    uid: str,
    chosen: DeliveryFilter,
    limit: int,
) -> Replayed:
    """Send again what has ended of those chosen, the oldest first, at most `limit`, a portion a transaction.

    `gone` says which files are not there. Cancelled, it has sent some again.
    """
    there: list[str] = []
    seen = 0
    while len(there) < limit:
        rows = await log.ended(uid, chosen, limit=min(PAGE, limit - len(there)), offset=seen)
        if not rows:
            break
        seen += len(rows)
        lost = await gone([row.file for row in rows if row.file is not None])
        there += [row.id for row in rows if row.file not in lost]
    count = 0
    for first in range(0, len(there), PAGE):
        count += await log.replay(uid, *there[first : first + PAGE])
    return Replayed(count, seen - len(there))
