"""The conversations in progress of a process: how one begins, is timed, replaced by the next, and ended.

Operations: `begin` and `reopen` one; `close` ends it, `split` for a session, `remove` deletes it; `detach` and `over`
let go of one that another process has.
Invariants: a user has at most one current conversation here; each open one has exactly one task, which waits for its
silence; one that ended is in the database, with its job, before `over`.
Bounded by the number of open conversations.
"""

from collections.abc import Sequence
from functools import partial
from uuid import uuid4

import trio
from msgspec.structs import replace

from engine.conversation.document import conversation_document
from engine.conversation.keeping import Keeping
from engine.conversation.live import LiveConversation
from engine.conversation.ports import Conversations, Ownership, Wholes, Work
from engine.listen.ports import OpenConversation, Participant, WallClock
from engine.log import get_logger
from engine.moments import SECOND
from engine.store.records import PROCESSING, ConversationClosed, ConversationOpened, ConversationRow
from engine.store.whole import Whole
from engine.wire.documents import MemoryProcessingStarted

__all__ = ["Ongoing"]

log = get_logger(__name__)


class Ongoing:
    """`current`: by user; `unfinished`: those and the ones that are being ended, by user and id."""

    def __init__(
        self,
        table: Conversations,
        wholes: Wholes,
        keeping: Keeping,
        wall_clock: WallClock,
        work: Work,
        ownership: Ownership,
    ) -> None:
        self.current: dict[str, LiveConversation] = {}
        self.unfinished: dict[str, dict[str, LiveConversation]] = {}
        self._table = table
        self._wholes = wholes
        self._keeping = keeping
        self._wall_clock = wall_clock
        self._work = work
        self._ownership = ownership
        self._nursery: trio.Nursery | None = None

    def hold(self, nursery: trio.Nursery) -> None:
        """Tasks run in `nursery` from now on."""
        self._nursery = nursery

    async def reopen(self, row: ConversationRow) -> None:
        """Take up again what an earlier process, or another, left in progress."""
        whole = await self._keeping.patiently(self._read, row.uid, row.id)
        silent_for = (self._wall_clock() - row.last_speech_at) / SECOND
        conversation = self._live(row, silent_for=max(silent_for, 0.0))
        if whole is not None:
            conversation.recover(whole.segments, len(whole.photos))
        older = self.current.get(row.uid)
        if older is not None:
            self.close(older)
        self._open(conversation)

    async def _read(self, uid: str, id: str) -> Whole | None:
        """Without pictures: a bucket that is away must not keep a conversation from going on, or ending."""
        return await self._wholes.get(uid, id, pictures=False)

    def begin(
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
        conversation = LiveConversation(row, silent_for=silent_for, keep=self._keeping.keep, split=self.split)
        self.unfinished.setdefault(row.uid, {})[row.id] = conversation
        return conversation

    def over(self, conversation: LiveConversation) -> None:
        """Nothing more is done about it here."""
        conversation.over.set()
        others = self.unfinished.get(conversation.row.uid, {})
        others.pop(conversation.id, None)
        if not others:
            self.unfinished.pop(conversation.row.uid, None)

    def _open(self, conversation: LiveConversation) -> None:
        self.current[conversation.row.uid] = conversation
        self.soon(self._watch, conversation)

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
                self.close(conversation)
            elif conversation.participants:
                conversation.restart(self._wall_clock())
            else:  # nothing was said and nobody listens: there was no conversation
                self.detach(conversation)
                await self.remove(conversation)

    async def remove(self, conversation: LiveConversation, delay: float = 0.0) -> None:
        """Forget one that no session is in any more; what was said in it is erased after `delay` seconds."""
        await self._keeping.flush()
        delete = partial(self._table.delete, delay=delay)
        await self._keeping.patiently(delete, conversation.row.uid, conversation.id)
        self._work.wake()
        conversation.removed = True
        self.over(conversation)

    def detach(self, conversation: LiveConversation) -> None:
        """It is nobody's current conversation any more, and its silence is not waited for."""
        conversation.closed = True
        conversation.changed.set()
        if self.current.get(conversation.row.uid) is conversation:
            del self.current[conversation.row.uid]

    def replace_by_next(
        self, conversation: LiveConversation, mover: Participant | None = None
    ) -> tuple[list[Participant], LiveConversation | None]:
        """End `conversation`; those in it go on in a new one. `mover` moves by itself."""
        self.detach(conversation)
        participants = list(conversation.participants.values())
        conversation.participants.clear()
        if not participants:
            return [], None
        row = conversation.row
        following = self.begin(participants[0], row.language, row.source, row.timeout_seconds)
        for participant in participants:
            following.join(participant)
            if participant is not mover:
                participant.move_to(following)
        return participants, following

    def close(self, conversation: LiveConversation, *, forced: bool = False) -> None:
        """End it, those in it going on in a new one. `forced`: its owner wants it, so it is never discarded."""
        participants, _ = self.replace_by_next(conversation)
        self.soon(self._hand_on, conversation, participants, forced)

    def split(self, conversation: LiveConversation, by: Participant) -> OpenConversation:
        """As `close`; the next one, which `by` moves to itself."""
        participants, following = self.replace_by_next(conversation, mover=by)
        assert following is not None, "the session that splits a conversation takes part in it"
        self.soon(self._hand_on, conversation, participants, False)
        return following

    async def _hand_on(
        self, conversation: LiveConversation, told: Sequence[Participant], forced: bool
    ) -> None:
        """From `in_progress` to `processing`, telling those who took part."""
        row = conversation.row = replace(conversation.row, status=PROCESSING)
        closed = ConversationClosed(row.uid, row.id, PROCESSING, row.finished_at, forced=forced)
        await self._keeping.record((closed,))
        whole = await self._keeping.patiently(self._read, row.uid, row.id)
        if whole is not None:  # else it was deleted meanwhile
            ended = replace(whole.row, status=PROCESSING)
            document = conversation_document(ended, whole.segments, whole.action_items, whole.photos)
            for participant in told:
                participant.notify(MemoryProcessingStarted(memory=document))
        self._work.wake()
        self.over(conversation)
        log.info("conversation.ended", conversation=row.id)

    def drop(self, uid: str) -> None:
        """Another process has the user's conversations already: leave them alone."""
        for conversation in list(self.unfinished.get(uid, {}).values()):
            log.warning("conversation.dropped", conversation=conversation.id)
            self.detach(conversation)
            conversation.removed = True
            self.over(conversation)

    def soon(self, task: object, *arguments: object) -> None:
        """Do it in a task of its own."""
        assert self._nursery is not None, "the lifecycle runs"
        self._nursery.start_soon(task, *arguments)  # type: ignore[arg-type]
