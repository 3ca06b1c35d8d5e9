"""One worker of several, as a process: `python -m engine.server.workers.worker`, started by the supervisor.

Its assignment comes on standard input, which is a socket to the supervisor. When that ends (the supervisor says stop,
or is gone, however) the worker drains, as on SIGTERM.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import trio

from engine.config import Config
from engine.log import configure_logging, get_logger
from engine.server.machine import limit_blas, limit_heaps, raise_file_limit, take_short_turns, wake_soon
from engine.server.parts import Parts
from engine.server.run import DrainForced, only_one, stopping
from engine.server.serving import Serving
from engine.server.workers.calls import CallFailed, call
from engine.server.workers.messages import SUPERVISOR, Assignment, Failed, decode_assignment, socket_of
from engine.server.workers.port import bind_shared
from engine.server.workers.process import LENGTH
from engine.stt import Vendor

__all__ = ["main"]

log = get_logger(__name__)


def main(vendors: Callable[[Config], Sequence[Vendor] | None] = lambda config: None) -> None:
    """Do what standard input says, until it ends. `vendors`: those to use, None for the configuration's."""
    lifeline = socket.socket(fileno=sys.stdin.fileno())
    assignment = _read_assignment(lifeline)
    config = assignment.config
    configure_logging(config.log_format, config.log_level)
    structlog.contextvars.bind_contextvars(worker=assignment.number)
    try:
        trio.run(_run, assignment, vendors(config), lifeline)
    except DrainForced:
        sys.exit(1)


def _read_assignment(lifeline: socket.socket) -> Assignment:
    (length,) = LENGTH.unpack(_read(lifeline, LENGTH.size))
    return decode_assignment(_read(lifeline, length))


def _read(lifeline: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = lifeline.recv(size - len(data))
        if not more:
            sys.exit("this is a part of `listen serve --workers`, which starts it")
        data += more
    return data


async def _run(assignment: Assignment, vendors: Sequence[Vendor] | None, lifeline: socket.socket) -> None:
    raise_file_limit()
    limit_heaps()
    limit_blas()
    take_short_turns()
    wake_soon()
    try:
        async with stopping(None) as stop, trio.open_nursery() as nursery:
            nursery.start_soon(_stop_at_end, trio.socket.from_stdlib_socket(lifeline), stop)
            parts = await Parts.open(assignment.config, vendors, assignment)
            await Serving(parts).run(
                partial(bind_shared, assignment.addresses), stop, trio.TASK_STATUS_IGNORED
            )
            nursery.cancel_scope.cancel()
    except Exception as error:
        cause = (only_one(error) if isinstance(error, BaseExceptionGroup) else error) or error
        if isinstance(cause, DrainForced):
            raise cause from None
        log.error("worker.failed", exc_info=cause)
        await _report(assignment, cause)
        sys.exit(1)


async def _stop_at_end(lifeline: trio.socket.SocketType, stop: trio.Event) -> None:
    while await lifeline.recv(1):
        pass
    stop.set()


async def _report(assignment: Assignment, error: BaseException) -> None:
    """Say why; the supervisor may be gone, and the log has it anyway."""
    question = Failed(assignment.owner, f"{type(error).__name__}: {error}")
    path = socket_of(assignment.folder, SUPERVISOR)
    try:
        await call(path, question, bool, timeout=assignment.config.supervisor.handover_timeout)
    except CallFailed as failure:
        log.warning("worker.unreported", error=str(failure))


if __name__ == "__main__":
    main()
