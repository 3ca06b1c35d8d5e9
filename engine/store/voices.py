"""Recordings of voices that users have enrolled or named, and why segments have the speakers they have.

Operations: as `engine.store.owned`, and `of_person`, `known`, `add_sample`, `forget_person`, `expired`; `decided`,
`decisions` and `decision`.
Invariants: every statement names the owner, but for `expired`, which only says whose recordings are too old. The audio
is in a blob: whoever removes a row removes it, too, and the row goes first.
Bounded: `known` reads what a user and their people have enrolled, 1 kB each.
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, select

from engine.store.database import Database, upsert
from engine.store.owned import Owned, put_rows
from engine.store.tables import speaker_decisions, voices
from engine.store.user_records import VoiceRow

__all__ = ["MOST_KNOWN", "Voices"]

MOST_KNOWN = 2000
"""Recordings of one user's that are compared with."""


class Voices(Owned[VoiceRow]):
    """All recordings of voices."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, voices, VoiceRow)

    async def of_person(self, uid: str, person_id: str) -> Sequence[VoiceRow]:
        """Those of one person, oldest first: a sample's index is its place here."""
        return await self._database.read(_of_person, uid, person_id)

    async def known(self, uid: str, encoder: str) -> Sequence[VoiceRow]:
        """All that one encoder made of a user's and their people's voices, the newest `MOST_KNOWN`."""
        return await self.list(uid, voices.c.encoder == encoder, limit=MOST_KNOWN)

    async def add_sample(self, row: VoiceRow, limit: int) -> Sequence[VoiceRow]:
        """Keep a sample of a person, who has at most `limit`; returns the oldest, which had to go for it."""
        return await self._database.write(_add_sample, row, limit)

    async def forget_person(self, uid: str, person_id: str) -> Sequence[VoiceRow]:
        """Remove a person's samples; returns them."""
        return await self._database.write(_forget, and_(voices.c.uid == uid, voices.c.person_id == person_id))

    async def expired(self, before: int, limit: int = 100) -> Sequence[VoiceRow]:
        """Recordings, of anybody, made before `before` (µs since the epoch), the oldest first."""
        query = select(voices).where(voices.c.created_at < before).order_by(voices.c.created_at).limit(limit)
        return await self._database.read(lambda connection: _rows(connection, query))

    async def decided(self, uid: str, conversation_id: str, decisions: Mapping[str, Any], now: int) -> None:
        """Keep why segments, by id, have the speakers they have."""
        rows = [
            {
                "uid": uid,
                "conversation_id": conversation_id,
                "segment_id": segment_id,
                "decision": msgspec.to_builtins(decision),
                "decided_at": now,
            }
            for segment_id, decision in decisions.items()
        ]
        await self._database.write(_decided, rows)

    async def decisions(self, uid: str, conversation_id: str) -> dict[str, dict[str, Any]]:
        """Why the segments of a conversation have their speakers, by id."""
        of = speaker_decisions.c
        query = select(of.segment_id, of.decision).where(of.uid == uid, of.conversation_id == conversation_id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row.segment_id: row.decision for row in rows}

    async def decision(self, uid: str, conversation_id: str, segment_id: str) -> dict[str, Any] | None:
        """Why this segment has its speaker; None when nobody was heard out."""
        of = speaker_decisions.c
        query = select(of.decision).where(
            of.uid == uid, of.conversation_id == conversation_id, of.segment_id == segment_id
        )
        return await self._database.read(lambda connection: connection.execute(query).scalar())


def _rows(connection: Connection, query: Any) -> list[VoiceRow]:
    return [VoiceRow(**row) for row in connection.execute(query).mappings()]


def _of_person(connection: Connection, uid: str, person_id: str) -> list[VoiceRow]:
    query = select(voices).where(voices.c.uid == uid, voices.c.person_id == person_id)
    return _rows(connection, query.order_by(voices.c.created_at, voices.c.id))


def _add_sample(connection: Connection, row: VoiceRow, limit: int) -> list[VoiceRow]:
    put_rows(connection, voices, [row])
    there = _of_person(connection, row.uid, row.person_id)
    gone = there[: max(0, len(there) - limit)]
    ids = [one.id for one in gone]
    if ids:
        connection.execute(delete(voices).where(voices.c.uid == row.uid, voices.c.id.in_(ids)))
    return gone


def _forget(connection: Connection, where: Any) -> list[VoiceRow]:
    return [
        VoiceRow(**row)
        for row in connection.execute(delete(voices).where(where).returning(*voices.c)).mappings()
    ]


def _decided(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    statement = upsert(connection.dialect.name, speaker_decisions)
    keys = [column.name for column in speaker_decisions.primary_key]
    new = {name: statement.excluded[name] for name in ("decision", "decided_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), list(rows))
