"""Received audio of one user comes in by any worker, and is joined at one: whichever had it first.

Operations: `at` says, inside its block, whether that is this worker; else it gives what brings chunks there. `run`
takes what the others bring.
Invariants: at a time one worker has a user's received audio: it holds the lease `receiving:` and the uid, renewed with
the worker's others, and given back when nothing waits. Who dies is inherited from like any other lease.
Bounded: a chunk on its way for each user. Cost: two commits for each time a user's audio begins, and where it came in
elsewhere a frame to the other process for each chunk.
A chunk is one file of the disk all along, which changes hands with it: brought twice it is taken once, and who dies
leaves it to somebody. A request is answered when its chunk has been brought (or cannot be, for `placing_timeout`).
Known doubt: chunks that are posted at the same moment by two workers may be joined in the other order, unless their
sender says where they belong.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import trio

from engine.moments import SECOND
from engine.server.workers.calls import CallFailed, Frames, answering, call
from engine.server.workers.messages import Assignment, socket_of
from engine.store.leases import Leases
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.home import Bring, NotTaken

__all__ = ["ReceivingHome"]

PREFIX = "receiving:"

_chunks: msgspec.msgpack.Decoder[Chunk] = msgspec.msgpack.Decoder(Chunk)


class ReceivingHome:
    """Implements the intake's `Home` for one worker. `now`: µs since the epoch."""

    def __init__(self, assignment: Assignment, leases: Leases, now: Callable[[], int]) -> None:
        self._assignment = assignment
        self._leases = leases
        self._settings = assignment.config.supervisor
        self._now = now

    @asynccontextmanager
    async def at(self, uid: str) -> AsyncIterator[Bring | None]:
        """None when the user's audio is joined here, else what brings it there. Raises `DatabaseUnavailable`."""
        owner = self._assignment.owner
        lease = await self._leases.claim(PREFIX + uid, owner, self._settings.lease_time)
        if lease.owner != owner:
            yield lambda chunk: self._bring(lease.owner, chunk)
            return
        try:
            yield None
        finally:
            with trio.move_on_after(self._settings.handover_timeout, shield=True):
                await self._leases.release(lease)

    async def _bring(self, owner: str, chunk: Chunk) -> None:
        path = socket_of(self._assignment.folder, _named(owner))
        try:
            taken = await call(path, chunk, bool, timeout=self._settings.handover_timeout)
        except CallFailed as error:
            raise NotTaken(str(error)) from error
        if not taken:
            raise NotTaken(f"{owner} has no room")

    async def run(
        self,
        take: Callable[[Chunk], Awaitable[bool]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Give what others bring to `take`, which says whether there was room, until cancelled."""

        async def answer(data: bytes, frames: Frames) -> None:
            chunk = _chunks.decode(data)
            ago = (self._now() - chunk.received_at) / SECOND  # clocks of processes begin anywhere
            arrived = trio.current_time() - max(0.0, ago)
            await frames.answer(await take(msgspec.structs.replace(chunk, arrived=arrived)))

        path = socket_of(self._assignment.folder, _named(self._assignment.owner))
        await answering(path, answer, task_status=task_status)


def _named(owner: str) -> str:
    return f"{owner}-audio"
