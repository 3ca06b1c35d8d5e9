"""The pictures of conversations: each a row, its bytes a blob.

    add --> in its row --move--> a blob that the row names --> erased after the row

Operations: as `engine.store.owned`; `add` one, `move` those that are in rows, `shown` for rows read elsewhere.
Invariants: a picture is kept once its row is, with its bytes: a bucket that is away loses none, and delays nobody. A
row names a blob only after that was put. A job moves what is in rows, as often as it takes; rows of earlier releases
are moved by the same.
Bounded: a conversation has at most `MOST_PHOTOS`, which are read as a whole; a job has `AT_ONCE` in memory.
Cost: reading one asks its blob's place; all of a conversation's are asked for at once.
Known doubts: the blob of a picture whose conversation is erased in the moment in which it is moved stays, if the
process dies in that moment, until its user is erased.
"""

from collections.abc import Sequence
from functools import lru_cache

import trio
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Dialect, and_, bindparam, delete, func, select, update

from engine.store import jobs
from engine.store.blob_erasures import erase_later
from engine.store.blob_names import image_name
from engine.store.blobs import Blobs
from engine.store.database import Database, WallClock
from engine.store.errors import BlobMissing, BlobsUnavailable, ClaimLost, DatabaseUnavailable
from engine.store.jobs import Job
from engine.store.keyed import Key, by_uid
from engine.store.owned import Owned, put_rows
from engine.store.prepared import PreparedQuery, is_listed, listed
from engine.store.tables import conversations, photos
from engine.store.texts import index_ended
from engine.store.user_records import PhotoRow

__all__ = ["DESCRIBE", "MOST_PHOTOS", "MOVE", "Photos", "drop_photos", "photos_of"]

DESCRIBE = "describe_photo"
"""The kind of the jobs that have a model say what is to be seen; their key is the photo's id."""

MOVE = "move_photos"
"""The kind of the job that moves a user's pictures from rows to blobs."""
MOVE_KEY = "photos"
FOLDER = "photos"
AT_ONCE = 5

MOST_PHOTOS = 100
"""In one conversation."""
PHOTO_SOURCE = "openglass"
"""Where conversations with photos are said to come from, whatever their first session said."""


class Photos(Owned[PhotoRow]):
    """All photos."""

    def __init__(self, database: Database, blobs: Blobs, now: WallClock) -> None:
        super().__init__(database, photos, PhotoRow)
        self._blobs = blobs
        self._now = now

    async def get(self, uid: str, id: str) -> PhotoRow | None:
        """The row with its picture, or None. Raises as `shown`."""
        row = await super().get(uid, id)
        return next(iter(await self.shown([row])), None) if row is not None else None

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[PhotoRow]:
        """Those of one conversation, oldest first. Raises as `shown`."""
        key = uid, conversation_id
        found = await self._database.read(photos_of, [key])
        return await self.shown(found.get(key, ()))

    async def shown(self, rows: Sequence[PhotoRow]) -> list[PhotoRow]:
        """`rows`, each with its picture; without those whose picture was erased meanwhile.

        Raises `DatabaseUnavailable` when pictures cannot be read now: a row cannot be shown without, and whoever
        reads rows knows that this may pass.
        """
        pictures: dict[int, bytes | BlobsUnavailable] = {}
        async with trio.open_nursery() as nursery:
            for at, row in enumerate(rows):
                nursery.start_soon(self._read, at, row, pictures)
        found: list[PhotoRow] = []
        for at, row in enumerate(rows):
            match pictures.get(at):
                case bytes() as image:
                    found.append(replace(row, image=image))
                case BlobsUnavailable() as error:
                    raise DatabaseUnavailable(f"a picture cannot be read: {error}") from error
        return found

    async def _read(self, at: int, row: PhotoRow, into: dict[int, bytes | BlobsUnavailable]) -> None:
        if row.blob is None:
            into[at] = row.image
            return
        try:
            into[at] = await self._blobs.get(row.uid, row.blob)
        except BlobsUnavailable as error:
            into[at] = error
        except BlobMissing:
            return

    async def add(self, row: PhotoRow, *, describe: bool) -> bool:
        """Keep a picture, whose conversation comes from openglass from now on, and leave a job to move it.

        With `describe` leave one for that, too. False, with nothing kept, when the conversation is not there (any
        more) or has `MOST_PHOTOS`.
        """
        return await self._database.write(_add, row, describe)

    async def move(self, job: Job) -> int:
        """Move some of the pictures that are in rows of the job's user, and end it; how many.

        Raises `BlobsUnavailable`, `ClaimLost`; then they are where they were.
        """
        rows = await self._database.read(_in_rows, job.uid)
        named = {row.id: image_name(FOLDER, row.id, row.image) for row in rows}
        for row in rows:
            await self._blobs.put(row.uid, named[row.id], row.image)
        done, left = await self._database.write(_moved, job, named, self._now())
        await self._blobs.delete(job.uid, *left)
        if not done:
            raise ClaimLost(job.key)
        return len(rows)

    async def described(self, job: Job, description: str, discarded: bool) -> bool:
        """Keep what is to be seen on the picture that `job` is about and end the job; False when the claim was lost."""
        return await self._database.write(_described, job, description, discarded)


def photos_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[PhotoRow]]:
    """Those of each conversation (uid, id), oldest first, read in one query; pictures that are blobs are left out."""
    found: dict[Key, list[PhotoRow]] = {}
    query, dialect = _query(connection.dialect), connection.dialect.name
    for uid, ids in by_uid(keys).items():
        for values in query.mappings(connection, {"uid": uid, "ids": listed(ids, dialect)}):
            found.setdefault((uid, values["conversation_id"]), []).append(PhotoRow(**values))
    return found


@lru_cache(maxsize=8)
def _query(dialect: Dialect) -> PreparedQuery:
    of = photos.c
    of_these = and_(of.uid == bindparam("uid"), is_listed(of.conversation_id, dialect.name))
    return PreparedQuery(select(photos).where(of_these).order_by(of.created_at, of.id), dialect)


def _add(connection: Connection, row: PhotoRow, describe: bool) -> bool:
    of_it = photos.c.uid == row.uid, photos.c.conversation_id == row.conversation_id
    if connection.execute(select(func.count()).select_from(photos).where(*of_it)).scalar_one() >= MOST_PHOTOS:
        return False
    of = conversations.c
    there = of.uid == row.uid, of.id == row.conversation_id, of.deleted_at.is_(None)
    if not connection.execute(update(conversations).where(*there).values(source=PHOTO_SOURCE)).rowcount:
        return False
    put_rows(connection, photos, [row])
    _leave_job(connection, row.uid, MOVE, MOVE_KEY, row.created_at)
    if describe:
        _leave_job(connection, row.uid, DESCRIBE, row.id, row.created_at)
    return True


def _leave_job(connection: Connection, uid: str, kind: str, key: str, now: int) -> None:
    jobs.add(connection, Job(uid=uid, kind=kind, key=key, created_at=now, due_at=now))


def _still_in_row(uid: str) -> ColumnElement[bool]:
    return and_(photos.c.uid == uid, photos.c.blob.is_(None))


def _in_rows(connection: Connection, uid: str) -> list[PhotoRow]:
    found = connection.execute(select(photos).where(_still_in_row(uid)).limit(AT_ONCE)).mappings()
    return [PhotoRow(**row) for row in found]


def _moved(connection: Connection, job: Job, named: dict[str, str], now: int) -> tuple[bool, list[str]]:
    """Whether the job was still ours, and the blobs that no row needs: its conversation was erased meanwhile.

    The rows name their blobs in either case, for those are there.
    """
    for id, blob in named.items():
        moved = update(photos).where(_still_in_row(job.uid), photos.c.id == id)
        connection.execute(moved.values(image=b"", blob=blob))
    there = select(photos.c.blob).where(photos.c.uid == job.uid, photos.c.id.in_(named))
    needed = set(connection.execute(there).scalars())
    done = jobs.finish(connection, job)
    if done and connection.execute(select(photos.c.id).where(_still_in_row(job.uid)).limit(1)).first():
        _leave_job(connection, job.uid, MOVE, MOVE_KEY, now)  # more than one job takes, or added meanwhile
    return done, [blob for blob in named.values() if blob not in needed]


def drop_photos(connection: Connection, uid: str, conversation_id: str, now: int) -> None:
    """Remove a conversation's, and have their blobs erased. For use in another's transaction."""
    of_it = and_(photos.c.uid == uid, photos.c.conversation_id == conversation_id)
    names = connection.execute(delete(photos).where(of_it).returning(photos.c.blob)).scalars()
    erase_later(connection, uid, [name for name in names if name is not None], now)


def _described(connection: Connection, job: Job, description: str, discarded: bool) -> bool:
    if not jobs.finish(connection, job):
        return False
    there = photos.c.uid == job.uid, photos.c.id == job.key
    said = {"description": description, "discarded": discarded}
    changed = connection.execute(
        update(photos).where(*there).values(said).returning(photos.c.conversation_id)
    )
    for (conversation_id,) in changed.all():
        index_ended(connection, job.uid, conversation_id)
    return True
