"""What is kept of conversations: in a journal at once, in the database soon, whatever does not work meanwhile.

Operations: `open` a session's journal, `keep` a record in it, `add_usage` and `note_usage`, `close` it; `record` what
no session's journal takes; `flush`; `patiently` asks the database.
Invariants: a record is in a journal, or at least in the writer's memory, before `keep` returns.
Bounded by the sessions there are: one journal each.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import uuid4

import trio

from engine.conversation.ports import Journal, Writer
from engine.listen.ports import Participant, SessionUsage
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable, JournalFull, WriterFull
from engine.store.records import JournalRecord, UsageAdded, UsageRow, UsageSoFar
from engine.store.usage import hour_of
from engine.transcript.timeline import SAMPLE_RATE

log = get_logger(__name__)

T = TypeVar("T")


class Keeping:
    """The journals of the live sessions. `retry_interval`: seconds between two tries while disk or database fail."""

    def __init__(self, writer: Writer, retry_interval: float) -> None:
        self._writer = writer
        self._retry_interval = retry_interval
        self._journals: dict[str, Journal] = {}
        self._portions: dict[str, int] = {}
        self._noted: dict[str, UsageSoFar] = {}

    async def open(self, participant: Participant) -> None:
        """Make the session's journal. Raises `JournalFull`."""
        self._journals[participant.id] = await self._writer.open_journal(participant.id)

    def close(self, participant: Participant) -> None:
        """The session is over: its journal is removed once the database has all of it."""
        self._portions.pop(participant.id, None)
        self._noted.pop(participant.id, None)
        journal = self._journals.pop(participant.id, None)
        if journal is not None:
            journal.end()

    def keep(self, by: Participant, record: JournalRecord) -> None:
        """In the journal now, in the database soon; without disk for a journal, in memory until the database has it."""
        noted = self._noted.pop(by.id, None)
        self._append(self._journals[by.id], record, noted)

    def add_usage(self, by: Participant, row: UsageRow) -> None:
        """A portion of usage is over."""
        self._noted.pop(by.id, None)
        number = self._portions.get(by.id, 0)
        self._portions[by.id] = number + 1
        self.keep(by, UsageAdded(f"{by.id}:{number}", row))

    def note_usage(self, by: Participant, row: UsageRow) -> None:
        """What the next portion has come to, for whoever replays the journal if it never is over.

        It goes to the journal with what is kept next: a system call of its own would cost as much as the words.
        """
        self._noted[by.id] = UsageSoFar(f"{by.id}:{self._portions.get(by.id, 0)}", row)

    def _append(self, journal: Journal, record: JournalRecord, noted: UsageSoFar | None = None) -> None:
        try:
            journal.append(record, *(() if noted is None else (noted,)))
        except JournalFull as error:
            log.error("journal.full", error=str(error))
        self._writer.submit(journal, (record,))

    async def record(self, records: Sequence[JournalRecord]) -> None:
        """Keep what no session's journal takes any more; returns once the database has it."""
        while True:
            if await self._recorded(records):
                break
            await trio.sleep(self._retry_interval)
        await self._writer.flush()

    async def _recorded(self, records: Sequence[JournalRecord]) -> bool:
        """False when neither disk nor memory has room."""
        try:
            journal = await self._writer.open_journal(f"lifecycle-{uuid4().hex}")
            for record in records:
                self._append(journal, record)
        except (JournalFull, WriterFull) as error:
            log.error("lifecycle.waiting_for_room", error=str(error))
            return False
        journal.end()
        return True

    async def flush(self) -> None:
        """Return when all that was kept so far is in the database."""
        await self._writer.flush()

    async def patiently(self, ask: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Ask the database until it answers: locked or full, it must not end the process, nor be forgotten."""
        while True:
            try:
                return await ask(*arguments)
            except DatabaseUnavailable as error:
                log.error("lifecycle.waiting_for_database", error=str(error))
            await trio.sleep(self._retry_interval)


def usage_row(uid: str, usage: SessionUsage, now: int) -> UsageRow:
    """What a session used, as a part of the hour in which it is `now` (µs)."""
    return UsageRow(
        uid=uid,
        hour=hour_of(now),
        audio_seconds=usage.audio_samples / SAMPLE_RATE,
        speech_seconds=usage.speech_samples / SAMPLE_RATE,
        words=usage.words,
        segments=usage.segments,
        sessions=usage.sessions,
        vendor_seconds={name: n / SAMPLE_RATE for name, n in usage.vendor_samples.items()},
    )
