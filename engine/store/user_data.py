"""All that is kept of one user, wherever it is: counted, read out, erased.

Operations: `counts` rows by table, `export` reads all of it out as JSON, `erase` removes all of it.
Invariants: what has a column `uid` is a user's: there is no list of tables in which one could be forgotten. After
`erase` (with `scrub`) neither the user's id nor anything of theirs is in the database, its log, the journals or among
the blobs.
Bounded: `export` has one page of rows in memory.
Cost: `erase` has SQLite write its whole file anew and PostgreSQL vacuum every table.
Cancellation: `erase` may be called again until it returns; what a cancelled one had removed is gone.
Known doubts: the bytes that PostgreSQL has vacuumed stay in its files until they are used again, and in its
write-ahead log and its backups as long as those are kept.
"""

import shutil
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from sqlalchemy import Column, Connection, Table, and_, delete, func, select, tuple_

from engine.moments import instant
from engine.store.app_registry import forget_apps_of
from engine.store.blob_names import RECORDING_SPOOL, folder_of
from engine.store.blob_places import BlobPlaces
from engine.store.database import Database, WallClock
from engine.store.errors import BlobMissing, UserBusy
from engine.store.records import IN_PROGRESS
from engine.store.replay import journals_of
from engine.store.tables import conversations, leases, metadata, photos, segments
from engine.store.webhook_spool import FOLDER, blank_spooled

__all__ = ["Erased", "UserData"]

PAGE, LARGE_PAGE = 200, 5
"""Rows in memory at once; those of `LARGE` tables have some megabytes each."""
LARGE = frozenset({"photos", "deliveries", "received_events", "received_messages"})

BOOKKEEPING = frozenset(
    {
        "vectors",
        "vector_labels",
        "vector_versions",
        "usage_entries",
        "deleted_conversations",
        "day_summary_locks",
        "idempotency",
        "texts",
        "webhook_secrets",
        "blob_erasures",
        "allowances",
    }
)
"""Not read out: numbers made of texts that are, marks that something was done, copies of answers, and secrets."""

LEASE = "user:"
"""Before a uid: the name of the lease on a user's sessions."""


class Erased(msgspec.Struct, frozen=True):
    """What is gone: `rows`, `journals` and `blobs`. `unreadable` files may hold something of the user's: nobody can
    tell.
    """

    rows: int
    journals: int
    unreadable: list[Path]
    blobs: int = 0


class Received(Protocol):
    """A folder with what was received and is not kept yet."""

    async def erase(self, uid: str) -> int:
        """Remove what is there of a user; how many files. Raises OSError."""
        ...


class UserData:
    """What is kept in one store, of any user."""

    def __init__(
        self,
        database: Database,
        journals: Path,
        places: BlobPlaces,
        received: Sequence[Received],
        now: WallClock,
    ) -> None:
        self._database = database
        self._received = received
        self._journals = journals
        self._spool = journals.parent / RECORDING_SPOOL
        self._places = places
        self._now = now

    async def counts(self, uid: str) -> dict[str, int]:
        """How many rows each table has of a user's; tables without any are left out."""
        return await self._database.read(_counts, uid)

    async def export(self, uid: str) -> AsyncIterator[bytes]:
        """All that is kept of a user as one JSON object, piece by piece: a list of rows for each table.

        Segments stand inside their conversations, bytes are base64, pictures too; of blobs there are names and sizes.
        What changes meanwhile may be there or not. Raises `BlobsUnavailable`.
        """
        head = {"user": uid, "exported_at": instant(self._now()), "left_out": sorted(BOOKKEEPING)}
        yield msgspec.json.encode(head)[:-1]
        for table in _owned():
            if table.name in BOOKKEEPING or table is segments:
                continue
            before = f',\n"{table.name}": [\n'.encode()
            after: Any = None
            while rows := await self._database.read(_page, table, uid, after):
                for row in rows:
                    if table is photos and row.shown["blob"] is not None:
                        row.shown["image"] = await self._picture(uid, row.shown["blob"])
                    yield before + msgspec.json.encode(row.shown)
                    before = b",\n"
                after = rows[-1].key
            if after is not None:
                yield b"\n]"
        async for piece in self._blobs(uid):
            yield piece
        yield b"\n}\n"

    async def _picture(self, uid: str, name: str) -> bytes:
        """Empty when it is just being deleted."""
        try:
            return await self._places.main.get(uid, name)
        except BlobMissing:
            return b""

    async def _blobs(self, uid: str) -> AsyncIterator[bytes]:
        """What files there are, for a list of its own."""
        before = b',\n"blobs": [\n'
        for place, blobs in self._places.all().items():
            after = ""
            while page := await blobs.list(uid, after=after):
                for blob in page:
                    shown = {"place": place, "name": blob.name, "size": blob.size}
                    yield before + msgspec.json.encode(shown | {"modified_at": instant(blob.modified_at)})
                    before = b",\n"
                after = page[-1].name
        if before == b",\n":
            yield b"\n]"

    async def erase(self, uid: str, *, serving: bool, scrub: bool = True) -> Erased:
        """Remove all that is kept of a user.

        `serving`: a server may be using the store. Then this raises `UserBusy`, with nothing changed, while one has
        something of the user's in hand. Without `scrub` the bytes of what is removed stay in the database's files
        until they are used again, or somebody is erased with it. Raises `DatabaseUnavailable` when the database's
        users leave it no moment to clean up: the rows are gone by then, and calling again is right. Raises
        `BlobsUnavailable` with no row changed; some blobs may be gone.
        """
        journals = await self._database.off_loop(journals_of, self._journals, uid)
        if journals.live:
            raise UserBusy(f"{uid} has a live session: end it first, or stop the server")
        if serving:
            await self._database.read(_refuse_unfinished, uid)
        # Journals first: one that is left when this ends half-way would bring its conversation back.
        await self._database.off_loop(_unlink, journals.dead)
        await self._database.off_loop(_remove, self._spool / folder_of(uid))
        await self._database.off_loop(blank_spooled, self._journals.parent / FOLDER, uid)
        # Then blobs: without the rows nobody might ask a second time when a bucket is away.
        blobs = await self._erase_blobs(uid)
        rows = await self._database.write(_erase, uid, serving)
        if scrub:
            await self._database.scrub()
        left: Collection[str] = await self.counts(uid)
        if await self._erase_blobs(uid):
            left = [*left, "blobs"]
        if left:
            raise UserBusy(f"{uid} came back while being erased ({', '.join(left)}): erase again")
        return Erased(rows, len(journals.dead), journals.unreadable, blobs)

    async def _erase_blobs(self, uid: str) -> int:
        """Also of what is still to become one."""
        spooled = sum([await folder.erase(uid) for folder in self._received])
        return spooled + sum([await blobs.delete_folder(uid) for blobs in self._places.all().values()])


class _Shown(msgspec.Struct, frozen=True):
    """A row to be read out. `key` says where the next page begins."""

    key: Sequence[Any]
    shown: dict[str, Any]


def _owned() -> list[Table]:
    return [table for table in metadata.sorted_tables if "uid" in table.c]


def _counts(connection: Connection, uid: str) -> dict[str, int]:
    found = {}
    for table in _owned():
        query = select(func.count()).select_from(table).where(table.c.uid == uid)
        if count := connection.execute(query).scalar_one():
            found[table.name] = count
    return found


def _page(connection: Connection, table: Table, uid: str, after: Sequence[Any] | None) -> list[_Shown]:
    keys: list[Column[Any]] = [column for column in table.primary_key if column.name != "uid"]
    query = select(table).where(table.c.uid == uid).order_by(*keys)
    if after is not None:
        if not keys:
            return []
        query = query.where(tuple_(*keys) > tuple_(*after))
    found = connection.execute(query.limit(LARGE_PAGE if table.name in LARGE else PAGE)).mappings().all()
    inside = _segments(connection, uid, [row["id"] for row in found]) if table is conversations else None
    return [_Shown([row[key.name] for key in keys], _shown(row, inside)) for row in found]


def _segments(connection: Connection, uid: str, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    where = and_(segments.c.uid == uid, segments.c.conversation_id.in_(ids), ~segments.c.deleted)
    query = select(segments).where(where).order_by(segments.c.start, segments.c.ordinal)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["conversation_id"], []).append(_shown(row, None))
    return found


def _shown(row: Any, inside: dict[str, list[dict[str, Any]]] | None) -> dict[str, Any]:
    shown = {
        name: instant(value) if value is not None and _is_time(name) else value
        for name, value in row.items()
        if name not in ("uid", "hash")
    }
    return shown if inside is None else shown | {"transcript_segments": inside.get(row["id"], [])}


def _is_time(name: str) -> bool:
    return name.endswith("_at") or name in ("hour", "export_date")


def _refuse_unfinished(connection: Connection, uid: str) -> None:
    going_on = (conversations.c.uid == uid) & (conversations.c.status == IN_PROGRESS)
    if connection.execute(select(func.count()).where(going_on)).scalar_one():
        raise UserBusy(
            f"{uid} is in a conversation that has not ended: it does after its silence, or at once by "
            "POST /v1/conversations; or stop the server"
        )


def _erase(connection: Connection, uid: str, serving: bool) -> int:
    if serving:
        _refuse_unfinished(connection, uid)
    connection.execute(delete(leases).where(leases.c.name == LEASE + uid))
    forget_apps_of(connection, uid)
    return sum(connection.execute(delete(table).where(table.c.uid == uid)).rowcount for table in _owned())


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
