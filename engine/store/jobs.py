r"""Work that is done once, whatever dies meanwhile: rows that are claimed for a while, and gone when they are done.

    add --> due --claim--> claimed --done--> gone
             ^               |  \--failed--> kept with its error until `revive` or `discard`
             +----retry------+
             +--claim ran out+

Operations: `add`, `claim`, `renew`, then one of `done`, `retry`, `failed`, `release`; `revive` and `discard` what has
failed; `next_due`, `find`, `counts` and `list_failed` to look. `finish` does what `done` does inside somebody else's
transaction, so that the work's result and its end are one commit: then it takes effect once.
Invariants: a job is known by its user, kind and key, and adding one that is there changes nothing. A claim is good
until `due_at`, which is moved ahead by it: a job whose owner died is due again by itself. `attempts` grows with
each claim and is the claim's token: whoever was too slow has lost it, and can neither end nor prolong the job.
Bounded by what is added; a claim takes at most `limit` jobs.
Cost: a commit each.
Known doubts: machines that share a database need clocks that agree to within a fraction of the time a claim runs.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, select, update

from engine.moments import SECOND
from engine.store.database import Database, WallClock, upsert
from engine.store.tables import jobs

__all__ = ["ERASE", "PROCESS", "TELL", "Job", "Jobs", "add", "discard", "fail", "finish", "is_claimed"]

PROCESS = "process"
"""The kind of job that processes the conversation whose id is its key; `force` in the payload: never discard it."""
ERASE = "erase"
"""The kind of job that erases the deleted conversation whose id is its key."""
TELL = "tell"
"""The kind of job that tells others of the conversation whose id is its key, once, after it was first processed."""

LEARN = "learn"
"""The kind of job that learns voices from what somebody has named in the conversation whose id is its key."""

ERROR_CHARACTERS = 500
"""An error's text is cut after so many."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work. Times in µs since the epoch.

    `due_at`: when it may be claimed (again); None once it has failed for good. `attempts` counts claims, so also
    those whose owner died; `failures` counts what was tried and did not work since it was added or revived.
    """

    uid: str
    kind: str
    key: str
    payload: dict[str, Any] = {}
    created_at: int
    due_at: int | None
    attempts: int = 0
    failures: int = 0
    owner: str | None = None
    error: str | None = None
    failed_at: int | None = None


class Jobs:
    """All jobs. `seconds` is how long a claim is good; owners are named by themselves."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def add(
        self, uid: str, kind: str, key: str, payload: Mapping[str, Any] | None = None, *, delay: float = 0.0
    ) -> bool:
        """Have it done, in `delay` seconds; False when there is such a job already, which is left as it is."""
        now = self._now()
        job = Job(
            uid=uid,
            kind=kind,
            key=key,
            payload=dict(payload or {}),
            created_at=now,
            due_at=_after(now, delay),
        )
        return await self._database.write(add, job)

    async def claim(self, owner: str, kinds: Collection[str], seconds: float, limit: int) -> list[Job]:
        """Take at most `limit` jobs that are due, those that waited longest first."""
        now = self._now()
        return await self._database.write(_claim, owner, tuple(kinds), now, _after(now, seconds), limit)

    async def renew(self, job: Job, seconds: float) -> bool:
        """Keep it for `seconds` from now; False when it is somebody else's by now, or nobody's."""
        return await self._database.write(_change, job, {"due_at": _after(self._now(), seconds)})

    async def release(self, job: Job) -> bool:
        """Let another have it at once, as it was; False when the claim was lost."""
        return await self._database.write(_change, job, {"due_at": self._now(), "owner": None})

    async def done(self, job: Job) -> bool:
        """It is done and forgotten; False when the claim was lost."""
        return await self._database.write(finish, job)

    async def retry(self, job: Job, error: str, delay: float) -> bool:
        """It did not work; have it tried again in `delay` seconds. False when the claim was lost."""
        changes = {"due_at": _after(self._now(), delay), "owner": None} | _failure(job, error)
        return await self._database.write(_change, job, changes)

    async def failed(self, job: Job, error: str) -> bool:
        """It did not work and is not tried again, but kept to be looked at. False when the claim was lost."""
        return await self._database.write(fail, job, error, self._now())

    async def revive(self, uid: str, kind: str, key: str) -> bool:
        """Have a failed one tried from the beginning; False when there is none."""
        changes = {"due_at": self._now(), "failed_at": None, "failures": 0}
        return await self._database.write(_revive, uid, kind, key, changes)

    async def discard(self, uid: str, kind: str, key: str) -> bool:
        """Forget a job in whatever state; False when there is none. Who works on it has lost its claim."""
        return await self._database.write(discard, uid, kind, key)

    async def next_due(self, kinds: Collection[str]) -> int | None:
        """When the next one can be claimed (µs since the epoch, maybe in the past); None: nothing waits."""
        return await self._database.read(_next_due, tuple(kinds))

    async def find(self, uid: str, kind: str, key: str) -> Job | None:
        """One job, if it is not done."""
        return await self._database.read(_find, uid, kind, key)

    async def counts(self, kinds: Collection[str]) -> tuple[int, int]:
        """How many jobs of these kinds are to be done or being done, and how many have failed for good."""
        return await self._database.read(_counts, tuple(kinds))

    async def list_failed(self, uid: str | None = None, limit: int = 100) -> list[Job]:
        """What failed for good, the latest first, of one user or of all."""
        return await self._database.read(_list_failed, uid, limit)


def _after(now: int, seconds: float) -> int:
    return now + round(seconds * SECOND)


def _failure(job: Job, error: str) -> dict[str, Any]:
    return {"error": error[:ERROR_CHARACTERS], "failures": job.failures + 1}


def add(connection: Connection, job: Job) -> bool:
    """Insert `job` unless there is one of that user, kind and key. For use in another's transaction."""
    insert = upsert(connection.dialect.name, jobs).values(msgspec.structs.asdict(job))
    return bool(connection.execute(insert.on_conflict_do_nothing().returning(jobs.c.key)).all())


def note(connection: Connection, uid: str, kind: str, key: str, values: Mapping[str, Any]) -> None:
    """Add `values` to a job's payload, if there is one. For use in another's transaction."""
    payload = connection.execute(select(jobs.c.payload).where(_named(uid, kind, key))).scalar()
    if payload is not None:
        changed = update(jobs).where(_named(uid, kind, key)).values(payload={**payload, **values})
        connection.execute(changed)


def payload_of(connection: Connection, job: Job) -> Mapping[str, Any]:
    """What `job` has been told by now. For use in another's transaction."""
    told = connection.execute(select(jobs.c.payload).where(_named(job.uid, job.kind, job.key))).scalar()
    return told or {}


def finish(connection: Connection, job: Job) -> bool:
    """Remove `job` if the claim is still good; a caller who gets False must undo what it did: raise."""
    return bool(connection.execute(delete(jobs).where(_is_claimed(job)).returning(jobs.c.key)).all())


def is_claimed(connection: Connection, job: Job) -> bool:
    """Whether the claim is still good. For use in another's transaction."""
    return connection.execute(select(jobs.c.key).where(_is_claimed(job))).first() is not None


def fail(connection: Connection, job: Job, error: str, now: int) -> bool:
    """As `Jobs.failed`, at the time `now`. For use in another's transaction, which a False must undo."""
    return _change(connection, job, {"due_at": None, "owner": None, "failed_at": now} | _failure(job, error))


def _claim(
    connection: Connection, owner: str, kinds: tuple[str, ...], now: int, until: int, limit: int
) -> list[Job]:
    # `skip_locked` is PostgreSQL's; SQLite has one writer at a time anyway.
    due = select(jobs).where(jobs.c.kind.in_(kinds), jobs.c.due_at <= now)
    due = due.order_by(jobs.c.due_at).limit(limit).with_for_update(skip_locked=True)
    claimed = []
    for job in _jobs(connection, due):
        taken = msgspec.structs.replace(job, due_at=until, owner=owner, attempts=job.attempts + 1)
        changes = {"due_at": until, "owner": owner, "attempts": taken.attempts}
        connection.execute(update(jobs).where(_named(job.uid, job.kind, job.key)).values(changes))
        claimed.append(taken)
    return claimed


def _change(connection: Connection, job: Job, changes: Mapping[str, Any]) -> bool:
    statement = update(jobs).where(_is_claimed(job)).values(dict(changes))
    return bool(connection.execute(statement.returning(jobs.c.key)).all())


def _revive(connection: Connection, uid: str, kind: str, key: str, changes: Mapping[str, Any]) -> bool:
    statement = (
        update(jobs).where(_named(uid, kind, key), jobs.c.failed_at.is_not(None)).values(dict(changes))
    )
    return bool(connection.execute(statement.returning(jobs.c.key)).all())


def discard(connection: Connection, uid: str, kind: str, key: str) -> bool:
    """As `Jobs.discard`. For use in another's transaction."""
    statement = delete(jobs).where(_named(uid, kind, key)).returning(jobs.c.key)
    return bool(connection.execute(statement).all())


def _next_due(connection: Connection, kinds: tuple[str, ...]) -> int | None:
    return connection.execute(select(func.min(jobs.c.due_at)).where(jobs.c.kind.in_(kinds))).scalar()


def _counts(connection: Connection, kinds: tuple[str, ...]) -> tuple[int, int]:
    count = select(func.count(jobs.c.due_at), func.count(jobs.c.failed_at)).where(jobs.c.kind.in_(kinds))
    waiting, failed = connection.execute(count).one()
    return int(waiting), int(failed)


def _find(connection: Connection, uid: str, kind: str, key: str) -> Job | None:
    found = _jobs(connection, select(jobs).where(_named(uid, kind, key)))
    return found[0] if found else None


def _list_failed(connection: Connection, uid: str | None, limit: int) -> list[Job]:
    query = select(jobs).where(jobs.c.failed_at.is_not(None))
    if uid is not None:
        query = query.where(jobs.c.uid == uid)
    return _jobs(connection, query.order_by(jobs.c.failed_at.desc()).limit(limit))


def _jobs(connection: Connection, query: Select[Any]) -> list[Job]:
    return [Job(**row) for row in connection.execute(query).mappings()]


def _named(uid: str, kind: str, key: str) -> ColumnElement[bool]:
    return and_(jobs.c.uid == uid, jobs.c.kind == kind, jobs.c.key == key)


def _is_claimed(job: Job) -> ColumnElement[bool]:
    mine = and_(jobs.c.owner == job.owner, jobs.c.attempts == job.attempts)
    return and_(_named(job.uid, job.kind, job.key), mine)
