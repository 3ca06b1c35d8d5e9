"""Finished conversations for those who asked for them: `memory_created`.

    POST url?uid=…   the conversation, as `GET /v1/conversations/{id}` shows it, and the `delivery_id`

Operations: `Finished` does the jobs that `Processing.finish` leaves; `send` tells of an existing conversation again.
Invariants: a conversation that is processed for the first time leaves a job in the same transaction, and the job's
deliveries have an id made of the conversation: killed anywhere, each endpoint is told once. Processing again tells
nobody. Apps are not told of what was discarded, nor anybody of what is locked.
Bounded by the conversation, which is read and written whole, in a thread.
Cancellation: the job is done by whoever takes it up.
"""

from typing import Protocol
from uuid import uuid4

import msgspec

from engine.conversation.document import whole_document
from engine.off_loop import OffLoop
from engine.store.errors import ClaimLost
from engine.store.jobs import Job
from engine.store.whole import Whole
from engine.webhooks.ports import DEVELOPER, Deliveries, Directory, Endpoint
from engine.webhooks.triggers import MEMORY_CREATED

__all__ = ["Finished", "memory_body"]


class Wholes(Protocol):
    """Conversations with all that is shown of them."""

    async def get(self, uid: str, id: str) -> Whole | None:
        """One conversation with its photos; None when there is none, or it was deleted."""
        ...


class Jobs(Protocol):
    """How a job ends. `engine.store.jobs` says what each does."""

    async def done(self, job: Job) -> bool:
        """It is done and forgotten; False when the claim was lost."""
        ...

    async def failed(self, job: Job, error: str) -> bool:
        """It did not work and is not tried again, but kept to be looked at. False when the claim was lost."""
        ...


class Finished:
    """Implements `engine.conversation.job_runner.Handler`."""

    def __init__(
        self, jobs: Jobs, wholes: Wholes, directory: Directory, deliveries: Deliveries, off_loop: OffLoop
    ) -> None:
        self._jobs = jobs
        self._wholes = wholes
        self._directory = directory
        self._deliveries = deliveries
        self._off_loop = off_loop

    async def send(self, uid: str, id: str) -> int:
        """Tell every endpoint of a conversation, whether or not they were told; how many that are.

        Raises `KeyError` when it is not there, `DatabaseUnavailable`.
        """
        told = await self._tell(uid, id, f"{id}:{uuid4().hex}")
        if told is None:
            raise KeyError(id)
        return told

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        told = await self._tell(job.uid, job.key, f"{job.key}:created")
        if not await self._jobs.done(job):
            raise ClaimLost(job.key)
        return "gone" if told is None else "completed"

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`."""
        await self._jobs.failed(job, reason)

    async def after(self, job: Job) -> None:
        """See `Handler`. Nobody waits for it."""

    async def _tell(self, uid: str, id: str, key: str) -> int | None:
        """How many endpoints; None when the conversation is not there."""
        endpoints = await self._directory.endpoints(uid, MEMORY_CREATED)
        whole = await self._wholes.get(uid, id)
        if whole is None:
            return None
        wanted = [endpoint for endpoint in endpoints if _may_know(endpoint, whole)]
        if not wanted:
            return 0
        body = await self._off_loop(memory_body, whole)
        for endpoint in wanted:
            await self._deliveries.offer_to(endpoint, body, key=key)
        return len(wanted)


def _may_know(endpoint: Endpoint, whole: Whole) -> bool:
    if whole.row.is_locked:
        return False
    return endpoint.name == DEVELOPER or not whole.row.discarded


def memory_body(whole: Whole) -> bytes:
    """The conversation as it is told, but for the delivery's id. Takes as long as the conversation is."""
    return msgspec.json.encode(whole_document(whole))
