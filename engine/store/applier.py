"""Writing batches to a database that may be locked, full or gone for a while.

Operations: `apply` a batch, `apply_journal` a whole file; both return only when it is done.
Invariants: a database that does not work is tried again, for ever; what it refuses for good is found, counted
and left out, so that it does not hold up the rest.
Cost: between two tries `retry_initial` to `retry_limit` seconds, doubling.
"""

from collections.abc import Awaitable, Callable

import trio
from sqlalchemy import exc

from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.batch import Batch
from engine.store.errors import DatabaseUnavailable
from engine.store.records import UsageAdded, UsageSoFar
from engine.store.replay import JournalReader

log = get_logger(__name__)


class Applier:
    """Counts are since the start; `failing` says why the last try failed, None while the database works."""

    def __init__(
        self,
        apply_batch: Callable[[Batch], Awaitable[int]],
        *,
        retry_initial: float,
        retry_limit: float,
        batch_limit: int,
        on_rejected: Callable[[Batch], None],
    ) -> None:
        self._apply_batch = apply_batch
        self._retry_initial = retry_initial
        self._retry_limit = retry_limit
        self._batch_limit = batch_limit
        self._on_rejected = on_rejected
        self.batches = self.retries = self.rejected = self.dropped = 0
        self.failing: str | None = None

    async def apply(self, batch: Batch) -> bool:
        """Write `batch`, `batch_limit` entries a transaction. False: some of it was refused for good."""
        accepted = [await self._apply(part) for part in batch.parts(self._batch_limit)]
        return all(accepted)

    async def apply_journal(self, reader: JournalReader, off_loop: OffLoop, *, died: bool = False) -> bool:
        """Write what is left in `reader`. False: some of it was refused for good. Raises `OSError`.

        `died`: nobody will write to it any more, so that the portion of usage that was not over counts as it is.
        """
        accepted = True
        open_portion: UsageSoFar | None = None
        while records := await off_loop(reader.read, self._batch_limit):
            for record in records:
                if isinstance(record, UsageSoFar):
                    open_portion = record
                elif isinstance(record, UsageAdded) and open_portion and record.id == open_portion.id:
                    open_portion = None
            accepted &= await self.apply(Batch.of(records))
        if died and open_portion is not None:
            accepted &= await self.apply(Batch.of([UsageAdded(open_portion.id, open_portion.row)]))
        return accepted

    async def _apply(self, batch: Batch) -> bool:
        wait = self._retry_initial
        while True:
            try:
                dropped = await self._apply_batch(batch)
            except DatabaseUnavailable as error:
                self._note_failure(error)
                await trio.sleep(wait)
                wait = min(wait * 2, self._retry_limit)
            except (exc.SQLAlchemyError, ValueError, TypeError, OverflowError) as error:
                # The fault is in what is written, not in the database's state: trying again cannot help.
                return await self._isolate(batch, error)
            else:
                self._note_success(dropped)
                return True

    async def _isolate(self, batch: Batch, error: Exception) -> bool:
        if len(batch.conversations) + len(batch.usage) > 1:
            accepted = [await self._apply(part) for part in batch.parts(1)]
            return all(accepted)
        self.rejected += 1
        self._on_rejected(batch)
        # Not the error's text: it may quote what was said.
        log.error("store.rejected", error=type(error).__name__, ids=[id for _, id in batch.ids()])
        return False

    def _note_failure(self, error: Exception) -> None:
        self.retries += 1
        if self.failing is None:
            log.warning("store.failing", error=str(error))
        self.failing = str(error)

    def _note_success(self, dropped: int) -> None:
        self.batches += 1
        self.dropped += dropped
        if self.failing is not None:
            log.info("store.working")
        self.failing = None
