"""Blobs that nothing refers to any more: erased by a job, as often as it takes.

Operations: `erase_later`, in the transaction that removes what referred to them; then the job of `ERASE_BLOBS` takes
`waiting` ones, erases them and says so with `done`.
Invariants: a blob that lost what referred to it is in the table until it is erased, whoever dies meanwhile; a user has
a job while there are any. Erasing twice does no harm.
Bounded: `AT_ONCE` blobs a job.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec
from sqlalchemy import Connection, and_, delete, select, tuple_

from engine.store.blob_places import BlobPlaces
from engine.store.database import Database, WallClock, upsert
from engine.store.errors import ClaimLost
from engine.store.jobs import Job, add, finish
from engine.store.tables import blob_erasures

__all__ = ["ERASE_BLOBS", "BlobErasures", "erase_later"]

ERASE_BLOBS = "erase_blobs"
"""The kind of job that erases a user's blobs that are in the table."""
KEY = "blobs"
AT_ONCE = 500


class DoomedBlob(msgspec.Struct, frozen=True):
    """One to be erased."""

    place: str
    name: str


class BlobErasures:
    """What is to be erased, of all users."""

    def __init__(self, database: Database, places: BlobPlaces, now: WallClock) -> None:
        self._database = database
        self._places = places.all()
        self._now = now

    async def erase(self, job: Job) -> int:
        """Erase those of the job's user and end it; how many there were.

        Raises `BlobsUnavailable`, `ClaimLost`; then they are still in the table.
        """
        doomed = await self._database.read(_waiting, job.uid)
        for place, group in groupby(doomed, key=lambda blob: blob.place):
            blobs = self._places.get(place)
            if blobs is not None:  # else its bucket is not configured any more
                await blobs.delete(job.uid, *(blob.name for blob in group))
        await self._database.write(_done, job, doomed, self._now())
        return len(doomed)


def erase_later(
    connection: Connection, uid: str, names: Iterable[str], now: int, *, place: str = "main"
) -> None:
    """Have these blobs of a user's erased soon. For use in another's transaction; then wake the job runner."""
    rows = [{"uid": uid, "place": place, "name": name, "created_at": now} for name in names]
    if not rows:
        return
    connection.execute(upsert(connection.dialect.name, blob_erasures).on_conflict_do_nothing(), rows)
    add(connection, _job(uid, now))


def _job(uid: str, now: int) -> Job:
    return Job(uid=uid, kind=ERASE_BLOBS, key=KEY, created_at=now, due_at=now)


def _waiting(connection: Connection, uid: str) -> list[DoomedBlob]:
    of = blob_erasures.c
    query = select(of.place, of.name).where(of.uid == uid).order_by(of.place, of.name).limit(AT_ONCE)
    return [DoomedBlob(place, name) for place, name in connection.execute(query)]


def _done(connection: Connection, job: Job, erased: Sequence[DoomedBlob], now: int) -> None:
    if not finish(connection, job):
        raise ClaimLost(job.key)
    of = blob_erasures.c
    keys = [(blob.place, blob.name) for blob in erased]
    connection.execute(
        delete(blob_erasures).where(and_(of.uid == job.uid, tuple_(of.place, of.name).in_(keys)))
    )
    if connection.execute(select(of.name).where(of.uid == job.uid).limit(1)).first():
        add(connection, _job(job.uid, now))  # more than one job takes, or added meanwhile
