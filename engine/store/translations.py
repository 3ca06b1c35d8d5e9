"""Translations of segments that are in the database already.

Invariants: every statement names the owner. A segment that was changed since it was read stays as it is: what is
written names the revision it was made of.
Cancellation: a cancelled call may still have taken effect; calling again changes nothing.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, false, update

from engine.store.database import Database
from engine.store.tables import segments
from engine.wire.messages import Segment

__all__ = ["Translations"]


class Translations:
    """Of all segments of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, uid: str, conversation_id: str, changed: Sequence[Segment]) -> list[Segment]:
        """Keep the translations and revisions of `changed`; those that were as they had been one revision before."""
        return await self._database.write(_keep, uid, conversation_id, changed)


def _keep(
    connection: Connection, uid: str, conversation_id: str, changed: Sequence[Segment]
) -> list[Segment]:
    return [segment for segment in changed if _kept(connection, uid, conversation_id, segment)]


def _kept(connection: Connection, uid: str, conversation_id: str, segment: Segment) -> bool:
    before = (
        segments.c.uid == uid,
        segments.c.conversation_id == conversation_id,
        segments.c.id == segment.id,
        segments.c.revision == segment.revision - 1,
        segments.c.deleted == false(),
    )
    new = {"translations": msgspec.to_builtins(segment.translations), "revision": segment.revision}
    return connection.execute(update(segments).where(*before).values(new)).rowcount > 0
