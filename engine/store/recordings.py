"""Recordings of conversations: a row a piece, its sound a blob.

Operations: `add` a piece before its blob is put, `forget` one that could not be put; `of_conversation`, `sums` to look;
`drop` a conversation's; `expire` old ones, of all users.
Invariants: a piece belongs to a conversation that is there; when it goes, or the piece does, the blob is erased in the
end, whoever dies meanwhile. A row whose blob is missing (its process died between the two) is silence. Of a user there
are no more bytes than the quota given with the last piece: the oldest go first.
"""

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, select

from engine.store.blob_erasures import erase_later
from engine.store.database import Database, WallClock
from engine.store.owned import Owned, put_rows
from engine.store.tables import conversations, recordings
from engine.store.user_records import RecordingRow

__all__ = ["RecordingSum", "Recordings", "blob_of", "drop_recordings"]

EXPIRED_AT_ONCE = 500
"""Pieces that one transaction removes."""


class RecordingSum(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of a conversation: `samples` and `bytes` in so many `pieces`; the latest of `created_at`."""

    conversation_id: str
    pieces: int
    samples: int
    bytes: int
    created_at: int


def blob_of(id: str) -> str:
    """The name of the blob of the piece of this id."""
    return f"recordings/{id}.flac"


class Recordings(Owned[RecordingRow]):
    """All pieces."""

    def __init__(self, database: Database, now: WallClock) -> None:
        super().__init__(database, recordings, RecordingRow)
        self._now = now
        self._tell: Callable[[], None] = _nobody

    def when_erased(self, tell: Callable[[], None]) -> None:
        """Call `tell` when there is a job to erase blobs, which may also be found without."""
        self._tell = tell

    async def add(self, row: RecordingRow, *, quota: int) -> bool:
        """Keep a piece, in the place of the one of its id; False when its conversation is not there (any more).

        `quota`: bytes of one user's, 0 for any number.
        """
        added = await self._database.write(_add, row, quota, self._now())
        self._tell()  # the quota may have cost others their place
        return added

    async def forget(self, uid: str, id: str) -> None:
        """There is nothing of this piece after all; what may be there is erased."""
        await self._database.write(_drop, uid, recordings.c.id == id, self._now())
        self._tell()

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[RecordingRow]:
        """The pieces of a conversation, in the order of time."""
        return await self._database.read(_of_conversation, uid, conversation_id)

    async def sums(self, uid: str, *, limit: int, offset: int = 0) -> Sequence[RecordingSum]:
        """A page of the conversations that have recordings, those recorded last first; no deleted ones."""
        return await self._database.read(_sums, uid, limit, offset)

    async def drop(self, uid: str, conversation_id: str) -> bool:
        """Remove what was recorded of a conversation; False when nothing was."""
        of_it = recordings.c.conversation_id == conversation_id
        found = await self._database.write(_drop, uid, of_it, self._now())
        self._tell()
        return found > 0

    async def expire(self, before: int) -> int:
        """Remove pieces that were added before `before` (µs), of all users; how many."""
        removed = 0
        while found := await self._database.write(_expire, before, self._now()):
            removed += found
        self._tell()
        return removed


def _nobody() -> None:
    """Nobody is told."""


def drop_recordings(connection: Connection, uid: str, conversation_id: str, now: int) -> int:
    """As `Recordings.drop`, in another's transaction; how many pieces there were."""
    return _drop(connection, uid, recordings.c.conversation_id == conversation_id, now)


def _add(connection: Connection, row: RecordingRow, quota: int, now: int) -> bool:
    of = conversations.c
    there = and_(of.uid == row.uid, of.id == row.conversation_id, of.deleted_at.is_(None))
    if connection.execute(select(of.id).where(there)).first() is None:
        return False
    put_rows(connection, recordings, [row])
    if quota:
        _keep_to(connection, row.uid, quota, now)
    return True


def _keep_to(connection: Connection, uid: str, quota: int, now: int) -> None:
    of = recordings.c
    used = connection.execute(select(func.sum(of.bytes)).where(of.uid == uid)).scalar_one() or 0
    if used <= quota:
        return
    oldest = select(of.id, of.bytes).where(of.uid == uid).order_by(of.created_at, of.base_at, of.start)
    going = []
    for id, size in connection.execute(oldest):
        if used <= quota:
            break
        going.append(id)
        used -= size
    _drop(connection, uid, of.id.in_(going), now)


def _drop(connection: Connection, uid: str, which: ColumnElement[bool], now: int) -> int:
    removed = delete(recordings).where(recordings.c.uid == uid, which).returning(recordings.c.id)
    ids = list(connection.execute(removed).scalars())
    erase_later(connection, uid, map(blob_of, ids), now)
    return len(ids)


def _of_conversation(connection: Connection, uid: str, conversation_id: str) -> list[RecordingRow]:
    of = recordings.c
    query = select(recordings).where(of.uid == uid, of.conversation_id == conversation_id)
    found = connection.execute(query.order_by(of.base_at, of.start, of.id)).mappings()
    return [RecordingRow(**row) for row in found]


def _sums(connection: Connection, uid: str, limit: int, offset: int) -> list[RecordingSum]:
    of, conversation = recordings.c, conversations.c
    there = and_(conversation.uid == of.uid, conversation.id == of.conversation_id)
    latest = func.max(of.created_at)
    query = (
        select(of.conversation_id, func.count(), func.sum(of.samples), func.sum(of.bytes), latest)
        .join(conversations, there)
        .where(of.uid == uid, conversation.deleted_at.is_(None))
        .group_by(of.conversation_id)
        .order_by(latest.desc(), of.conversation_id)
    )
    return [
        RecordingSum(conversation_id=id, pieces=pieces, samples=int(samples), bytes=int(size), created_at=at)
        for id, pieces, samples, size, at in connection.execute(query.limit(limit).offset(offset))
    ]


def _expire(connection: Connection, before: int, now: int) -> int:
    of = recordings.c
    old = select(of.uid, of.id).where(of.created_at < before).order_by(of.created_at).limit(EXPIRED_AT_ONCE)
    by_uid: dict[str, list[str]] = {}
    for uid, id in connection.execute(old):
        by_uid.setdefault(uid, []).append(id)
    return sum(_drop(connection, uid, of.id.in_(ids), now) for uid, ids in by_uid.items())
