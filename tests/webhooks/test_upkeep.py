"""The log is pruned and what waits is counted, also after the database was away."""

import trio
import trio.testing

from engine._config_webhooks import Webhook
from engine.moments import DAY
from engine.store.errors import DatabaseUnavailable
from engine.webhooks.upkeep import COUNT_INTERVAL, PRUNE_INTERVAL, Upkeep

NOW = 1_750_000_000_000_000


class Kept:
    """A log with something to be forgotten in three portions; away at first, if it is told so."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.pruned: list[tuple[int, int]] = []
        self.left = 3

    async def waiting(self) -> int:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise DatabaseUnavailable("locked")
        return 7

    async def prune(self, before: int, keep: int) -> int:
        await trio.lowlevel.checkpoint()
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable("locked")
        self.pruned.append((before, keep))
        self.left = max(self.left - 1, 0)
        return self.left


async def test_old_deliveries_are_forgotten_portion_by_portion(
    autojump_clock: trio.testing.MockClock,
) -> None:
    kept = Kept(away=0)
    upkeep = Upkeep(kept, Webhook(log_days=2.0, log_limit=5), lambda: NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upkeep.run)
        await trio.sleep(1)
        assert kept.pruned == [(NOW - 2 * DAY, 5)] * 3
        assert upkeep.waiting == 7
        nursery.cancel_scope.cancel()


async def test_a_database_that_was_away_is_asked_again(autojump_clock: trio.testing.MockClock) -> None:
    kept = Kept(away=1)
    upkeep = Upkeep(kept, Webhook(), lambda: NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upkeep.run)
        await trio.sleep(COUNT_INTERVAL + 1)
        assert kept.pruned == []
        await trio.sleep(PRUNE_INTERVAL)
        assert len(kept.pruned) == 3
        assert upkeep.waiting == 7
        nursery.cancel_scope.cancel()
