"""Processes forked off one that has loaded what they need, which takes longer than most of what tests ask of them.

    python -m tests.forking PROGRAM     what it forks off is ordered by the socket that is its standard input

A program is a module with a function `main`; its function `preload`, if it has one, loads what `main` would. What
`fork` gives is as good as a process begun anew: with standard streams, arguments and an environment of its own, to be
stopped, killed and waited for. Bounded: one process to fork off for each program in each process of the tests; it ends
with that one, and ends what it forked off. Not for who measures memory, since pages are shared until they are written
to, or what a start takes.
"""

import atexit
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec
import trio

__all__ = ["Forked", "fork", "run"]

ROOT = Path(__file__).parents[1]
LONGEST_ORDER = 1 << 17
"""Bytes."""


class Order(msgspec.Struct):
    """What a process is to be."""

    arguments: Sequence[str]
    environ: dict[str, str]
    folder: str


class Forked:
    """A process that was forked off: of what `trio.Process` has what the tests use."""

    def __init__(self, pid: int, handle: int, told: socket.socket, streams: Sequence[int]) -> None:
        self.pid = pid
        self.stdout, self.stderr = (trio.lowlevel.FdStream(stream) for stream in streams)
        self.returncode: int | None = None
        self._handle = handle
        self._told = told

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has ended
            signal.pidfd_send_signal(self._handle, number)

    async def wait(self) -> int:
        """The exit status; that of a signal is its number below zero."""
        if self.returncode is None:
            self.returncode, _ = await _next(self._told)
            self._told.close()
            os.close(self._handle)
        return self.returncode


async def fork(
    program: str, *arguments: str, environ: dict[str, str], folder: Path = ROOT, stdin: int | None = None
) -> Forked:
    """Have `program` run. `stdin` is a descriptor, which stays open here; without one it reads nothing."""
    told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (out, their_out), (err, their_err) = os.pipe(), os.pipe()
    theirs = [os.dup(stdin) if stdin is not None else os.open(os.devnull, os.O_RDONLY), their_out, their_err]
    order = Order(arguments, environ, str(folder))
    with telling:
        socket.send_fds(_orders(program), [msgspec.json.encode(order)], [*theirs, telling.fileno()])
    for descriptor in theirs:
        os.close(descriptor)
    pid, (handle,) = await _next(told)
    return Forked(pid, handle, told, [out, err])


async def run(
    program: str, *arguments: str, environ: dict[str, str], folder: Path = ROOT, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Have `program` run to its end. `stdin` fits in a pipe (64 KiB)."""
    theirs, ours = os.pipe()
    os.write(ours, stdin)
    os.close(ours)
    try:
        process = await fork(program, *arguments, environ=environ, folder=folder, stdin=theirs)
    finally:
        os.close(theirs)
    said = {"stdout": b"", "stderr": b""}

    async def read(name: str, stream: trio.lowlevel.FdStream) -> None:
        async for data in stream:
            said[name] += data

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, "stdout", process.stdout)
        nursery.start_soon(read, "stderr", process.stderr)
    return subprocess.CompletedProcess([program, *arguments], await process.wait(), **said)


async def _next(told: socket.socket) -> tuple[int, list[int]]:
    """A number, and the descriptors that came with it."""
    await trio.lowlevel.wait_readable(told)
    number, descriptors, *_ = socket.recv_fds(told, 20, 1)
    assert number, "what processes are forked off is gone"
    return int(number), descriptors


@cache
def _orders(program: str) -> socket.socket:
    """Of the process to fork off, started at the first call."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen([sys.executable, "-m", __name__, program], stdin=theirs.fileno(), cwd=ROOT)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _fork_for_each(orders: socket.socket) -> Order | None:
    """Carry orders out until there are no more. Returns in each process that is forked, with its order."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        ready, _, _ = select.select([orders.fileno(), *running], [], [])
        for handle in running.keys() & set(ready):
            _tell_end(handle, *running.pop(handle))
        if orders.fileno() not in ready:
            continue
        order, descriptors, *_ = socket.recv_fds(orders, LONGEST_ORDER, 4)
        if not order:
            for pid, _telling in running.values():
                os.kill(pid, signal.SIGKILL)
            return None
        *streams, told = descriptors
        telling = socket.socket(fileno=told)
        pid = os.fork()
        if pid == 0:
            _leave(orders, telling, running)
            _take(streams)
            return msgspec.json.decode(order, type=Order)
        handle = os.pidfd_open(pid)
        running[handle] = pid, telling
        for stream in streams:
            os.close(stream)
        with suppress(BrokenPipeError):  # when who asked for it is gone
            socket.send_fds(telling, [b"%d" % pid], [handle])


def _tell_end(handle: int, pid: int, telling: socket.socket) -> None:
    os.close(handle)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with telling, suppress(BrokenPipeError):
        telling.send(b"%d" % status)


def _leave(orders: socket.socket, own: socket.socket, running: dict[int, tuple[int, socket.socket]]) -> None:
    """Close what belongs to the process that this one was forked off."""
    orders.close()
    own.close()
    for handle, (_, telling) in running.items():
        os.close(handle)
        telling.close()


def _take(streams: Sequence[int]) -> None:
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)


def main(program: str) -> None:
    """Load, then fork."""
    loaded = importlib.import_module(program)
    getattr(loaded, "preload", lambda: None)()
    gc.collect()
    gc.freeze()  # the collector writes to all it looks at, so no page of it would stay shared
    order = _fork_for_each(socket.socket(fileno=os.dup(sys.stdin.fileno())))
    if order is None:
        return
    gc.unfreeze()
    sys.argv = [program, *order.arguments]
    os.environ.clear()
    os.environ.update(order.environ)
    os.chdir(order.folder)
    sys.exit(loaded.main())


if __name__ == "__main__":
    main(sys.argv[1])
