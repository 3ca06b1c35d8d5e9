"""All of one user: counted, read out, erased so that no byte of it is left."""

import base64
import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
import trio
from msgspec.structs import replace

from engine.conversation import recording_spool
from engine.conversation.recording_spool import Track
from engine.store import PROCESSING, ConversationOpened, Store, UsageAdded, webhook_spool
from engine.store._half_vector import HalfVector
from engine.store._search_words import SearchWords
from engine.store.app_reviews import AppReviewRow
from engine.store.apply import insert_conversations
from engine.store.blob_names import RECORDING_SPOOL
from engine.store.database import Database
from engine.store.errors import DatabaseUnavailable, UserBusy
from engine.store.journal import FOLDER, Journal
from engine.store.tables import conversations, metadata
from engine.store.texts import index_conversation
from engine.store.user_data import BOOKKEEPING, UserData
from engine.webhooks.spool import Spool
from engine.webhooks.spooled import Spooled
from tests.listen.harness import inline

from .making import NOW, Clock, app, changed, conversation, opened, segment, usage_row

MARK = "Zaphod-8f31"
"""The user's id, and in every text of theirs."""
OWNED = [table for table in metadata.sorted_tables if "uid" in table.c]


numbers = itertools.count(NOW)


def row(table: sa.Table, uid: str) -> dict[str, Any]:
    """A row with `uid` in all that can hold a text."""
    return {column.name: value(column, uid, table.name) for column in table.c}


def value(column: sa.Column[Any], uid: str, table: str) -> Any:
    match column.type:
        case _ if column.name == "uid":
            return uid
        case _ if column.name == "number":
            return next(numbers)
        case _ if column.name == "blob":
            return None  # the bytes are in the row
        case HalfVector():
            return np.ones(4, np.float32) / 2
        case sa.LargeBinary():
            return f"image of {uid}".encode()
        case SearchWords():
            return sa.cast(f"words of {uid}", SearchWords)
        case sa.JSON():
            return {"of": [uid, f"{table}.{column.name}"]}
        case sa.String():
            return f"{uid} in {table}.{column.name}"
        case sa.Boolean():
            return False
    return NOW if isinstance(column.type, sa.BigInteger) else 7


async def fill(store: Store, *uids: str) -> None:
    """A row of each user's in every table that has an owner, and a lease."""

    def insert(connection: sa.Connection) -> None:
        for table, uid in itertools.product(OWNED, uids):
            connection.execute(sa.insert(table).values(row(table, uid)))

    await database(store).write(insert)
    for uid in uids:
        await store.leases.claim(f"user:{uid}", "a worker", 60.0)


def database(store: Store) -> Database:
    return store._database


def files_with(folder: Path, text: str) -> list[str]:
    """The files under `folder` in which `text` is, in capitals or not, or in hexadecimal digits, or its first word."""
    forms = {text, text.encode().hex(), text.partition("-")[0]}
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(form.lower().encode() in path.read_bytes().lower() for form in forms)
    ]


def rows_with(url: str, text: str) -> list[str]:
    """The tables of a PostgreSQL database in which some row, shown as text, has it."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        asked = 'SELECT count(*) FROM "{0}" AS whole WHERE whole::text LIKE %s'
        return [
            name
            for (name,) in found
            if connection.execute(asked.format(name).encode(), [f"%{text}%"]).fetchall() != [(0,)]
        ]


def places_with(url: str, folder: Path, text: str) -> list[str]:
    return files_with(folder, text) + (rows_with(url, text) if url else [])


async def test_what_a_user_has_is_counted_by_table(store: Store) -> None:
    assert await store.user_data.counts(MARK) == {}
    await fill(store, MARK, "another")
    assert await store.user_data.counts(MARK) == {table.name: 1 for table in OWNED}


def index_all(connection: sa.Connection, ids: list[str]) -> None:
    for id in ids:
        index_conversation(connection, MARK, id)


async def test_nothing_of_an_erased_user_is_found_anywhere(
    store: Store, tmp_path: Path, database_url: str
) -> None:
    await fill(store, MARK, "another")
    # What was changed and deleted before leaves traces of its own.
    rows = [conversation(f"c{number}", MARK, language=f"{MARK} {number}" * 9) for number in range(300)]
    await database(store).write(insert_conversations, rows)
    said = [changed(segment("s", text=f"{MARK} said {row.id}"), id=row.id, uid=MARK) for row in rows]
    await store.conversations.apply(said)
    await database(store).write(index_all, [row.id for row in rows])
    for row in rows[::10]:
        await store.conversations.delete(MARK, row.id)
    left = await Journal.create(tmp_path / FOLDER, "left", trio.to_thread.run_sync)
    left.append(opened("c9", MARK))
    left.close()
    for name in ("recordings/a.flac", "received/b.wav"):
        await store.blobs.put(MARK, name, MARK.encode())
    track = Track(uid=MARK, session_id="s1", channel=0)
    recording_spool.Spool.create(tmp_path / RECORDING_SPOOL, track, 1000).close()
    spool = recording_spool.Spool.create(tmp_path / RECORDING_SPOOL, replace(track, session_id="s2"), 1000)
    spool.append(0, MARK.encode() * 2)
    spool.close()
    assert places_with(database_url, tmp_path, MARK)
    erased = await store.user_data.erase(MARK, serving=False)
    assert erased.rows >= len(OWNED) + 300
    assert (erased.journals, erased.blobs) == (1, 2)
    assert places_with(database_url, tmp_path, MARK) == []
    assert await store.user_data.counts("another") == {table.name: 1 for table in OWNED}
    assert await store.leases.holder("user:another") is not None


async def test_audio_that_waits_for_webhooks_goes_with_its_user_and_no_other(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / webhook_spool.FOLDER
    it = Spool(folder, 2**20, 3600.0, inline, store.deliveries.files_waiting)
    places = {uid: await it.append(uid, [b"audio"]) for uid in ("u1", "u2")}
    it.close()
    await store.user_data.erase("u1", serving=False)
    found = [await it.read(Spooled("s", 0, (place,)).line) for place in places.values()]
    assert found == [bytes(5), b"audio"]


async def test_who_made_an_app_leaves_none_of_it_with_others(store: Store) -> None:
    await store.app_registry.add(app(uid=MARK), 10)
    await store.apps.enable("other", "app1")
    await store.app_reviews.put(
        AppReviewRow(uid="other", app_id="app1", id="r", score=4.0, review="Fine.", rated_at=NOW)
    )
    await store.user_data.erase(MARK, serving=False)
    assert await store.user_data.counts("other") == {}


async def test_erasing_again_finds_nothing_and_the_user_may_come_back(store: Store) -> None:
    await fill(store, MARK)
    await store.user_data.erase(MARK, serving=False)
    assert (await store.user_data.erase(MARK, serving=True)).rows == 0
    await store.conversations.create(conversation("c1", MARK))
    assert await store.user_data.counts(MARK) == {"conversations": 1}


async def test_a_user_with_a_live_session_is_not_erased(store: Store, tmp_path: Path) -> None:
    await fill(store, MARK)
    journal = await Journal.create(tmp_path / FOLDER, "live", trio.to_thread.run_sync)
    journal.append(ConversationOpened(conversation("c1", MARK)))
    with pytest.raises(UserBusy, match=f"{MARK} has a live session"):
        await store.user_data.erase(MARK, serving=True)
    assert len(await store.user_data.counts(MARK)) == len(OWNED)
    journal.close()
    await store.user_data.erase(MARK, serving=True)
    assert await store.user_data.counts(MARK) == {}
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_beside_a_server_a_conversation_must_have_ended(store: Store) -> None:
    await store.conversations.create(conversation("c1", MARK))
    with pytest.raises(UserBusy, match="a conversation that has not ended"):
        await store.user_data.erase(MARK, serving=True)
    assert await store.user_data.counts(MARK) == {"conversations": 1}
    await store.conversations.set_status(MARK, "c1", PROCESSING)
    await store.user_data.erase(MARK, serving=True)
    assert await store.user_data.counts(MARK) == {}


async def test_journals_kept_aside_go_too_and_others_stay(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    for name, uid in (("aside", MARK), ("theirs", "another")):
        journal = await Journal.create(folder, name, trio.to_thread.run_sync)
        journal.append(UsageAdded("1", usage_row(uid)))
        journal.keep_aside(".rejected")
    damaged = folder / "damaged.journal.corrupt"
    damaged.write_bytes(b"no header " + MARK.encode())
    erased = await store.user_data.erase(MARK, serving=False)
    assert erased.journals == 1
    assert erased.unreadable == [damaged]
    assert sorted(path.name for path in folder.iterdir()) == [damaged.name, "theirs.journal.rejected"]


async def test_a_file_that_others_keep_reading_is_said_to_be_in_use(tmp_path: Path, clock: Clock) -> None:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, busy_timeout=0.05, now=clock)
    other = await Store.open(tmp_path, trio.to_thread.run_sync, now=clock)
    await store.conversations.create(conversation("c1", MARK, status=PROCESSING))

    def erase() -> None:
        trio.from_thread.run(lambda: store.user_data.erase(MARK, serving=True))

    def read_long(connection: sa.Connection) -> None:
        connection.execute(sa.select(conversations)).all()
        with pytest.raises(DatabaseUnavailable):
            erase()

    await database(other).read(read_long)
    await store.user_data.erase(MARK, serving=True)
    assert files_with(tmp_path, MARK) == []
    await store.close()
    await other.close()


async def exported(data: UserData, uid: str) -> dict[str, Any]:
    whole = b"".join([piece async for piece in data.export(uid)])
    read: dict[str, Any] = msgspec.json.decode(whole)
    return read


async def test_all_of_a_user_is_read_out_and_nothing_of_others(store: Store) -> None:
    await fill(store, MARK, "another")
    told = await exported(store.user_data, MARK)
    assert told["user"] == MARK
    assert told["left_out"] == sorted(BOOKKEEPING)
    lists = {table.name for table in OWNED} - BOOKKEEPING - {"segments"}
    assert told.keys() == {"user", "exported_at", "left_out"} | lists
    assert all(len(told[name]) == 1 for name in lists)
    assert told["memories"][0]["content"] == f"{MARK} in memories.content"
    assert told["memories"][0]["created_at"] == "2025-06-15T15:06:40Z"
    assert base64.b64decode(told["photos"][0]["image"]) == f"image of {MARK}".encode()
    assert "hash" not in told["tokens"][0]
    await store.blobs.put(MARK, "photos/p.jpg", b"moved")
    await store.photos.change(MARK, told["photos"][0]["id"], {"image": b"", "blob": "photos/p.jpg"})
    told = await exported(store.user_data, MARK)
    assert base64.b64decode(told["photos"][0]["image"]) == b"moved"
    assert "another" not in msgspec.json.encode(told).decode()


async def test_segments_are_read_out_in_their_conversations_however_many(store: Store) -> None:
    ids = [f"c{number:03}" for number in range(450)]
    await database(store).write(insert_conversations, [conversation(id, MARK) for id in ids])
    late, early = segment("b", text="Second.", start=2.0, end=3.0), segment("a", text="First.")
    await store.conversations.apply([changed(late, early, id="c449", uid=MARK)])
    told = await exported(store.user_data, MARK)
    assert [one["id"] for one in told["conversations"]] == ids
    said = told["conversations"][-1]["transcript_segments"]
    assert [one["text"] for one in said] == ["First.", "Second."]
    assert told["conversations"][0]["transcript_segments"] == []


async def test_of_nobody_there_is_nothing_to_read_out(store: Store) -> None:
    told = await exported(store.user_data, MARK)
    assert told.keys() == {"user", "exported_at", "left_out"}
