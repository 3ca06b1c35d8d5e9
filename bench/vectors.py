"""Search by meaning among 10,000 vectors of one user, against what it cannot do without.

Run `python -m bench vectors`. The limit in the same run, round by round: embedding the question, and one numpy scan of
all vectors for the ten nearest, both in a thread as in any server. A search may take 1.5 times that.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import trio
from numpy.typing import NDArray

from engine.conversation.embedding.minilm import DIMENSIONS, MODEL, MiniLm
from engine.conversation.vector_search import search_by_meaning
from engine.off_loop import worker_threads
from engine.store import Store, VectorFilter, VectorRow

VECTORS = 10_000
K = 10
ROUNDS = 40
LIMIT = 1.5
UID = "one"
QUESTION = "When are we going to sail, and who books the boat?"
TOPICS = 200


def _rows() -> list[VectorRow]:
    rng = np.random.default_rng(1)
    drawn = rng.standard_normal((VECTORS, DIMENSIONS)).astype(np.float32)
    return [
        VectorRow(
            uid=UID,
            kind="conversation",
            id=f"{number:08d}-0000-4000-8000-000000000000",
            model=MODEL,
            created_at=number,
            vector=vector,
            topics=(f"topic {number % TOPICS}",),
        )
        for number, vector in enumerate(drawn)
    ]


def _scan(matrix: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.intp]:
    scores = matrix @ vector
    best = np.argpartition(scores, -K)[-K:]
    return best[np.argsort(-scores[best])]


async def _ms(work: Callable[[], Awaitable[object]]) -> float:
    before = time.perf_counter()
    await work()
    return 1e3 * (time.perf_counter() - before)


def _shown(name: str, spent: list[float]) -> None:
    middle = statistics.median(spent)
    worst = sorted(spent)[int(0.95 * len(spent))]
    print(f"{name:<44}{middle:>9.2f} ms{worst:>9.2f} ms")


async def _compare(store: Store, embedder: MiniLm, matrix: NDArray[np.float32]) -> float:
    """The median of the rounds' ratios of a search to embedding and scan."""

    async def bare() -> None:
        (vector,) = await embedder.embed([QUESTION])
        await trio.to_thread.run_sync(_scan, matrix, vector)

    async def search(filter: VectorFilter | None = None) -> None:
        await search_by_meaning(store.vectors, embedder, UID, QUESTION, k=K, filter=filter)

    (question,) = await embedder.embed([QUESTION])
    by_topic = VectorFilter(topics=("topic 7", "topic 8"))
    in_time = VectorFilter(start=VECTORS // 2)
    await search()
    bares, searches, topical, recent, scans = [], [], [], [], []
    for _ in range(ROUNDS):
        bares.append(await _ms(bare))
        searches.append(await _ms(search))
        topical.append(await _ms(lambda: search(by_topic)))
        recent.append(await _ms(lambda: search(in_time)))
        before = time.perf_counter()
        _scan(matrix, question)
        scans.append(1e3 * (time.perf_counter() - before))
    print(f"{VECTORS} vectors of {DIMENSIONS}, {K} nearest{'median':>23}{'p95':>12}")
    _shown("numpy scan alone", scans)
    _shown("embedding the question and numpy scan", bares)
    _shown("search", searches)
    _shown("search by two topics", topical)
    _shown("search in a time range", recent)
    return statistics.median(one / other for one, other in zip(searches, bares, strict=True))


async def _after_a_write(store: Store, embedder: MiniLm, row: VectorRow) -> list[float]:
    """Of the first search after each write, which reads all vectors again; the question is embedded already."""
    (question,) = await embedder.embed([QUESTION])
    spent = []
    for _ in range(5):
        await store.vectors.upsert_vector(row)
        spent.append(await _ms(lambda: store.vectors.query_vectors(UID, "conversation", MODEL, question, K)))
    return spent


async def _run() -> int:
    embedder = await MiniLm.open(worker_threads(1))
    with TemporaryDirectory() as folder:
        store = await Store.open(Path(folder), trio.to_thread.run_sync)
        rows = _rows()
        before = time.perf_counter()
        for start in range(0, VECTORS, 500):
            await store.vectors.upsert_vectors(rows[start : start + 500])
        spent = time.perf_counter() - before
        print(f"kept in {spent:.1f} s, 500 in a transaction: {1e6 * spent / VECTORS:.0f} µs each")
        matrix = np.stack([row.vector / np.linalg.norm(row.vector) for row in rows])
        ratio = await _compare(store, embedder, matrix)
        _shown("query after a write, reading all again", await _after_a_write(store, embedder, rows[0]))
        print(f"cache: {store.vectors.statistics().size / 2**20:.1f} MiB")
        await store.close()
    print(f"search / (embedding + scan) = {ratio:.2f} (at most {LIMIT})")
    return int(ratio > LIMIT)


def main() -> int:
    """Print all figures; 1 when a search takes too long."""
    return trio.run(_run)


if __name__ == "__main__":
    raise SystemExit(main())
