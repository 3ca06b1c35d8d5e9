"""Erases what was received once it is too old or too much, the oldest first, and finishes what a crash left.

Operations: `run` until cancelled; `sweep` once.
Invariants: a file's bytes go before its row, so that nothing is left which nobody knows of.
Bounded: `BATCH` rows in memory. Several processes may sweep one store: erasing twice does no harm.
Cost: an aggregate over the rows of what is kept, every `sweep_interval`.
"""

from collections import Counter
from collections.abc import Sequence

import trio

from engine._config_receiver import Receiver as Settings
from engine.log import get_logger
from engine.moments import DAY
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.received import Aged, Received
from engine.store.received_events import ReceivedEvents
from engine.store.received_records import ReceivedTotals
from engine.webhooks.receiver.archive import Archive
from engine.webhooks.receiver.ports import Blobs, Clock

__all__ = ["Keeper"]

log = get_logger(__name__)

BATCH = 100
MIB = 2**20


class Keeper:
    """One per process. `totals` are those of all users, when last looked at; `erased` counts by reason."""

    def __init__(
        self,
        received: Received,
        events: ReceivedEvents,
        blobs: Blobs,
        archive: Archive,
        settings: Settings,
        now: Clock,
    ) -> None:
        self.totals = ReceivedTotals()
        self.erased: Counter[str] = Counter()
        self.erased_bytes = 0
        self._received = received
        self._events = events
        self._blobs = blobs
        self._archive = archive
        self._settings = settings
        self._now = now

    async def run(self) -> None:
        """Sweep now and every `sweep_interval`, until cancelled."""
        while True:
            try:
                await self.sweep()
            except (OSError, DatabaseUnavailable, BlobsUnavailable) as error:
                log.warning("receiver.sweep_failed", error=str(error))
            await trio.sleep(self._settings.sweep_interval)

    async def sweep(self) -> None:
        """Finish what was left, erase what is too old, then what is too much. Raises what the stores do."""
        recovered = await self._archive.recover()
        await self._expire()
        if limit := round(self._settings.user_quota_mib * MIB):
            for uid, size in await self._received.over_quota(limit):
                await self._shrink(uid, size - limit)
        self.totals = await self._received.totals()
        limit = round(self._settings.quota_mib * MIB)
        if limit and self.totals.bytes > limit:
            await self._shrink(None, self.totals.bytes - limit)
            self.totals = await self._received.totals()
        log.info("receiver.swept", recovered=recovered, erased=sum(self.erased.values()))

    async def _expire(self) -> None:
        if not self._settings.retention_days:
            return
        before = self._now() - round(self._settings.retention_days * DAY)
        while rows := await self._received.expired(before, BATCH):
            await self._erase(rows, "age")
        await self._events.expire(before)

    async def _shrink(self, uid: str | None, excess: int) -> None:
        """Erase at least `excess` bytes, of one user or of all."""
        while excess > 0 and (rows := await self._received.oldest(uid, BATCH)):
            chosen = []
            for row in rows:
                if excess <= 0:
                    break
                chosen.append(row)
                excess -= row.size
            await self._erase(chosen, "quota")

    async def _erase(self, rows: Sequence[Aged], reason: str) -> None:
        for row in rows:
            await self.erase(row)
            self.erased[reason] += 1
            self.erased_bytes += row.size

    async def erase(self, row: Aged) -> bool:
        """One file or message; whether it was there."""
        if row.name is None:
            return await self._received.messages.delete(row.uid, row.id)
        await self._blobs.delete(row.uid, row.name)
        return await self._received.files.delete(row.uid, row.id)
