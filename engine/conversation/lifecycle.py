"""When conversations begin and end, as sessions, REST and other processes ask; `Ongoing` does it.

Operations: sessions `join`; `finish` ends a conversation at once, `delete` removes one, `edit_live`
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

import trio
from msgspec.structs import replace

from engine.conversation.document import whole_document
from engine.conversation.editing import edit_live
from engine.conversation.keeping import Keeping, usage_row
from engine.conversation.live import LiveConversation
from engine.conversation.ongoing import Ongoing
from engine.conversation.ports import Alone, Conversations, Ownership, Wholes, Work, Writer
from engine.listen.ports import JoinRequest, OpenConversation, Participant, SessionUsage, WallClock
from engine.log import get_logger
from engine.store.edits import SegmentEdit
from engine.store.records import ConversationRow
from engine.wire import Event
from engine.wire.documents import MemoryCreated
from engine.wire.messages import ProactiveMessage

log = get_logger(__name__)


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
        self._keeping = Keeping(writer, retry_interval)
        self._ongoing = Ongoing(table, wholes, self._keeping, wall_clock, work, ownership or Alone())

    async def run(
        self, *, reopen: bool = True, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Open again what was open when the last process ended (if `reopen`), then serve until cancelled."""
        async with trio.open_nursery() as nursery:
            self._ongoing.hold(nursery)
            await nursery.start(self._work.run)
            for row in await self._table.all_unfinished() if reopen else ():
                await self._ongoing.reopen(row)
            task_status.started()
            await trio.sleep_forever()

    # Users that come and go between processes

    async def adopt(self, uid: str) -> None:
        """Take up what another process left unfinished of a user's; what is here stays as it is.

        Raises `DatabaseUnavailable`; then, or cancelled, some may be taken up already, and calling again is right.
        """
        for row in await self._table.unfinished(uid):
            if row.id not in self._ongoing.unfinished.get(uid, {}):
                await self._ongoing.reopen(row)

    async def release(self, uid: str) -> bool:
        """Let another process have the user's conversations: once True, all of them is in the database.

        False, with nothing changed, while a session writes to one. Cancelled it may be half done: `adopt` again.
        """
        current = self._ongoing.current.get(uid)
        if current is not None and current.participants:
            return False
        if current is not None:
            self._ongoing.detach(current)
            self._ongoing.over(current)
        for conversation in list(self._ongoing.unfinished.get(uid, {}).values()):
            await conversation.over.wait()
        await self._keeping.flush()
        return True

    def drop(self, uid: str) -> None:
        """Another process has the user's conversations already: leave them alone."""
        self._ongoing.drop(uid)

    def idle(self, uid: str) -> bool:
        """Whether no conversation of the user's is unfinished here."""
        return uid not in self._ongoing.unfinished

    # What sessions ask

    async def join(self, participant: Participant, request: JoinRequest) -> OpenConversation:
        """See `Conversations`."""
        await self._keeping.open(participant)
        timeout = request.conversation_timeout
        conversation = self._ongoing.current.get(participant.uid)
        if conversation is None:
            conversation = self._ongoing.begin(participant, request.language, request.source, timeout)
        elif conversation.row.timeout_seconds != timeout:
            conversation.row = replace(conversation.row, timeout_seconds=timeout)
            self._ongoing.soon(self._keep_timeout, conversation)
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
        self._keeping.add_usage(by, usage_row(by.uid, usage, self._wall_clock()))

    def using(self, by: Participant, usage: SessionUsage) -> None:
        """See `Conversations`."""
        self._keeping.note_usage(by, usage_row(by.uid, usage, self._wall_clock()))

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
        conversation = self._ongoing.current.get(uid)
        if conversation is None or id not in (None, conversation.id):
            return None
        async with trio.open_nursery() as nursery:
            for participant in conversation.participants.values():
                nursery.start_soon(participant.flush)
        if not conversation.closed:
            if conversation.empty:
                return None
            self._ongoing.close(conversation, forced=True)
        await conversation.over.wait()
        if wait:
            await self._work.wait(uid, conversation.id, self._answer_wait)
        return None if conversation.removed else await self._table.get(uid, conversation.id)

    async def delete(self, uid: str, conversation_id: str, *, cascade: bool = False) -> bool:
        """Remove a conversation, with `cascade` also its memories; False when there is none.

        Of one in progress, what was said so far is removed and a new one begins; cancellation does not keep it.
        """
        conversation = self._ongoing.current.get(uid)
        if conversation is None or conversation.id != conversation_id:
            delay = self._erase_delay
            found = await self._table.delete(uid, conversation_id, cascade=cascade, delay=delay)
            self._work.wake()
            return found
        self._ongoing.replace_by_next(conversation)
        self._ongoing.soon(self._ongoing.remove, conversation, self._erase_delay)
        await conversation.over.wait()
        return True

    async def edit_live(self, uid: str, conversation_id: str, edit: SegmentEdit) -> list[str] | None:
        """Edit what was said in a conversation in progress; None when nobody here holds it (any more).

        Else those segments that are not there, with which nothing was changed.
        """
        conversation = self._ongoing.unfinished.get(uid, {}).get(conversation_id)
        if conversation is None:
            return None
        return await edit_live(conversation, edit, self._table, self._keeping)

    async def tell(self, uid: str, id: str) -> None:
        """A conversation was completed or has failed: tell the sessions of its user that are here."""
        current = self._ongoing.current.get(uid)
        if current is None or not current.participants:
            return
        whole = await self._wholes.get(uid, id)
        if whole is None:
            return
        document = whole_document(whole)
        self.notify(uid, MemoryCreated(memory=document))

    def notify(self, uid: str, event: Event) -> bool:
        """Tell the sessions of a user that are here; False when there is none."""
        current = self._ongoing.current.get(uid)
        told = list(current.participants.values()) if current is not None else []
        for participant in told:
            participant.notify(event)
        return bool(told)

    async def announce(self, uid: str, message: ProactiveMessage) -> bool:
        """As `notify`, for one process that has all sessions."""
        return self.notify(uid, message)
