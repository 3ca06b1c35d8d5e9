"""What users ask of processing besides ending a conversation: take one that is whole, process it again, merge several.

Operations: `from_text`, `from_segments`, `reprocess`, `merge`, `progress`.
Invariants: each is one transaction that also adds the job, so what was answered is done, whatever dies meanwhile; a
conversation that is being processed or merged is not taken a second time.
Bounded: `MERGE_LIMIT` conversations in one merge.
Cancellation: a cancelled request may have been taken.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec.structs import replace

from engine.conversation.given import Given, row_of, segments_of_text, text_row, transcript_row
from engine.conversation.ports import Clock, Conversations, Jobs, Processing, Wholes, Work
from engine.conversation.states import Trigger, statuses_before
from engine.ids import new_id
from engine.moments import SECOND
from engine.store.jobs import PROCESS, Job
from engine.store.records import ConversationRow
from engine.store.whole import Whole
from engine.wire.messages import Segment

__all__ = ["MERGE_LIMIT", "NotPossible", "Requests"]

MERGE_LIMIT = 50
UNKNOWN = Given()


class NotPossible(Exception):
    """The conversation is not in a state in which this can be done. The text says in which it is."""


class Shelves(Protocol):
    """Where conversations lie. `engine.store.Store` is one."""

    @property
    def jobs(self) -> Jobs: ...
    @property
    def processing(self) -> Processing: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def wholes(self) -> Wholes: ...


class Requests:
    """Of all users. `answer_wait`: seconds that is waited for a conversation to be processed, where that is asked."""

    def __init__(self, shelves: Shelves, work: Work, now: Clock, answer_wait: float) -> None:
        self._shelves = shelves
        self._work = work
        self._now = now
        self._answer_wait = answer_wait

    async def from_text(
        self,
        uid: str,
        text: str,
        *,
        text_source: str = "audio_transcript",
        text_source_spec: str | None = None,
        given: Given = UNKNOWN,
        wait: bool = False,
    ) -> ConversationRow:
        """A new conversation whose words are `text`; with `wait` as it is after processing, else `processing`."""
        external = {"text": text, "text_source": text_source, "text_source_spec": text_source_spec}
        return await self._begin(text_row(self._now(), uid, external, given), (), wait)

    async def from_segments(
        self, uid: str, segments: Sequence[Segment], *, given: Given = UNKNOWN, wait: bool = False
    ) -> ConversationRow:
        """The same of segments, whose times are seconds after its beginning; each must have an id of its own."""
        return await self._begin(transcript_row(self._now(), uid, segments, given), segments, wait)

    async def _begin(self, row: ConversationRow, segments: Sequence[Segment], wait: bool) -> ConversationRow:
        await self._shelves.processing.begin(row, segments, {})
        return await self._awaited(row) if wait else self._woken(row)

    def _woken(self, row: ConversationRow) -> ConversationRow:
        self._work.wake()
        return row

    async def _awaited(self, row: ConversationRow) -> ConversationRow:
        self._work.wake()
        await self._work.wait(row.uid, row.id, self._answer_wait)
        return await self._shelves.conversations.get(row.uid, row.id) or row

    async def reprocess(
        self, uid: str, id: str, *, language: str | None = None, app_id: str | None = None
    ) -> ConversationRow:
        """Process a conversation again and return it, still `processing` when that takes too long.

        `language`: to write in, instead of the one spoken. Raises `KeyError` when there is none, `NotPossible`.
        """
        payload = {"force": True, "language": language, "app_id": app_id}
        expected = statuses_before(Trigger.REPROCESSED)
        row = await self._shelves.processing.again(uid, id, payload, expected)
        if row is None:
            found = await self._shelves.conversations.get(uid, id)
            if found is None:
                raise KeyError(id)
            raise NotPossible(f"the conversation is {found.status}: wait until it is completed")
        return await self._awaited(row)

    async def merge(self, uid: str, ids: Sequence[str], *, reprocess: bool = True) -> ConversationRow:
        """Make one conversation of several; it is `processing`, and they are deleted once it is completed.

        Without `reprocess` its title, overview and action items are those of the ones it is made of. Raises
        `KeyError` for one that is not there, `NotPossible` for one that cannot be merged now.
        """
        sources = [await self._source(uid, id) for id in ids]
        sources.sort(key=lambda whole: (whole.row.started_at, whole.row.created_at))
        rows = [whole.row for whole in sources]
        row = row_of(
            self._now(),
            uid,
            Given(
                started_at=rows[0].started_at,
                finished_at=max(row.finished_at for row in rows),
                source=rows[0].source,
                language=next((row.language for row in rows if row.language), None),
                geolocation=next((row.geolocation for row in rows if row.geolocation), None),
                folder_id=rows[0].folder_id,
            ),
        )
        row = replace(row, created_at=rows[0].created_at, starred=any(row.starred for row in rows))
        payload = {"force": True, "extract": reprocess}
        expected = statuses_before(Trigger.MERGED)
        names = [source.id for source in rows]
        if not await self._shelves.processing.merge(row, merged(sources), payload, names, expected):
            raise NotPossible("one of the conversations was changed meanwhile: try again")
        return self._woken(row)

    async def _source(self, uid: str, id: str) -> Whole:
        whole = await self._shelves.wholes.get(uid, id, pictures=False)
        if whole is None:
            raise KeyError(id)
        if whole.row.status not in statuses_before(Trigger.MERGED):
            raise NotPossible(f"conversation {id} is {whole.row.status}: wait until it is completed")
        return whole

    async def progress(self, uid: str, id: str) -> tuple[ConversationRow, Job | None]:
        """A conversation and the job on it, if there is one. Raises `KeyError` when there is no such conversation."""
        row = await self._shelves.conversations.get(uid, id)
        if row is None:
            raise KeyError(id)
        return row, await self._shelves.jobs.find(uid, PROCESS, id)


def merged(sources: Sequence[Whole]) -> list[Segment]:
    """The segments of all, their times counted from where the first begins; `sources` in time order."""
    begun = sources[0].row.started_at
    found: dict[str, Segment] = {}
    for whole in sources:
        offset = (whole.row.started_at - begun) / SECOND
        given = [] if whole.segments else segments_of_text(whole.row.external_data)
        for segment in (*whole.segments, *(replace(line, id=new_id()) for line in given)):
            changes: dict[str, Any] = {"start": segment.start + offset, "end": segment.end + offset}
            if segment.id in found:
                changes["id"] = new_id()
            moved = replace(segment, **changes)
            found[moved.id] = moved
    return sorted(found.values(), key=lambda segment: (segment.start, segment.end))
