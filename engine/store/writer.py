"""Brings the database up to date behind the live sessions.

Operations: `open_journal` for a session, `submit` its records, `flush` until all so far are in the database,
`recover` at start-up, `run` as a task for as long as sessions live.
Invariants: nothing here delays a session. A journal is removed only after a commit that holds all its records
has been flushed to disk; killed before that, the next start replays it, and applying twice does no harm.
While the database takes no writes its changes wait, folded together, and the journals are flushed to disk
instead (while it does, the database's own flush covers them).
Bounded: `pending_limit` entries in memory. Above it records stay in their journals only, which are read back
when the database works again; what no journal holds is then refused (`WriterFull`).
Cost: a transaction every `write_interval` while anything changes; one thread at a time, one more for flushes.
Known doubts: a journal whose process died while another lived is replayed when `recover` is called next.
"""

import math
from collections.abc import Sequence

import msgspec
import trio

from engine.log import get_logger
from engine.moments import HOUR
from engine.off_loop import OffLoop
from engine.store.applier import Applier
from engine.store.batch import Batch
from engine.store.errors import DatabaseUnavailable, WriterFull
from engine.store.journal import FOLDER, Journal
from engine.store.records import JournalRecord, owner
from engine.store.recovery import Recovery, recover
from engine.store.replay import JournalReader, oldest
from engine.store.store import Store

FORGET_INTERVAL = 600.0
"""Seconds between two removals of marks that no journal needs any more."""
CLOCK_MARGIN = HOUR
"""Microseconds by which the wall clock may have been set back since a journal was opened."""

log = get_logger(__name__)


class WriterStatistics(msgspec.Struct, frozen=True):
    """`pending`: entries not in the database. `waiting_seconds`: how long the oldest has waited.

    `failing`: why the last try failed, None while the database takes writes. `rejected`: conversations and
    usage entries that the database refused for good (their journals are kept aside). `dropped`: times that
    changes came for a conversation that had been deleted.
    """

    pending: int
    waiting_seconds: float
    journals: int
    batches: int
    retries: int
    rejected: int
    dropped: int
    failing: str | None


class _Open(msgspec.Struct):
    """What the writer knows of a live journal."""

    last: int = 0  # number of its newest submission
    waiting_since: float = math.inf  # of the oldest record not in the database
    uids: set[str] = msgspec.field(default_factory=set)
    reread: bool = False  # holds records that are not in memory
    rejected: bool = False  # holds records that the database refused


class DatabaseWriter:
    """One per process. All intervals in seconds."""

    def __init__(
        self,
        store: Store,
        off_loop: OffLoop,
        *,
        write_interval: float = 0.2,
        sync_interval: float = 1.0,
        retry_initial: float = 0.1,
        retry_limit: float = 5.0,
        batch_limit: int = 500,
        pending_limit: int = 100_000,
    ) -> None:
        self.folder = store.data_dir / FOLDER
        self._store = store
        self._off_loop = off_loop
        self._write_interval = write_interval
        self._sync_interval = sync_interval
        self._applier = Applier(
            store.conversations.apply_batch,
            retry_initial=retry_initial,
            retry_limit=retry_limit,
            batch_limit=batch_limit,
            on_rejected=self._reject,
        )
        self._pending_limit = pending_limit
        self._pending = Batch()
        self._writing = 0  # entries taken out of `_pending`, not in the database yet
        self._journals: dict[Journal, _Open] = {}
        self._files = trio.Lock()  # a journal is not closed while another task flushes it
        self._submitted = self._applied = 0
        self._waiting_since = math.inf  # of the oldest entry not in the database
        self._work, self._urgent, self._progress = trio.Event(), trio.Event(), trio.Event()
        self._closed = False
        self._last_forget = -math.inf

    async def open_journal(self, session_id: str) -> Journal:
        """The journal of a new session; call its `end` when the session is over. Raises `JournalFull`."""
        journal = await Journal.create(self.folder, session_id, self._off_loop, now=self._store.now)
        self._journals[journal] = _Open()
        journal.when_ended(self._wake)
        return journal

    def submit(self, journal: Journal | None, records: Sequence[JournalRecord]) -> None:
        """Have `records` written to the database: those just appended to `journal`.

        With `journal` None (or one whose `append` has failed) they are in memory only until then. Raises
        `WriterFull` when there is no room for these, `ValueError` when `journal` is not open.
        """
        state = None if journal is None else self._journals.get(journal)
        if journal is not None and (state is None or journal.ended):
            raise ValueError(f"journal {str(journal.path)!r} is not open")
        if self._writing + len(self._pending) + len(records) <= self._pending_limit:
            for record in records:
                self._pending.add(record)
        elif journal is None or state is None or journal.statistics().failed:
            raise WriterFull(
                f"pending_limit: {self._pending_limit} entries wait for the database "
                f"({self._applier.failing}) and no journal holds all of these; "
                "free disk space in LISTEN_DATA_DIR"
            )
        else:
            state.reread = True
        self._wake()
        now = trio.current_time()
        self._waiting_since = min(self._waiting_since, now)
        if state is not None:
            state.last = self._submitted
            state.waiting_since = min(state.waiting_since, now)
            for record in records:
                state.uids.add(owner(record))

    def _wake(self) -> None:
        self._submitted += 1
        self._work.set()

    async def flush(self) -> None:
        """Wait until all that was submitted so far is in the database and ended journals are gone.

        While the database fails this does not return: give it a time limit. Cancellation loses nothing.
        Raises `trio.ClosedResourceError` once `run` has ended.
        """
        target = self._submitted
        self._urgent.set()
        while self._applied < target:
            if self._closed:
                raise trio.ClosedResourceError("the database writer has stopped")
            await self._progress.wait()
        await trio.lowlevel.checkpoint()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled. What is not written by then is in the journals, for the next start."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sync_forever)
                task_status.started()
                while True:
                    await self._work.wait()
                    with trio.move_on_after(self._write_interval):
                        await self._urgent.wait()
                    await self._write()
        finally:
            self._closed = True
            self._progress.set()
            for journal in self._journals:
                journal.close()

    async def _write(self) -> None:
        self._work, self._urgent = trio.Event(), trio.Event()
        batch, self._pending = self._pending, Batch()
        target, taken_at = self._submitted, trio.current_time()
        reread = [journal for journal, state in self._journals.items() if state.reread]
        for journal in reread:
            self._journals[journal].reread = False
        self._writing = len(batch)
        await self._applier.apply(batch)
        self._writing = 0
        for journal in reread:
            await self._reread(journal)
        self._applied = target
        self._waiting_since = taken_at if self._submitted > target else math.inf
        for state in self._journals.values():
            state.waiting_since = math.inf if state.last <= target else max(state.waiting_since, taken_at)
        await self._remove_ended()
        self._progress.set()
        self._progress = trio.Event()

    def _reject(self, batch: Batch) -> None:
        for state in self._journals.values():
            state.rejected |= not state.uids.isdisjoint(batch.uids())

    async def _reread(self, journal: Journal) -> None:
        try:
            reader = await self._off_loop(JournalReader, journal.path)
        except OSError as error:
            self._journals[journal].rejected = True
            log.error("journal.unreadable", path=str(journal.path), error=str(error))
            return
        try:
            await self._applier.apply_journal(reader, self._off_loop)
        finally:
            reader.close()

    async def _remove_ended(self) -> None:
        ended = {
            journal: state
            for journal, state in self._journals.items()
            if journal.ended and state.last <= self._applied and not state.reread
        }
        if not ended:
            return
        async with self._files:
            rejected = {journal for journal, state in ended.items() if state.rejected}
            await self._off_loop(_discard, list(ended), rejected)
            for journal in ended:
                del self._journals[journal]
        if trio.current_time() - self._last_forget >= FORGET_INTERVAL:
            await self._forget()

    async def _forget(self) -> None:
        before = int(min(self._store.now(), await self._off_loop(oldest, self.folder)))
        try:
            await self._store.forget(before - CLOCK_MARGIN)
        except DatabaseUnavailable as error:
            log.warning("store.forget_failed", error=str(error))  # the marks wait for the next time
        else:
            self._last_forget = trio.current_time()

    async def _sync_forever(self) -> None:
        # Looking twice an interval, at what has waited half of it: none waits longer than the interval.
        while True:
            await trio.sleep(self._sync_interval / 2)
            due = trio.current_time() - self._sync_interval / 2
            async with self._files:
                late = [
                    journal
                    for journal, state in self._journals.items()
                    if state.waiting_since <= due and journal.unsynced
                ]
                if late:
                    await self._off_loop(_sync, late)

    async def recover(self) -> Recovery:
        """Write what earlier processes left in their journals; call before reporting ready.

        Journals of live sessions (also of another process) are left alone. A damaged one, or one with records
        that the database refuses, is renamed, so that an operator can look into it; one of a later release
        stays. Waits, trying again, while the database takes no writes.
        """
        return await recover(self.folder, self._applier, self._off_loop)

    def statistics(self) -> WriterStatistics:
        """How far the database is behind, and why."""
        return WriterStatistics(
            pending=self._writing + len(self._pending),
            waiting_seconds=max(0.0, trio.current_time() - self._waiting_since),
            journals=len(self._journals),
            batches=self._applier.batches,
            retries=self._applier.retries,
            rejected=self._applier.rejected,
            dropped=self._applier.dropped,
            failing=self._applier.failing,
        )


def _sync(journals: Sequence[Journal]) -> None:
    for journal in journals:
        try:
            journal.flush()
        except OSError as error:
            log.error("journal.sync_failed", path=str(journal.path), error=str(error))


def _discard(journals: Sequence[Journal], rejected: set[Journal]) -> None:
    for journal in journals:
        try:
            if journal in rejected:
                journal.keep_aside(".rejected")
            else:
                journal.discard()
        except OSError as error:  # the next start replays it, which does no harm
            log.warning("journal.not_removed", path=str(journal.path), error=str(error))
            journal.close()
