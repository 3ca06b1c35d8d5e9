"""One worker as its supervisor sees it: the process that is there now, and those that come after it in its place."""

import socket
import struct
from collections.abc import Sequence
from enum import Enum
from uuid import uuid4

import trio
from msgspec.structs import replace

from engine.log import get_logger
from engine.server.workers.messages import Assignment, encode_assignment

__all__ = ["LENGTH", "Stage", "WorkerProcess"]

log = get_logger(__name__)

LENGTH = struct.Struct("<I")
"""Of the assignment, before it."""


class Stage(Enum):
    """How far a worker is."""

    STARTING = "starting"
    UP = "up"
    WARM = "warm"
    READY = "ready"


class WorkerProcess:
    """`owner` is the name of the process that is there now; `reason` what it said before it ended, if anything."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.owner = ""
        self.stage = Stage.STARTING
        self.reason = ""
        self.crashes = 0
        self._lifeline: trio.SocketStream | None = None

    async def live(self, command: Sequence[str], lock: int, template: Assignment, late: bool) -> int:
        """Start a process and wait for its end; its exit status. Cancelled, it is killed.

        It inherits `lock`, and gets `template` under a name of its own.
        """
        self.owner = f"{self.number}-{uuid4().hex[:16]}"
        self.stage, self.reason = Stage.STARTING, ""
        ours, theirs = socket.socketpair()
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as self._lifeline:
            with theirs:
                process = await trio.lowlevel.open_process(
                    list(command),
                    stdin=theirs.fileno(),
                    pass_fds=[lock],
                    process_group=0,  # else Ctrl-C would reach it before us
                )
            try:
                log.info("worker.started", worker=self.number, pid=process.pid)
                await self._assign(replace(template, owner=self.owner, number=self.number, late=late))
                return await process.wait()
            finally:
                self._lifeline = None
                with trio.CancelScope(shield=True):
                    if process.poll() is None:
                        process.kill()
                    await process.wait()

    async def _assign(self, assignment: Assignment) -> None:
        assert self._lifeline is not None
        data = encode_assignment(assignment)
        try:
            await self._lifeline.send_all(LENGTH.pack(len(data)) + data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("worker.gone", worker=self.number)

    def let_go(self) -> None:
        """Have it drain. Idempotent."""
        if self._lifeline is not None:
            self._lifeline.socket.shutdown(socket.SHUT_WR)
