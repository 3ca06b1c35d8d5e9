"""When conversations begin and end. One task per open conversation waits for its silence.

Operations: sessions `join`; `finish` and `finalize` end a conversation at once, `delete` removes one, `edit_live`
corrects it; `run` first brings back what an earlier process left open, then holds the tasks. Where several processes
share the users: `adopt` takes up a user's conversations from another, `release` lets another have them, `drop` forgets
those it has already.
Invariants: a user has at most one current conversation in this process; every open conversation has exactly one
task waiting for it; a conversation leaves `in_progress` once, by the process that owns its user (`Ownership`).
Bounded by the number of open conversations. After a restart each one left open has a task again, so none
outlives its timeout, whoever is connected.

    in_progress --silence, or POST--> processing, a job: see `engine.conversation.states`
    in_progress --silence, nothing said--> deleted (or, while a session listens, begun anew)

Known doubts: two sessions of one user at the same moment share a conversation, as with the Omi backend.
"""

from collections.abc import Sequence
from functools import partial
from uuid import uuid4

import trio
from msgspec.structs import replace

from engine.conversation.document import conversation_document, whole_document
from engine.conversation.editing import edit_live
from engine.conversation.keeping import Keeping
from engine.conversation.live import MICROSECONDS, LiveConversation
from engine.conversation.ports import Alone, Conversations, Ownership, Wholes, Work, Writer
from engine.listen.ports import JoinRequest, OpenConversation, Participant, SessionUsage, WallClock
from engine.log import get_logger
from engine.store.edits import SegmentEdit
from engine.store.records import (
    PROCESSING,
    ConversationClosed,
    ConversationOpened,
    ConversationRow,
    UsageRow,
)
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire import Event
from engine.wire.documents import MemoryCreated, MemoryProcessingStarted

log = get_logger(__name__)

HOUR = 3600 * MICROSECONDS


class Lifecycle:
    """All open conversations of the process. Implements `Conversations` for sessions."""

    def __init__(
        self,
        table: Conversations,
        wholes: Wholes,
        writer: Writer,
        wall_clock: WallClock,
        work: Work,
        *,
        retry_interval: float = 5.0,
        answer_wait: float = 20.0,
        erase_delay: float = 0.0,
        ownership: Ownership | None = None,
    ) -> None:
        """`work`: who processes what has ended. Without `ownership` this process owns all users.

        `retry_interval`: seconds between two tries while the disk is full; `answer_wait`: seconds that `finish` waits
        for processing; `erase_delay`: seconds from deleting to erasing.
        """
        self._table = table
        self._wholes = wholes
        self._work = work
        self._answer_wait = answer_wait
        self._erase_delay = erase_delay
        self._wall_clock = wall_clock
        self._ownership = ownership or Alone()
        self._current: dict[str, LiveConversation] = {}
        self._unfinished: dict[str, dict[str, LiveConversation]] = {}
        self._keeping = Keeping(writer, retry_interval)
        self._nursery: trio.Nursery | None = None

    async def run(
        self, *, reopen: bool = True, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Open again what was open when the last process ended (if `reopen`), then serve until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self._work.run)
            for row in await self._table.all_unfinished() if reopen else ():
                await self._reopen(row)
            task_status.started()
            await trio.sleep_forever()

    # Users that come and go between processes

    async def adopt(self, uid: str) -> None:
        """Take up what another process left unfinished of a user's; what is here stays as it is.

        Raises `DatabaseUnavailable`; then, or cancelled, some may be taken up already, and calling again is right.
        """
        for row in await self._table.unfinished(uid):
            if row.id not in self._unfinished.get(uid, {}):
                await self._reopen(row)

    async def release(self, uid: str) -> bool:
        """Let another process have the user's conversations: once True, all of them is in the database.

        False, with nothing changed, while a session writes to one. Cancelled it may be half done: `adopt` again.
        """
        current = self._current.get(uid)
        if current is not None and current.participants:
            return False
        if current is not None:
            self._detach(current)
            self._over(current)
        for conversation in list(self._unfinished.get(uid, {}).values()):
            await conversation.over.wait()
        await self._keeping.flush()
        return True

    def drop(self, uid: str) -> None:
        """Another process has the user's conversations already: leave them alone."""
        for conversation in list(self._unfinished.get(uid, {}).values()):
            log.warning("conversation.dropped", conversation=conversation.id)
            self._detach(conversation)
            conversation.removed = True
            self._over(conversation)

    def idle(self, uid: str) -> bool:
        """Whether no conversation of the user's is unfinished here."""
        return uid not in self._unfinished

    # What sessions ask

    async def join(self, participant: Participant, request: JoinRequest) -> OpenConversation:
        """See `Conversations`."""
        await self._keeping.open(participant)
        timeout = request.conversation_timeout
        conversation = self._current.get(participant.uid)
        if conversation is None:
            conversation = self._begin(participant, request.language, request.source, timeout)
        elif conversation.row.timeout_seconds != timeout:
            conversation.row = replace(conversation.row, timeout_seconds=timeout)
            self._soon(self._keep_timeout, conversation)
        conversation.join(participant)
        return conversation

    async def _keep_timeout(self, conversation: LiveConversation) -> None:
        """The latest session's timeout holds, also for a process that takes this conversation up again."""
        row = conversation.row
        await self._keeping.flush()  # the stub may not be there yet
        await self._keeping.patiently(self._table.resume, row.uid, row.id, conversation.row.timeout_seconds)

    async def last_completed(self, uid: str) -> str | None:
        """See `Conversations`."""
        row = await self._table.latest_completed(uid)
        return row.id if row else None

    def used(self, by: Participant, usage: SessionUsage) -> None:
        """See `Conversations`."""
        self._keeping.add_usage(by, self._usage_row(by, usage))

    def using(self, by: Participant, usage: SessionUsage) -> None:
        """See `Conversations`."""
        self._keeping.note_usage(by, self._usage_row(by, usage))

    def _usage_row(self, by: Participant, usage: SessionUsage) -> UsageRow:
        return UsageRow(
            uid=by.uid,
            hour=self._hour(),
            audio_seconds=usage.audio_samples / SAMPLE_RATE,
            speech_seconds=usage.speech_samples / SAMPLE_RATE,
            words=usage.words,
            segments=usage.segments,
            sessions=usage.sessions,
            vendor_seconds={name: n / SAMPLE_RATE for name, n in usage.vendor_samples.items()},
        )

    def left(self, participant: Participant) -> None:
        """See `Conversations`."""
        self._keeping.close(participant)

    # What REST asks

    async def finish(self, uid: str, id: str | None = None, *, wait: bool = True) -> ConversationRow | None:
        """End the user's conversation now and return it; None when there is nothing to end (any more).

        With `id` only that one. Also None when it is deleted meanwhile. What was said so far is transcribed first,
        within the configured time. With `wait` it is completed, or has failed, unless that takes longer than
        `answer_wait`; then it is still `processing`, as it is without. Cancellation leaves it ending.
        """
        conversation = self._current.get(uid)
        if conversation is None or id not in (None, conversation.id):
            return None
        async with trio.open_nursery() as nursery:
            for participant in conversation.participants.values():
                nursery.start_soon(participant.flush)
        if not conversation.closed:
            if conversation.empty:
                return None
            self._close(conversation, forced=True)
        await conversation.over.wait()
        if wait:
            await self._work.wait(uid, conversation.id, self._answer_wait)
        return None if conversation.removed else await self._table.get(uid, conversation.id)

    async def delete(self, uid: str, conversation_id: str, *, cascade: bool = False) -> bool:
        """Remove a conversation, with `cascade` also its memories; False when there is none.

        Of one in progress, what was said so far is removed and a new one begins; cancellation does not keep it.
        """
        conversation = self._current.get(uid)
        if conversation is None or conversation.id != conversation_id:
            delay = self._erase_delay
            found = await self._table.delete(uid, conversation_id, cascade=cascade, delay=delay)
            self._work.wake()
            return found
        self._replace(conversation)
        self._soon(self._remove, conversation, self._erase_delay)
        await conversation.over.wait()
        return True

    async def edit_live(self, uid: str, conversation_id: str, edit: SegmentEdit) -> list[str] | None:
        """Edit what was said in a conversation in progress; None when nobody here holds it (any more).

        Else those segments that are not there, with which nothing was changed.
        """
        conversation = self._unfinished.get(uid, {}).get(conversation_id)
        if conversation is None:
            return None
        return await edit_live(conversation, edit, self._table, self._keeping)

    async def tell(self, uid: str, id: str) -> None:
        """A conversation was completed or has failed: tell the sessions of its user that are here."""
        current = self._current.get(uid)
        if current is None or not current.participants:
            return
        whole = await self._wholes.get(uid, id)
        if whole is None:
            return
        document = whole_document(whole)
        self.notify(uid, MemoryCreated(memory=document))

    def notify(self, uid: str, event: Event) -> None:
        """Tell the sessions of a user that are here."""
        current = self._current.get(uid)
        for participant in list(current.participants.values()) if current is not None else ():
            participant.notify(event)

    # Beginning

    async def _reopen(self, row: ConversationRow) -> None:
        whole = await self._keeping.patiently(self._wholes.get, row.uid, row.id)
        silent_for = (self._wall_clock() - row.last_speech_at) / MICROSECONDS
        conversation = self._live(row, silent_for=max(silent_for, 0.0))
        if whole is not None:
            conversation.recover(whole.segments, len(whole.photos))
        older = self._current.get(row.uid)
        if older is not None:
            self._close(older)
        self._open(conversation)

    def _begin(
        self, participant: Participant, language: str | None, source: str | None, timeout: int
    ) -> LiveConversation:
        """A new stub, in the journal of the session that needs it."""
        now = self._wall_clock()
        row = ConversationRow(
            uid=participant.uid,
            id=str(uuid4()),
            created_at=now,
            started_at=now,
            finished_at=now,
            last_speech_at=now,
            timeout_seconds=timeout,
            source=source or "unknown",
            language=language,
        )
        self._keeping.keep(participant, ConversationOpened(row))
        conversation = self._live(row, silent_for=0.0)
        self._open(conversation)
        return conversation

    def _live(self, row: ConversationRow, silent_for: float) -> LiveConversation:
        conversation = LiveConversation(
            row, silent_for=silent_for, keep=self._keeping.keep, split=self._split
        )
        self._unfinished.setdefault(row.uid, {})[row.id] = conversation
        return conversation

    def _over(self, conversation: LiveConversation) -> None:
        """Nothing more is done about it here."""
        conversation.over.set()
        others = self._unfinished.get(conversation.row.uid, {})
        others.pop(conversation.id, None)
        if not others:
            self._unfinished.pop(conversation.row.uid, None)

    def _open(self, conversation: LiveConversation) -> None:
        self._current[conversation.row.uid] = conversation
        self._soon(self._watch, conversation)

    # Ending

    async def _watch(self, conversation: LiveConversation) -> None:
        """End the conversation when its silence has lasted."""
        while not conversation.closed:
            if not conversation.silent:
                await conversation.wait()
            elif not await self._keeping.patiently(self._ownership.holds, conversation.row.uid):
                self.drop(conversation.row.uid)
            elif conversation.closed or not conversation.silent:
                continue  # something happened while we asked
            elif not conversation.empty:
                self._close(conversation)
            elif conversation.participants:
                conversation.restart(self._wall_clock())
            else:  # nothing was said and nobody listens: there was no conversation
                self._detach(conversation)
                await self._remove(conversation)

    async def _remove(self, conversation: LiveConversation, delay: float = 0.0) -> None:
        """Forget one that no session is in any more; what was said in it is erased after `delay` seconds."""
        await self._keeping.flush()
        delete = partial(self._table.delete, delay=delay)
        await self._keeping.patiently(delete, conversation.row.uid, conversation.id)
        self._work.wake()
        conversation.removed = True
        self._over(conversation)

    def _detach(self, conversation: LiveConversation) -> None:
        conversation.closed = True
        conversation.changed.set()
        if self._current.get(conversation.row.uid) is conversation:
            del self._current[conversation.row.uid]

    def _replace(
        self, conversation: LiveConversation, mover: Participant | None = None
    ) -> tuple[list[Participant], LiveConversation | None]:
        """End `conversation`; those in it go on in a new one. `mover` moves by itself."""
        self._detach(conversation)
        participants = list(conversation.participants.values())
        conversation.participants.clear()
        if not participants:
            return [], None
        row = conversation.row
        following = self._begin(participants[0], row.language, row.source, row.timeout_seconds)
        for participant in participants:
            following.join(participant)
            if participant is not mover:
                participant.move_to(following)
        return participants, following

    def _close(self, conversation: LiveConversation, *, forced: bool = False) -> None:
        participants, _ = self._replace(conversation)
        self._soon(self._hand_on, conversation, participants, forced)

    def _split(self, conversation: LiveConversation, by: Participant) -> OpenConversation:
        participants, following = self._replace(conversation, mover=by)
        assert following is not None, "the session that splits a conversation takes part in it"
        self._soon(self._hand_on, conversation, participants, False)
        return following

    async def _hand_on(
        self, conversation: LiveConversation, told: Sequence[Participant], forced: bool
    ) -> None:
        """From `in_progress` to `processing`, telling those who took part."""
        row = conversation.row = replace(conversation.row, status=PROCESSING)
        closed = ConversationClosed(row.uid, row.id, PROCESSING, row.finished_at, forced=forced)
        await self._keeping.record((closed,))
        segments = await self._keeping.patiently(self._table.segments, row.uid, row.id)
        document = conversation_document(row, segments)
        for participant in told:
            participant.notify(MemoryProcessingStarted(memory=document))
        self._work.wake()
        self._over(conversation)
        log.info("conversation.ended", conversation=row.id, segment_count=len(segments))

    def _hour(self) -> int:
        now = self._wall_clock()
        return now - now % HOUR

    def _soon(self, task: object, *arguments: object) -> None:
        assert self._nursery is not None, "the lifecycle runs"
        self._nursery.start_soon(task, *arguments)  # type: ignore[arg-type]
