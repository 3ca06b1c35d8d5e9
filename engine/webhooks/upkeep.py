"""What is done for the log of deliveries beside delivering: old ones are forgotten, waiting ones counted.

Operations: `run` works until cancelled; `waiting` is what was counted last.
Bounded: a transaction forgets a portion.
Cost: a count every `COUNT_INTERVAL`, a look through what has ended every `PRUNE_INTERVAL`.
"""

from collections.abc import Callable
from typing import Protocol

import trio

from engine._config_webhooks import Webhook
from engine.log import get_logger
from engine.moments import DAY
from engine.store.errors import DatabaseUnavailable

__all__ = ["Log", "Upkeep"]

log = get_logger(__name__)

PRUNE_INTERVAL = 600.0
COUNT_INTERVAL = 5.0


class Log(Protocol):
    """What this needs of the store; `engine.store.deliveries` says what each does."""

    async def waiting(self) -> int:
        """How many deliveries are pending, of all users."""
        ...

    async def prune(self, before: int, keep: int) -> int:
        """Forget what ended before `before` (µs) and, of each endpoint, all but the latest `keep`; how many."""
        ...


class Upkeep:
    """One per process. `now`: µs since the epoch."""

    def __init__(self, kept: Log, settings: Webhook, now: Callable[[], int]) -> None:
        self.waiting = 0
        self._kept = kept
        self._settings = settings
        self._now = now

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._prune)
            nursery.start_soon(self._count)

    async def _prune(self) -> None:
        while True:
            try:
                before = self._now() - round(self._settings.log_days * DAY)
                while await self._kept.prune(before, self._settings.log_limit):
                    pass
            except DatabaseUnavailable as error:
                log.info("webhooks.not_pruned", error=str(error))
            await trio.sleep(PRUNE_INTERVAL)

    async def _count(self) -> None:
        while True:
            try:
                self.waiting = await self._kept.waiting()
            except DatabaseUnavailable as error:
                log.info("webhooks.not_counted", error=str(error))
            await trio.sleep(COUNT_INTERVAL)
