"""The pictures of conversations.

As `engine.store.owned`, oldest first within a conversation. Bounded: a conversation has at most `MOST_PHOTOS`, which
are read as a whole.
"""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, and_, bindparam, func, select, update

from engine.store import jobs
from engine.store.database import Database
from engine.store.jobs import Job
from engine.store.keyed import Key, by_uid
from engine.store.owned import Owned, put_rows
from engine.store.prepared import PreparedQuery, is_listed, listed
from engine.store.tables import conversations, photos
from engine.store.texts import index_ended
from engine.store.user_records import PhotoRow

__all__ = ["DESCRIBE", "MOST_PHOTOS", "Photos", "photos_of"]

DESCRIBE = "describe_photo"
"""The kind of the jobs that have a model say what is to be seen; their key is the photo's id."""

MOST_PHOTOS = 100
"""In one conversation."""
PHOTO_SOURCE = "openglass"
"""Where conversations with photos are said to come from, whatever their first session said."""


class Photos(Owned[PhotoRow]):
    """All photos."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, photos, PhotoRow)

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[PhotoRow]:
        """Those of one conversation, oldest first."""
        return (await self.of_conversations([(uid, conversation_id)])).get((uid, conversation_id), [])

    async def of_conversations(self, keys: Sequence[Key]) -> dict[Key, list[PhotoRow]]:
        """Those of each conversation (uid, id), oldest first, read in one query."""
        return await self._database.read(photos_of, keys)

    async def add(self, row: PhotoRow, *, describe: bool) -> bool:
        """Keep a picture, whose conversation comes from openglass from now on; with `describe` leave a job for it.

        False, with nothing kept, when the conversation is not there (any more) or has `MOST_PHOTOS`.
        """
        return await self._database.write(_add, row, describe)

    async def described(self, job: Job, description: str, discarded: bool) -> bool:
        """Keep what is to be seen on the picture that `job` is about and end the job; False when the claim was lost."""
        return await self._database.write(_described, job, description, discarded)


def photos_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[PhotoRow]]:
    """As `Photos.of_conversations`."""
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
    if describe:
        at = row.created_at
        job = Job(uid=row.uid, kind=DESCRIBE, key=row.id, created_at=at, due_at=at)
        jobs.add(connection, job)
    return True


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
