"""Deleting conversations: hidden at once, erased at once or later.

Invariants: who is hidden is read by nobody, processed by nobody and has no vectors and no action items; what is
erased leaves an id and a uid behind, for as long as a journal might bring it back. Both are harmless to repeat.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, and_, delete, insert, select, update

from engine.moments import SECOND
from engine.store.indexed import forget_rows
from engine.store.jobs import ERASE, PROCESS, Job, add, discard
from engine.store.owned import delete_rows
from engine.store.photos import drop_photos
from engine.store.recordings import drop_recordings
from engine.store.records import COMPLETED, MERGING
from engine.store.tables import (
    action_items,
    conversations,
    deleted_conversations,
    jobs,
    memories,
    segments,
    shared_conversations,
    speaker_decisions,
    unwanted,
)
from engine.store.texts import drop_texts
from engine.store.vector_records import VectorKind
from engine.store.vectors import delete_vectors

__all__ = ["erase", "hide", "release_sources"]


def hide(connection: Connection, uid: str, id: str, *, now: int, cascade: bool, delay: float) -> bool:
    """Delete a conversation with its action items, and with `cascade` its memories; False when there is none.

    Its rows are erased after `delay` seconds, by a job; at once for 0. What was to become part of it by merging is
    as before.
    """
    there = and_(conversations.c.uid == uid, conversations.c.id == id, conversations.c.deleted_at.is_(None))
    if not connection.execute(update(conversations).where(there).values(deleted_at=now)).rowcount:
        return False
    work = select(jobs.c.payload).where(jobs.c.uid == uid, jobs.c.kind == PROCESS, jobs.c.key == id)
    for payload in connection.execute(work).scalars():
        release_sources(connection, uid, payload.get("sources", ()))
    discard(connection, uid, PROCESS, id)
    delete_vectors(connection, uid, "conversation", [id])
    drop_texts(connection, uid, [id])
    link = shared_conversations.c
    connection.execute(delete(shared_conversations).where(link.uid == uid, link.id == id))
    _forget_of(connection, uid, id, action_items, "action_item")
    if cascade:
        _forget_of(connection, uid, id, memories, "memory")
    if delay > 0:
        due = now + round(delay * SECOND)
        add(connection, Job(uid=uid, kind=ERASE, key=id, created_at=now, due_at=due))
    else:
        erase(connection, uid, id, now)
    return True


def _forget_of(connection: Connection, uid: str, id: str, table: Table, what: VectorKind) -> None:
    of_it = select(table.c.id).where(table.c.uid == uid, table.c.conversation_id == id)
    ids = list(connection.execute(of_it).scalars())
    if ids:
        forget_rows(connection, uid, what, ids)


def erase(connection: Connection, uid: str, id: str, now: int) -> None:
    """Remove the rows of a conversation for good, and have its blobs erased."""
    of_it = and_(conversations.c.uid == uid, conversations.c.id == id)
    if not connection.execute(delete(conversations).where(of_it)).rowcount:
        return
    for table in (segments, speaker_decisions, unwanted):
        delete_rows(connection, table, and_(table.c.uid == uid, table.c.conversation_id == id))
    drop_photos(connection, uid, id, now)
    drop_recordings(connection, uid, id, now)
    connection.execute(insert(deleted_conversations).values(uid=uid, id=id, deleted_at=now))


def release_sources(connection: Connection, uid: str, ids: Sequence[str]) -> None:
    """These were to be merged and are not: they are as before."""
    merging = and_(conversations.c.uid == uid, conversations.c.id.in_(ids), conversations.c.status == MERGING)
    connection.execute(update(conversations).where(merging).values(status=COMPLETED))
