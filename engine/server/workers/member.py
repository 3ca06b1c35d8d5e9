"""One worker among several: what it is asked by the others, and what it asks them.

Operations: `attend` gives it the parts it speaks for; `run` takes questions; `report` its progress; `admitted` is set
when it may take clients, `serves` is to be set when it does; `serve`, `finish`, `delete` and `edit_live` do what the
web wants, `tell` what processing has to tell, `announce` what apps do, at the worker that has the user.
Invariants: what is done to a user's live sessions or conversation is done at the worker that has them.
Bounded by the questions there are: each is a task until it is answered.
"""

import math
from collections.abc import Collection
from typing import TypeVar

import msgspec
import trio

from engine.conversation import Lifecycle
from engine.listen import ListenService
from engine.listen.ports import ClientGone, ClientSocket
from engine.log import get_logger
from engine.metrics import Metrics
from engine.server.workers.calls import CallFailed, Frames, answering, call, connected
from engine.server.workers.messages import (
    SUPERVISOR,
    Announce,
    Assignment,
    Delete,
    Deleted,
    Edit,
    Edited,
    Finish,
    Finished,
    Go,
    Listen,
    Measure,
    Measured,
    Question,
    Recover,
    Reported,
    Stage,
    Tell,
    Yield,
    Yielded,
    socket_of,
)
from engine.server.workers.metrics import expose, measure
from engine.server.workers.placement import Elsewhere, Placement, Unreachable
from engine.server.workers.relay import PassedSocket, pass_through, refuse
from engine.store import ConversationRow, DatabaseUnavailable, DatabaseWriter, Store
from engine.store.edits import SegmentEdit
from engine.web import Readiness
from engine.web.errors import ApiError
from engine.wire import CloseCode, ListenParameters, Refusal
from engine.wire.messages import ProactiveMessage

__all__ = ["Member"]

log = get_logger(__name__)

T = TypeVar("T")

HOPS = 3
"""Workers a session may come through while its user moves about; then the client is told to try again."""

_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)


class Member:
    """Speaks for one worker. Implements the web's `Sessions` and `Lifecycle`, and `Users`."""

    def __init__(self, assignment: Assignment, store: Store) -> None:
        self.assignment = assignment
        self.admitted = trio.Event()
        self.serves = trio.Event()
        self._settings = assignment.config.supervisor
        self._store = store
        self.placement = Placement(assignment.owner, store.leases, self, self._settings, self._ask_to_yield)

    def attend(
        self,
        lifecycle: Lifecycle,
        sessions: ListenService,
        writer: DatabaseWriter,
        metrics: Metrics,
        readiness: Readiness,
    ) -> None:
        """These are the worker's parts."""
        self._lifecycle = lifecycle
        self._sessions = sessions
        self._writer = writer
        self._metrics = metrics
        self._readiness = readiness

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take questions and keep what is ours, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.placement.run)
            await nursery.start(
                answering, socket_of(self.assignment.folder, self.assignment.owner), self._answer
            )
            task_status.started()

    async def report(self, stage: Stage) -> None:
        """Tell the supervisor how far we are. Raises `CallFailed`: without one there is no going on."""
        await self._call(SUPERVISOR, Reported(self.assignment.owner, stage), bool)

    async def exposition(self) -> bytes:
        """The metrics of all workers, in Prometheus' text format. Raises `ApiError` 503: a part would be wrong."""
        try:
            return expose((await self._call(SUPERVISOR, Measure(), Measured)).families)
        except CallFailed as error:
            raise ApiError(503, f"the metrics of all workers cannot be had: {error}") from error

    async def _call(self, owner: str, question: object, answer: type[T], timeout: float | None = None) -> T:
        path = socket_of(self.assignment.folder, owner)
        limit = self._settings.handover_timeout if timeout is None else timeout
        return await call(path, question, answer, timeout=limit)

    # What the web wants

    async def serve(self, socket: ClientSocket, parameters: ListenParameters, uid: str) -> None:
        """See `Sessions`: the session runs where its user is."""
        await self._serve(socket, parameters, uid, hops=0)

    async def _serve(self, socket: ClientSocket, parameters: ListenParameters, uid: str, hops: int) -> None:
        try:
            async with self.placement.enter(uid) as elsewhere:
                if elsewhere is None:
                    await self._sessions.serve(socket, parameters, uid)
                elif hops == HOPS:
                    raise Unreachable("the user is on the move")
                else:
                    await self._pass_on(socket, elsewhere, Listen(uid, parameters, hops + 1))
        except (Unreachable, CallFailed) as error:
            log.warning("session.unplaced", error=str(error))
            retry = self.assignment.config.limits.retry_after
            message = (
                f"another process has this user's sessions and does not answer: try again in {retry:g} s"
            )
            raise Refusal(
                CloseCode.TRY_AGAIN_LATER, "unplaced", message=message, retry_after=retry
            ) from error

    async def _pass_on(self, socket: ClientSocket, there: Elsewhere, question: Listen) -> None:
        log.info("session.passed_on", owner=there.owner)
        path = socket_of(self.assignment.folder, there.owner)
        async with connected(path, question, timeout=self._settings.handover_timeout) as frames:
            await pass_through(socket, frames)

    async def finish(self, uid: str, id: str | None = None, *, wait: bool = True) -> ConversationRow | None:
        """See `Lifecycle`. Waits while nobody answers for the user: the request has a time limit."""
        while True:
            done: Finished | None
            there = await self.placement.whereabouts(uid)
            if there is None:
                row = await self._lifecycle.finish(uid, id, wait=wait)
                done = Finished(row, row is not None or await self.placement.whereabouts(uid) is None)
            else:
                done = await self._there(there, Finish(uid, id, wait), Finished)
            if done is not None and (done.row is not None or done.here):
                return done.row

    async def delete(self, uid: str, conversation_id: str, *, cascade: bool = False) -> bool:
        """See `Lifecycle`. Waits as `finish` does."""
        while True:
            done: Deleted | None
            there = await self.placement.whereabouts(uid)
            if there is None:
                found = await self._lifecycle.delete(uid, conversation_id, cascade=cascade)
                done = Deleted(found, found or await self.placement.whereabouts(uid) is None)
            else:
                done = await self._there(there, Delete(uid, conversation_id, cascade), Deleted)
            if done is not None and (done.found or done.here):
                return done.found

    async def edit_live(self, uid: str, conversation_id: str, edit: SegmentEdit) -> list[str] | None:
        """See `Lifecycle`. Waits as `finish` does."""
        while True:
            done: Edited | None
            there = await self.placement.whereabouts(uid)
            if there is None:
                missing = await self._lifecycle.edit_live(uid, conversation_id, edit)
                done = Edited(missing, missing is not None or await self.placement.whereabouts(uid) is None)
            else:
                done = await self._there(there, Edit(uid, conversation_id, edit), Edited)
            if done is not None and (done.missing is not None or done.here):
                return done.missing

    async def tell(self, uid: str, conversation_id: str) -> None:
        """A conversation was processed here: tell the user's live sessions, wherever they are, once."""
        try:
            there = await self.placement.whereabouts(uid)
            if there is None:
                await self._lifecycle.tell(uid, conversation_id)
            else:
                await self._call(there.owner, Tell(uid, conversation_id), bool)
        except (CallFailed, Unreachable) as error:  # a client that connects again reads it over REST
            log.warning("processing.untold", conversation=conversation_id, error=str(error))

    async def announce(self, uid: str, message: ProactiveMessage) -> bool:
        """Tell the user's live sessions, wherever they are; False when there is none that can be reached."""
        try:
            there = await self.placement.whereabouts(uid)
            if there is None:
                return self._lifecycle.notify(uid, message)
            return await self._call(there.owner, Announce(uid, message), bool)
        except (CallFailed, Unreachable) as error:
            log.warning("app.unreachable", error=str(error))
            return False

    async def _there(self, there: Elsewhere, question: object, answer: type[T]) -> T | None:
        """None when that worker did not answer; then it is time to ask again who has the user."""
        try:
            return await self._call(there.owner, question, answer, math.inf)
        except CallFailed as error:
            log.info("user.waiting", error=str(error))
            await self.placement.until_changed()
            return None

    # What others ask

    async def _answer(self, data: bytes, frames: Frames) -> None:
        question = _questions.decode(data)
        match question:
            case Measure():
                await frames.answer(Measured(measure(self._metrics.registry)))
            case Yield():
                await frames.answer(await self.placement.taken_from(question.uid, question.to))
            case Finish():
                here = self.placement.here(question.uid)
                row = await self._lifecycle.finish(question.uid, question.conversation_id, wait=question.wait)
                await frames.answer(Finished(row, here))
            case Delete():
                here = self.placement.here(question.uid)
                found = await self._lifecycle.delete(
                    question.uid, question.conversation_id, cascade=question.cascade
                )
                await frames.answer(Deleted(found, here))
            case Edit():
                here = self.placement.here(question.uid)
                missing = await self._lifecycle.edit_live(
                    question.uid, question.conversation_id, question.edit
                )
                await frames.answer(Edited(missing, here))
            case Tell():
                await self._lifecycle.tell(question.uid, question.conversation_id)
                await frames.answer(True)
            case Announce():
                await frames.answer(self._lifecycle.notify(question.uid, question.message))
            case Listen():
                await self._host(question, frames)
            case Go():
                self._readiness.workers_ready(question.ready, question.workers)
                self.admitted.set()
                self.placement.changed()
                await self.serves.wait()  # who is told that we are ready finds us so
                await frames.answer(True)
            case Recover():
                await self._recover(question)
                await frames.answer(True)
            case _:
                raise TypeError(f"{type(question).__name__} is not for a worker")

    async def _host(self, question: Listen, frames: Frames) -> None:
        """A session whose socket is at another worker."""
        try:
            await self._serve(PassedSocket(frames), question.parameters, question.uid, question.hops)
        except Refusal as refusal:
            await refuse(frames, refusal)
        except ClientGone:
            log.debug("session.gone")

    async def _recover(self, question: Recover) -> None:
        """First their journals, then their users: a conversation taken up must be whole."""
        await self._writer.recover()
        while True:
            try:
                await self.placement.inherit(question.owners)
            except DatabaseUnavailable as error:
                log.error("placement.waiting_for_database", error=str(error))
                await trio.sleep(self.assignment.config.store.retry_limit)
            else:
                break

    async def _ask_to_yield(self, owner: str, uid: str) -> Yielded:
        return await self._call(owner, Yield(uid, self.assignment.owner), Yielded)

    # Users

    async def adopt(self, uid: str) -> None:
        """See `Users`."""
        await self._lifecycle.adopt(uid)

    async def release(self, uid: str) -> bool:
        """See `Users`."""
        return await self._lifecycle.release(uid)

    def drop(self, uid: str) -> None:
        """See `Users`."""
        self._lifecycle.drop(uid)
        self._sessions.send_away(uid, CloseCode.GOING_AWAY, "another process has this user: connect again")

    def idle(self, uid: str) -> bool:
        """See `Users`."""
        return self._lifecycle.idle(uid) and not self._sessions.admission.recent(uid)

    def hand_over(self, uid: str) -> tuple[float, ...]:
        """See `Users`."""
        return self._sessions.admission.hand_over(uid)

    def taken_over(self, uid: str, ages: Collection[float]) -> None:
        """See `Users`."""
        self._sessions.admission.taken_over(uid, ages)

    async def unfinished(self) -> Collection[str]:
        """See `Users`."""
        return {row.uid for row in await self._store.conversations.all_unfinished()}
