"""One user with very many conversations: making them, and what reading them costs beside bare SQL.

`filled` makes them; `compare` gives the medians of interleaved rounds, ours and bare, with few and with many, in one
process that is set up `as_served`. Ours is what a request costs behind HTTP: rows, segments, action items, the document
and its JSON. Bare is the same rows from `sqlite3` itself, fetched and no more; for a search, embedding the query and
one numpy scan.
"""

import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray
from sqlalchemy import Connection

from engine.conversation.document import whole_document
from engine.conversation.embedding.port import Embedder
from engine.conversation.search import Search
from engine.server.garbage import seldom
from engine.server.machine import limit_blas, limit_heaps, take_short_turns
from engine.store import COMPLETED, PROCESSING, ConversationRow, SegmentsChanged, Store, VectorRow
from engine.store._sqlite import PAGE_CACHE_KIB
from engine.store.batch import Batch
from engine.store.database import DATABASE_FILE
from engine.store.records import ConversationOpened
from engine.store.texts import index_conversation
from engine.store.whole import Whole
from engine.web.conversations import BATCH, encoded
from engine.wire import Segment

UID = "many"
SEGMENTS = 10
FILLED = 250
SECOND = 1_000_000
NOW = 1_790_000_000 * SECOND
PAGE, FOUND = 100, 10
QUESTION = "When do we sail, and who books the boat?"
WORDS = re.findall(
    r"\w+",
    "we should talk about the budget of the harbour project before friday since anna wants to see the plans and "
    "the boat needs new sails which marta orders from the shop in town when the invoice for the engine is paid",
)


class Costs(msgspec.Struct, frozen=True):
    """Median milliseconds of ours and bare, and the median of their ratios, round by round."""

    ours: float
    bare: float
    ratio: float


class Compared(msgspec.Struct, frozen=True):
    """The same with few and with many conversations. `growth`: ours with many by ours with few, round by round."""

    few: Costs
    many: Costs
    growth: float


@contextmanager
def as_served() -> Iterator[None]:
    """Inside, this process takes what a server's takes: one heap off the loop, one thread a product, short turns."""
    turn = sys.getswitchinterval()
    limit_heaps()
    limit_blas()
    take_short_turns()
    try:
        with seldom():
            yield
    finally:
        sys.setswitchinterval(turn)


def conversation_id(number: int) -> str:
    """Of conversation `number`."""
    return f"{number:08d}-0000-4000-8000-000000000000"


async def filled(folder: Path, count: int, dimensions: int, model: str) -> Path:
    """The data directory in `folder` with `count` conversations, made if it is not there already."""
    data_dir = folder / str(count)
    if not data_dir.exists():
        begun = data_dir.with_suffix(".part")
        shutil.rmtree(begun, ignore_errors=True)
        store = await Store.open(begun, trio.to_thread.run_sync)
        await _fill(store, count, dimensions, model)
        await store.close()
        begun.rename(data_dir)
    return data_dir


async def _fill(store: Store, count: int, dimensions: int, model: str) -> None:
    """Conversations, each a minute after the other, with segments, words and vectors."""
    rng = np.random.default_rng(0)
    for start in range(0, count, FILLED):
        numbers = range(start, min(start + FILLED, count))
        rows = [_row(number) for number in numbers]
        said = [_said(row, rng) for row in rows]
        await store.conversations.apply_batch(Batch.of([*map(ConversationOpened, rows), *said]))
        await store._database.write(_index, [row.id for row in rows])
        drawn = rng.standard_normal((len(rows), dimensions)).astype(np.float32)
        await store.vectors.upsert_vectors(
            [
                VectorRow(
                    uid=UID,
                    kind="conversation",
                    id=row.id,
                    model=model,
                    created_at=row.created_at,
                    vector=vector,
                )
                for row, vector in zip(rows, drawn, strict=True)
            ]
        )


def _row(number: int) -> ConversationRow:
    at = NOW + number * 60 * SECOND
    return ConversationRow(
        uid=UID,
        id=conversation_id(number),
        status=COMPLETED,
        created_at=at,
        started_at=at,
        finished_at=at + 50 * SECOND,
        last_speech_at=at + 50 * SECOND,
        timeout_seconds=120,
        source="omi",
        language="en",
        structured={"title": f"Talk {number}", "overview": "About the harbour.", "category": "work"},
    )


def _said(row: ConversationRow, rng: np.random.Generator) -> SegmentsChanged:
    segments = tuple(
        Segment(
            id=f"{row.id[:8]}-{place:04d}-4000-8000-000000000000",
            text=" ".join(rng.choice(WORDS, 15)).capitalize() + ".",
            speaker=f"SPEAKER_{place % 2:02d}",
            start=place * 5.0,
            end=place * 5.0 + 4.0,
        )
        for place in range(SEGMENTS)
    )
    return SegmentsChanged(UID, row.id, segments, row.finished_at, row.last_speech_at)


def _index(connection: Connection, ids: Sequence[str]) -> None:
    for id in ids:
        index_conversation(connection, UID, id)


class Reader:
    """Reads as the routes do, and as `sqlite3` does by itself, where there are `count` conversations."""

    def __init__(self, store: Store, count: int, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._middle = conversation_id(count // 2)
        self._search = Search(store, lambda: embedder)
        self._bare = sqlite3.connect(
            store.data_dir / DATABASE_FILE, check_same_thread=False, isolation_level=None
        )
        self._bare.execute(f"PRAGMA cache_size=-{PAGE_CACHE_KIB}")  # as the store's connections
        drawn = np.random.default_rng(0).standard_normal((count, embedder.dimensions))
        self._matrix: NDArray[np.float32] = drawn.astype(np.float32)

    async def close(self) -> None:
        self._bare.close()
        await self._store.close()

    async def page(self) -> None:
        """GET /v1/conversations."""
        rows = await self._store.conversations.list(UID, limit=PAGE, statuses=(PROCESSING, COMPLETED))
        for first in range(0, PAGE, BATCH):
            await self._store.wholes.made_of(rows[first : first + BATCH], _encode)

    async def bare_page(self) -> None:
        await trio.to_thread.run_sync(self._bare_page)

    def _bare_page(self) -> None:
        self._bare.execute("BEGIN")
        rows = self._bare.execute(
            "SELECT * FROM conversations WHERE uid = ? AND status IN ('processing', 'completed')"
            " AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT ?",
            (UID, PAGE),
        ).fetchall()
        self._bare_parts([row[1] for row in rows])
        self._bare.execute("COMMIT")

    def _bare_parts(self, ids: Sequence[str]) -> None:
        marks = ",".join("?" * len(ids))
        of_these = f"WHERE uid = ? AND conversation_id IN ({marks})"
        self._bare.execute(
            f'SELECT * FROM segments {of_these} AND NOT deleted ORDER BY "start", ordinal', (UID, *ids)
        ).fetchall()
        self._bare.execute(f"SELECT * FROM action_items {of_these} ORDER BY ordinal", (UID, *ids)).fetchall()

    async def one(self) -> None:
        """GET /v1/conversations/{id}."""
        whole = await self._store.wholes.get(UID, self._middle)
        assert whole is not None
        assert len(whole.segments) == SEGMENTS
        await encoded(trio.to_thread.run_sync, [whole], _encode)

    async def bare_one(self) -> None:
        await trio.to_thread.run_sync(self._bare_one, self._middle)

    def _bare_one(self, id: str) -> None:
        self._bare.execute("BEGIN")
        self._bare.execute("SELECT * FROM conversations WHERE uid = ? AND id = ?", (UID, id)).fetchall()
        self._bare_parts([id])
        self._bare.execute("SELECT * FROM photos WHERE uid = ? AND conversation_id = ?", (UID, id)).fetchall()
        self._bare.execute("COMMIT")

    async def search(self, question: str) -> None:
        """POST /v1/conversations/search."""
        answer = await self._search.page(UID, question, limit=FOUND, make=_encode_page)
        assert answer

    async def bare_search(self, question: str) -> None:
        (vector,) = await self._embedder.embed([question])
        await trio.to_thread.run_sync(_scan, self._matrix, vector)


def _encode(wholes: Sequence[Whole]) -> bytes:
    return msgspec.json.encode(list(map(whole_document, wholes)))


def _encode_page(wholes: Sequence[Whole], count: int) -> bytes:
    assert len(wholes) == FOUND
    return _encode(wholes)


def _scan(matrix: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.intp]:
    scores = matrix @ vector
    best = np.argpartition(scores, -FOUND)[-FOUND:]
    return best[np.argsort(-scores[best])]


Work = Callable[[Reader], Awaitable[None]]


async def compare(ours: Work, bare: Work, few: Reader, many: Reader, rounds: int) -> Compared:
    """Interleaved, so that what the machine does besides meets all alike."""
    arms = [(work, reader) for reader in (few, many) for work in (ours, bare)]
    for work, reader in arms:
        await work(reader)
    times = np.array([[await _ms(work, reader) for work, reader in arms] for _ in range(rounds)])
    at_few, at_many = times[:, :2], times[:, 2:]
    return Compared(_costs(at_few), _costs(at_many), float(np.median(at_many[:, 0] / at_few[:, 0])))


def _costs(times: NDArray[np.float64]) -> Costs:
    ours, bare = np.median(times, axis=0)
    return Costs(float(ours), float(bare), float(np.median(times[:, 0] / times[:, 1])))


async def _ms(work: Work, reader: Reader) -> float:
    began = time.perf_counter()
    await work(reader)
    return 1e3 * (time.perf_counter() - began)
