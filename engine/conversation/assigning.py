"""Who speaks, said by hand: over REST or on the socket, in a conversation that goes on or one that is over.

Operations: `assign`; `offer` does it for a client's message while `run` holds the tasks.
Invariants: only people the user knows are named. What was said by hand is kept as the reason, so that no voice changes
it. A person named in a conversation that is over is learnt from its recording, if there is one, by a job. Who turns out
to be somebody else was no sample of the first one's voice.
Bounded: `WAITING` messages of a user; when more come they are refused, which the client is told. One user's are done
in the order in which they came.
Cancellation of `assign`: it may still have taken effect; calling again does no harm.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import trio

from engine.listen.ports import OpenConversation, Participant
from engine.log import get_logger
from engine.speaker.matching import OWNER, Decision
from engine.store.edits import SegmentEdit
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.jobs import LEARN
from engine.store.user_records import PersonRow
from engine.wire.client_messages import SpeakerAssigned
from engine.wire.messages import ServiceStatus, Speaker, speaker_label
from engine.wire.refusal import printable

__all__ = ["WAITING", "Assigner", "by_hand"]

log = get_logger(__name__)

WAITING = 32


class Live(Protocol):
    """Conversations that go on."""

    async def edit_live(self, uid: str, conversation_id: str, edit: SegmentEdit) -> Sequence[str] | None:
        """Edit a conversation in progress; the segments that are not there, None when nobody here holds it."""
        ...


class Edits(Protocol):
    """Conversations in the database."""

    async def edit_segments(self, uid: str, id: str, edit: SegmentEdit) -> Sequence[str]:
        """Edit segments; those that are not there, with which nothing was changed."""
        ...


class People(Protocol):
    """Whom users know."""

    async def get(self, uid: str, id: str) -> PersonRow | None:
        """A person the user knows, or None."""
        ...


class Decisions(Protocol):
    """Where decisions are kept."""

    async def decided(self, uid: str, conversation_id: str, decisions: Mapping[str, Any], now: int) -> None:
        """Keep why segments, by id, have the speakers they have. `now` in µs."""
        ...


class Voices(Protocol):
    """Samples of people's voices."""

    async def unlearn(self, uid: str, segment_ids: Collection[str], person_id: str | None) -> None:
        """Forget samples of others that were taken from these segments: it is `person_id` who speaks there."""
        ...


class Jobs(Protocol):
    """Work that survives the process."""

    async def add(self, uid: str, kind: str, key: str) -> bool:
        """Have it done; False when there is such a job already."""
        ...


def by_hand(who: Speaker) -> Decision:
    """What is kept as the reason."""
    return Decision(person=OWNER if who.is_user else who.person_id, verdict="assigned")


class Assigner:
    """One per process. Implements `engine.listen.ports.Assignments`."""

    def __init__(
        self,
        *,
        live: Live,
        edits: Edits,
        people: People,
        decisions: Decisions,
        voices: Voices,
        jobs: Jobs,
        wake: Callable[[], None],
        now: Callable[[], int],
    ) -> None:
        """`wake`: say that there is a job."""
        self._live = live
        self._edits = edits
        self._people = people
        self._decisions = decisions
        self._voices = voices
        self._jobs = jobs
        self._wake = wake
        self._now = now
        self._queues: dict[str, deque[tuple[Participant, OpenConversation, SpeakerAssigned]]] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do what is offered until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def assign(
        self,
        uid: str,
        conversation_id: str,
        ids: Sequence[str],
        who: Speaker,
        *,
        from_now_on: bool = False,
    ) -> Sequence[str] | None:
        """Say who speaks in these segments, and `from_now_on` in what these speakers say in live sessions.

        Returns those that are not there, with which nothing was changed; None when the user knows no such person.
        Raises `DatabaseUnavailable`.
        """
        if who.person_id is not None and await self._people.get(uid, who.person_id) is None:
            return None
        edit = SegmentEdit(ids=tuple(ids), speaker=who, processed=True, from_now_on=from_now_on)
        gone = await self._live.edit_live(uid, conversation_id, edit)
        over = gone is None
        if gone is None:
            gone = await self._edits.edit_segments(uid, conversation_id, edit)
        if gone:
            return gone
        await self._decisions.decided(uid, conversation_id, dict.fromkeys(ids, by_hand(who)), self._now())
        await self._unlearn(uid, ids, who)
        if over and who.person_id is not None:
            await self._jobs.add(uid, LEARN, conversation_id)
            self._wake()
        return []

    async def _unlearn(self, uid: str, ids: Sequence[str], who: Speaker) -> None:
        try:
            await self._voices.unlearn(uid, ids, who.person_id)
        except BlobsUnavailable as error:  # the rows are gone, so nobody is recognised by them
            log.warning("samples.unreachable", error=str(error))

    # On the socket

    def offer(self, by: Participant, conversation: OpenConversation, message: SpeakerAssigned) -> None:
        """See `Assignments`."""
        assert self._nursery is not None, "it runs"
        queue = self._queues.get(by.uid)
        if queue is None:
            self._queues[by.uid] = deque([(by, conversation, message)])
            self._nursery.start_soon(self._serve, by.uid)
        elif len(queue) < WAITING:
            queue.append((by, conversation, message))
        else:
            _tell(by, "too many come at once")

    async def _serve(self, uid: str) -> None:
        queue = self._queues[uid]
        try:
            while queue:
                by, conversation, message = queue[0]
                try:
                    await self._take(by, conversation, message)
                except DatabaseUnavailable:
                    _tell(by, "what is kept cannot be reached right now")
                queue.popleft()
        except Exception as error:
            log.error("assigning.failed", exc_info=error)
        finally:
            del self._queues[uid]

    async def _take(self, by: Participant, conversation: OpenConversation, message: SpeakerAssigned) -> None:
        """Those of the segments that are (still) there: merging may have swallowed some."""
        there = [id for id in dict.fromkeys(message.segment_ids) if id in conversation.revisions]
        if not there:
            return _tell(by, "segment_ids has none of this conversation")
        who = (
            Speaker(is_user=True)
            if message.person_id == OWNER
            else Speaker(person_id=message.person_id or None)
        )
        gone = await self.assign(by.uid, conversation.id, there, who, from_now_on=True)
        if gone:
            there = [id for id in there if id not in gone]
            gone = await self.assign(by.uid, conversation.id, there, who, from_now_on=True)
        if gone is None:
            return _tell(by, f"person_id={printable(message.person_id)} is nobody you know; user is yourself")
        by.assign(speaker_label(message.speaker_id), who)
        return None


def _tell(by: Participant, why: str) -> None:
    by.notify(ServiceStatus(status="notice", status_text=f"speaker_assigned had no effect: {why}"))
