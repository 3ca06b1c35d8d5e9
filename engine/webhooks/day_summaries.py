"""Summarises each user's day when their hour comes, and tells their webhooks.

    minute 0 of every hour (UTC) --> who is due --> lock and job, one commit --> summary kept --> delivery offered

Operations: `Schedule.run` finds who is due; `SummaryMaker` does the jobs.
Invariants: a user's day is locked before anything is read for its summary, and the job is in the same commit: what was
begun is done, by whichever process, though this one dies. A summary is kept once for each user and day, and its
delivery is known by that day, so doing a job twice makes neither a second summary nor a second delivery.
What is due: every local hour that was reached since the last hour that any process has covered. So hours that no server
saw are made up for, up to `day_summary.catch_up` later; the summary is still of the day it would have been of. Local
hours are reached at minute 30 or 45 in some zones, and are due at the next minute 0. While a conversation of the day is
being processed its summary waits, `day_summary.wait_for_processing` in all. A clock that is set back makes
nothing come twice; one that was far ahead and is right again does not leave a gap longer than that.
Bounded: one page of users in memory, `day_summary.parallel` summaries at once.
Cost: in each hour one query for each time zone that users have, and one for each page of those who are due.
Known doubts: machines that share a database need clocks that agree to within `day_summary.lock_time`. What is said
between a user's hour and midnight is in no scheduled summary, as with the Omi backend.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal, Protocol

import msgspec
import trio

from engine._config_day_summary import DaySummary as Settings
from engine.conversation.day_summary import Day, day_bounds, occasions, summary_id
from engine.conversation.llm.port import LlmError, LlmRefused
from engine.conversation.zones import zone_of
from engine.log import get_logger
from engine.moments import SECOND, instant
from engine.off_loop import OffLoop
from engine.store.day_summaries import Due
from engine.store.errors import ClaimLost, DatabaseUnavailable
from engine.store.jobs import Job
from engine.store.user_records import DaySummaryRow, UserRow

__all__ = ["Schedule", "SummaryMaker", "webhook_body"]

log = get_logger(__name__)

HOUR = 3600 * SECOND
LOOK = 60.0
"""Longest pause (s) between two looks at the wall clock: it may be set, and a machine that slept finds it moved."""


class Clock(Protocol):
    """Microseconds since the epoch, UTC."""

    def __call__(self) -> int: ...


class Calendar(Protocol):
    """Who is to have a summary, and how far that is done. `engine.store.day_summaries` says what each does."""

    async def covered(self) -> int | None:
        """Up to when (µs) the schedule has begun all that was due; None: it never ran."""
        ...

    async def cover(self, until: int) -> None:
        """The schedule has begun all that was due up to `until` (µs)."""
        ...

    async def zones(self) -> Sequence[str]:
        """The names of the time zones that users have."""
        ...

    async def due(self, zone: str, hour: int, start: int, end: int, *, after: str = "") -> Sequence[str]:
        """The next `PAGE` users after the uid `after` who have that zone and want a summary at that hour."""
        ...

    async def begin(self, uids: Sequence[str], day: Due, seconds: float, patience: float) -> Sequence[str]:
        """Have that day's summary made for these users, and lock it for `seconds`; those for whom it was not."""
        ...


class Summaries(Protocol):
    """Where summaries are kept."""

    async def get(self, uid: str, id: str) -> DaySummaryRow | None:
        """The row, or None."""
        ...

    async def keep_scheduled(self, job: Job, row: DaySummaryRow) -> DaySummaryRow:
        """Keep what the schedule's `job` made; what is kept then. Raises `ClaimLost`."""
        ...


class Jobs(Protocol):
    """Jobs that end."""

    async def done(self, job: Job) -> bool:
        """It is done and forgotten; False when the claim was lost."""
        ...

    async def failed(self, job: Job, error: str) -> bool:
        """It did not work and is not tried again, but kept to be looked at. False when the claim was lost."""
        ...


class Users(Protocol):
    """What users have set."""

    async def get(self, uid: str) -> UserRow:
        """What the user has set, or the defaults."""
        ...


class Shelves(Protocol):
    """What `engine.store.Store` has of all these."""

    @property
    def day_summaries(self) -> Summaries: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def users(self) -> Users: ...


class Writer(Protocol):
    """Who writes summaries. `engine.conversation.day_summary.Summarizer` is one."""

    async def day(self, uid: str, day: date) -> Day | None:
        """A user's day, in their time zone; None when nothing was said in it that may be read."""
        ...

    async def write(self, uid: str, day: Day, *, plain: bool = False) -> DaySummaryRow:
        """The summary of a day; `plain`: without asking the model. Raises `LlmError`."""
        ...


class Deliveries(Protocol):
    """Who tells webhooks. `engine.webhooks.ports.Deliveries` says more."""

    async def offer(self, uid: str, trigger: Literal["day_summary"], body: bytes, *, key: str) -> int:
        """Tell all who want to know; offering again what has the same key does no harm."""
        ...


class Schedule:
    """One per process. `wake` is called when there are jobs to do."""

    def __init__(
        self,
        calendar: Calendar,
        settings: Settings,
        now: Clock,
        off_loop: OffLoop,
        wake: Callable[[], None],
    ) -> None:
        self._calendar = calendar
        self._settings = settings
        self._now = now
        self._off_loop = off_loop
        self._wake = wake

    async def run(self) -> None:
        """Work until cancelled. Cancelled between two users, the rest is begun by whoever runs next."""
        done: int | None = None
        while True:
            hour = self._now() // HOUR * HOUR
            if hour != done:
                try:
                    await self._come(hour)
                    done = hour
                except DatabaseUnavailable as error:
                    log.warning("day_summary.waiting_for_database", error=str(error))
            to_next = HOUR - self._now() % HOUR
            await trio.sleep(min(to_next / SECOND, LOOK))

    async def _come(self, hour: int) -> None:
        """Begin all that is due at `hour` and was not yet."""
        covered = await self._calendar.covered()
        since = hour - HOUR if covered is None or covered > hour else covered
        earliest = hour - max(round(self._settings.catch_up * SECOND), HOUR)
        if since < earliest:
            hours = (earliest - since) // HOUR
            log.warning("day_summary.hours_missed", since=instant(since).isoformat(), hours=hours)
            since = earliest
        if since == hour:
            log.info(
                "day_summary.hour", hour=instant(hour).isoformat(), begun=0
            )  # another process came first
            return
        begun = 0
        for name in await self._calendar.zones():
            zone = await self._off_loop(zone_of, name)
            for occasion in await self._off_loop(occasions, zone, since, hour):
                day = Due(occasion.date.isoformat(), *day_bounds(occasion.date, zone))
                begun += await self._begin(name, occasion.hour, day)
        await self._calendar.cover(hour)
        log.info("day_summary.hour", hour=instant(hour).isoformat(), begun=begun)

    async def _begin(self, zone: str, hour: int, day: Due) -> int:
        begun, after, settings = 0, "", self._settings
        while uids := await self._calendar.due(zone, hour, day.start, day.end, after=after):
            begun += len(
                await self._calendar.begin(uids, day, settings.lock_time, settings.wait_for_processing)
            )
            self._wake()
            after = uids[-1]
        return begun


class SummaryMaker:
    """Does the jobs that the schedule has left: implements `engine.conversation.job_runner.Handler`.

    `tries`: so often a model that cannot be reached is asked, then the summary is written by rules.
    """

    def __init__(
        self, shelves: Shelves, writer: Writer, deliveries: Deliveries, now: Clock, tries: int
    ) -> None:
        self._shelves = shelves
        self._writer = writer
        self._deliveries = deliveries
        self._now = now
        self._tries = tries

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        outcome = "disabled"
        if (await self._shelves.users.get(job.uid)).daily_summary_enabled:
            row = await self._made(job)
            outcome = "empty" if row is None else "completed"
            if row is not None:
                body = webhook_body(row, self._now())
                await self._deliveries.offer(job.uid, "day_summary", body, key=row.date)
        if not await self._shelves.jobs.done(job):
            raise ClaimLost(job.key)
        return outcome

    async def _made(self, job: Job) -> DaySummaryRow | None:
        """The summary, once only; None where there is nothing to tell."""
        uid, date_ = job.uid, date.fromisoformat(job.key)
        kept = await self._shelves.day_summaries.get(uid, summary_id(uid, date_))
        if kept is not None and kept.scheduled:
            return kept
        day = await self._writer.day(uid, date_)
        if day is None:
            return None
        try:
            row = await self._writer.write(uid, day)
        except LlmError as error:
            if not isinstance(error, LlmRefused) and job.failures + 1 < self._tries:
                raise
            log.warning("day_summary.without_model", reason=error.outcome)
            row = await self._writer.write(uid, day, plain=True)
        return await self._shelves.day_summaries.keep_scheduled(job, row)

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`."""
        if not await self._shelves.jobs.failed(job, reason):
            raise ClaimLost(job.key)

    async def after(self, job: Job) -> None:
        """See `Handler`. Nobody waits for it."""


def webhook_body(row: DaySummaryRow, now: int) -> bytes:
    """What a webhook is sent: the summary as an object, and as the text of a Python dict for older receivers."""
    return msgspec.json.encode(
        {
            "uid": row.uid,
            "created_at": instant(now).isoformat(timespec="microseconds"),
            "summary": str(row.summary),
            "summary_json": row.summary,
        }
    )
