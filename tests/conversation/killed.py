"""A process that ends a conversation and processes it, and kills itself (SIGKILL) at one of its transactions.

    python -m tests.conversation.killed FOLDER EVERY [URL]

prints two lines of JSON for each step: it is done once without a kill, then again and again, killed before the end of
transaction number 0, EVERY, 2 EVERY …, then after the commit of such a write, until there is none of that number.
After each kill another process goes on with what was left, and the second line says what there is in the end. On
SQLite, or on the PostgreSQL database at URL, which is emptied for each step. Processes are forked off one that has
imported everything.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio
from sqlalchemy import Connection, select

from engine.config import Conversation
from engine.conversation import Lifecycle
from engine.conversation.processor import Processor
from engine.listen.ports import OpenConversation
from engine.metrics import Metrics
from engine.store import ConversationRow, DatabaseWriter, SegmentsChanged, Store
from engine.store.database import Database, wall_clock
from engine.store.tables import conversations, metadata
from engine.store.texts import TextHit, words_of
from engine.wire.messages import Event, Segment, Speaker
from tests.conversation.processing import SEGMENTS, Letters, TestModels
from tests.databases import migrated
from tests.patience import PATIENCE
from tests.postgres import empty

UID, ID = "ada", "c1"
COUNTED = ("action_items", "memories", "vectors", "texts", "usage", "segments", "jobs")
LATER = 3_600_000_000
"""µs by which the clock of the process that goes on is ahead: claims of the dead one have run out."""


class Listener:
    """A session in the conversation. What it is told is appended to a file, which outlives it."""

    id, uid, speech_waiting = "session", UID, False

    def __init__(self, file: Path) -> None:
        self._file = file

    def silence(self) -> float | None:
        return None

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()

    def notify(self, event: Event) -> None:
        with self._file.open("a") as file:
            file.write(f"{type(event).__name__}\n")

    def show(self, conversation: OpenConversation, segments: Sequence[Segment]) -> None:
        """Nobody looks."""

    def move_to(self, conversation: OpenConversation) -> None:
        """It goes on in another one."""

    def assign(self, label: str, who: Speaker) -> None:
        """Nobody says who speaks."""


@contextmanager
def killed_at(number: int, *, committed: bool) -> Iterator[None]:
    """Inside, this process dies at its transaction of that number (from 0), before its end; or after that write."""
    counted = -1
    run = Database._transaction

    def count(self: Database, readonly: bool, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        nonlocal counted
        counted += not (readonly and committed)
        mine = counted == number and not (readonly and committed)

        def last(connection: Connection, *args: Any) -> Any:
            result = fn(connection, *args)
            if mine and not committed:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        result = run(self, readonly, last, args)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    Database._transaction = count  # type: ignore[method-assign]
    try:
        yield
    finally:
        Database._transaction = run  # type: ignore[method-assign]


async def prepare(folder: Path, url: str) -> None:
    """A conversation in progress."""
    store = await Store.open(folder if url else migrated(folder), trio.to_thread.run_sync, url=url)
    at = wall_clock()
    row = ConversationRow(
        uid=UID,
        id=ID,
        created_at=at,
        started_at=at,
        finished_at=at,
        last_speech_at=at,
        timeout_seconds=120,
        language="en",
    )
    await store.conversations.create(row)
    await store.conversations.apply([SegmentsChanged(UID, ID, SEGMENTS, at, at)])
    await store.close()


async def go_on(folder: Path, url: str, ahead: int, told: Path, listener: Listener | None) -> None:
    """As a server does: recover, take up conversations, process them. With `listener` it is ended by its owner.

    When the conversation is finished, say what there is.
    """
    store = await Store.open(
        folder if url else migrated(folder),
        trio.to_thread.run_sync,
        url=url,
        now=lambda: wall_clock() + ahead,
    )
    writer = DatabaseWriter(store, trio.to_thread.run_sync, write_interval=0.01)
    models = TestModels(embedder=Letters())
    processor = Processor(store, models, Conversation(claim_time=60.0), store.now, Metrics())
    lifecycle = Lifecycle(store.conversations, store.wholes, writer, store.now, processor)
    done = trio.Event()

    async def tell(uid: str, id: str) -> None:
        await lifecycle.tell(uid, id)
        done.set()

    processor.when_done(tell)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            await nursery.start(writer.run)
            await writer.recover()
            await nursery.start(lifecycle.run)
            if listener is not None:
                await lifecycle._keeping.open(listener)
                lifecycle._ongoing.current[UID].join(listener)
                nursery.start_soon(lifecycle.finish, UID)
            row = await store.conversations.get(UID, ID)
            if row is None or row.status in ("in_progress", "processing"):
                await done.wait()
            nursery.cancel_scope.cancel()
    end = await store._database.read(_kept, await store.texts.search(UID, words_of("caterer")))
    await store.close()
    lines = await trio.Path(told).read_text() if await trio.Path(told).exists() else ""
    sys.stdout.write(json.dumps({**end, "told": lines.split()}) + "\n")
    sys.stdout.flush()


def _kept(connection: Connection, found: list[TextHit]) -> dict[str, Any]:
    """What there is in the end."""
    tables = {name: metadata.tables[name] for name in COUNTED}
    kept = {}
    for name, table in tables.items():
        keys = [column for column in table.primary_key if column.name not in ("uid", "hour")]
        rows = connection.execute(select(*(keys or [table.c.conversations])).where(table.c.uid == UID))
        kept[name] = sorted("/".join(map(str, row)) for row in rows)
    (row,) = connection.execute(
        select(conversations).where(conversations.c.uid == UID, conversations.c.id == ID)
    )
    return {
        "status": row.status,
        "failure": row.failure,
        "version": row.processing_version,
        "title": row.structured.get("title"),
        "found": [hit.id for hit in found],
        "kept": kept,
    }


def forked(work: Callable[[], None]) -> int:
    """Do it in a process of its own; how that ended."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Walk:
    """Steps on one database; each begins with the same conversation in progress."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._template = folder / "template"
        self._prepare(self._template)

    def step(self, number: int, *, committed: bool) -> bool:
        """One process, killed at that transaction, and one that goes on; whether the first was killed."""
        folder = self._folder / f"{committed}{number}"
        self._begin(folder)
        told = folder / "told"

        def first() -> None:
            with killed_at(number, committed=committed):
                trio.run(go_on, folder, self._url, 0, told, Listener(told))

        def second() -> None:
            trio.run(go_on, folder, self._url, LATER, told, None)

        sys.stdout.write(json.dumps({"number": number, "committed": committed}) + "\n")
        sys.stdout.flush()
        ended = forked(first)
        if ended != 0:
            assert ended == -signal.SIGKILL
            assert forked(second) == 0, f"going on after {number} failed"
        shutil.rmtree(folder)
        return ended != 0

    def _begin(self, folder: Path) -> None:
        if self._url:
            empty(self._url)
            self._prepare(folder)
        else:
            shutil.copytree(self._template, folder)

    def _prepare(self, folder: Path) -> None:
        assert forked(lambda: trio.run(prepare, folder, self._url)) == 0


def main(folder: Path, every: int, url: str = "") -> None:
    walk = Walk(folder, url)
    walk.step(-1, committed=False)
    for committed in (False, True):
        number = 0
        while walk.step(number, committed=committed):
            number += every


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
