"""What it costs to bring the database up to date: a batch of changed conversations, beside the bare database.

A batch holds one new revision of a segment of each of `CONVERSATIONS` conversations, as live sessions give in a
second. `apply_batch` and plain sqlite3 with the same statements' text take turns in one file each; the ratio is what
SQLAlchemy and the folding of records add.
"""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, event

from engine.store.apply import apply_batch
from engine.store.batch import Batch
from engine.store.database import DATABASE_FILE, open_engine
from engine.store.records import ConversationOpened, ConversationRow, JournalRecord, SegmentsChanged
from engine.wire.messages import Segment

CONVERSATIONS = 100
ROUNDS = 60
NOW = 1_800_000_000_000_000
TEXT = "The quarterly numbers came in slightly above what we had expected. "


def opened() -> list[JournalRecord]:
    """What makes the conversations."""
    return [
        ConversationOpened(
            ConversationRow(
                uid=f"user-{n}",
                id=f"conversation-{n}",
                created_at=NOW,
                started_at=NOW,
                finished_at=NOW,
                last_speech_at=NOW,
                timeout_seconds=120,
            )
        )
        for n in range(CONVERSATIONS)
    ]


def changed(revision: int) -> list[JournalRecord]:
    """One changed segment of each conversation; a new segment every third time."""
    number, part = divmod(revision, 3)
    at = NOW + revision * 1_000_000
    return [
        SegmentsChanged(
            f"user-{n}",
            f"conversation-{n}",
            (
                Segment(
                    id=f"segment-{n}-{number}",
                    text=TEXT * (part + 1),
                    start=float(number),
                    end=number + 1.0,
                    revision=part + 1,
                    stt_provider="deepgram",
                ),
            ),
            at,
            at,
        )
        for n in range(CONVERSATIONS)
    ]


def apply(engine: Engine, records: Sequence[JournalRecord]) -> None:
    """As the writer does: fold, and write in one transaction."""
    with engine.begin() as connection:
        apply_batch(connection, Batch.of(records))


class Recorded:
    """The statements that a batch became, to be run again without SQLAlchemy."""

    def __init__(self, engine: Engine) -> None:
        self.statements: list[tuple[str, Sequence[Sequence[object]]]] = []
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, *arguments: object) -> None:
        _, _, text, values, _, many = arguments
        assert isinstance(text, str)
        assert isinstance(values, list | tuple)
        if not text.startswith(("BEGIN", "PRAGMA")):
            self.statements.append((text, values if many else [values]))

    def take(self) -> list[tuple[str, Sequence[Sequence[object]]]]:
        """What was noted since the last call."""
        taken, self.statements = self.statements, []
        return taken


def replay(
    connection: sqlite3.Connection, statements: Sequence[tuple[str, Sequence[Sequence[object]]]]
) -> None:
    """The same in plain sqlite3."""
    connection.execute("BEGIN IMMEDIATE")
    for text, values in statements:
        connection.executemany(text, values)
    connection.execute("COMMIT")


def _cpu(run: Callable[[], None]) -> float:
    """µs of this thread's CPU for each conversation."""
    began = time.thread_time_ns()
    run()
    return (time.thread_time_ns() - began) / 1000 / CONVERSATIONS


def measure(folder: Path, rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """µs of CPU a conversation, round by round: `apply_batch`, and the bare database."""
    ours = open_engine(folder / "ours", 5.0)
    source = open_engine(folder / "source", 5.0)  # what it writes is noted for the bare one
    open_engine(folder / "bare", 5.0).dispose()
    bare = sqlite3.connect(folder / "bare" / DATABASE_FILE, isolation_level=None)
    bare.execute("PRAGMA synchronous=FULL")
    recorded = Recorded(source)
    apply(source, opened())
    replay(bare, recorded.take())
    apply(ours, opened())
    engine_times, bare_times = [], []
    for revision in range(rounds):
        records = changed(revision)
        apply(source, records)
        statements = recorded.take()
        engine_times.append(_cpu(partial(apply, ours, records)))
        bare_times.append(_cpu(partial(replay, bare, statements)))
    bare.close()
    ours.dispose()
    source.dispose()
    return engine_times, bare_times


def main() -> int:
    """Print the cost of both and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        engine_times, bare_times = measure(Path(folder))
    ratios = [ours / bare for ours, bare in zip(engine_times, bare_times, strict=True)]
    print(
        f"{CONVERSATIONS} changed conversations a batch, {len(ratios)} batches; CPU a conversation, medians"
    )
    print(f"apply_batch  {statistics.median(engine_times):7.1f} µs")
    print(f"bare sqlite3 {statistics.median(bare_times):7.1f} µs")
    print(f"ratio        {statistics.median(ratios):7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
