"""One run of `listen load`: many paced streams from one thread, without Trio: waking a task a frame would cost more
than the frame.

    connect, spread over `ramp` -> all are connected -> settle -> measure `seconds` -> go on sending for `tail` -> close

Streams take turns: in each packet's time every stream sends one, evenly spread, so which is next and when is
arithmetic. A stream joins when its connection is up, and then sends packet n at `begin + n * period`, whatever happens:
latency counts from that time, not from when the packet could be written (else a server that stalls would be asked less
while it stalls, and its figures would look better: coordinated omission).

Invariants: packets of a stream leave in order, none left out. Bounded: per stream `load_socket.UNSENT` and the times
of results; the loop sleeps at least `TICK`, so that packets due together are sent together.
Known doubts: a `tail` shorter than a server's delay counts late words as missing.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from engine._client_connect import AddressError, ConnectFailed, Target
from engine.cli.load_figures import LoadFigures, Process, Usage, latency, machine_cpu, usage_of, used
from engine.cli.load_socket import BINARY, CLOSE, LoadSocket, Lost, frame
from engine.cli.load_stream import Heard, LoadStream

__all__ = ["UNENDING", "LoadPlan", "ramp_of", "run_load"]

TICK = 0.0005
"""Seconds the loop sleeps at least; part of `late`."""

CONNECTING = 10.0
"""Seconds after the last connect in which the server has to answer all."""

LOOK = 0.05
"""Seconds between two looks whether it has."""

CLOSING = 5.0
"""Seconds the server has to end all connections after the last."""

CONNECTS = 10
"""Streams a second that connect where it is not connecting that is measured."""

UNEVEN = (5**0.5 - 1) / 2
"""The golden section, of which no small multiple is whole: connects that are late by it times their number come at
every moment of the time in which a server gathers packets. Evenly spaced they would all come at one, and each stream's
work would be due when everybody's is."""

UNENDING: dict[str, str | int | bool] = {"conversation_timeout": 14400}
"""Of a query: what one run said is not processed while a later run on the same server is measured."""


def ramp_of(streams: int) -> float:
    """Seconds in which so many streams connect without it being seen in their figures.

    Opening a session costs a server as much as some seconds of one. Where many are opened at once audio waits for it,
    and since a speech service takes what is late only a little faster than it is spoken, it stays late for long.
    """
    return max(1.0, streams / CONNECTS)


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do. `packets` of `period` seconds each are sent in a loop; `query` goes to the server as it is."""

    url: str
    streams: int
    seconds: float
    packets: Sequence[bytes]
    period: float
    codec: str
    query: dict[str, str | int | bool]
    uid: str | None = None
    token: str | None = None
    ramp: float = 2.0
    settle: float = 1.0
    tail: float = 1.0
    pid: int | None = None
    vendor_pid: int | None = None


_Usages: TypeAlias = "tuple[Usage | None, Usage | None]"
"""The server's and the vendor's, where their pids are known."""


class _Snapshot(msgspec.Struct, frozen=True):
    time: float
    cpu: float
    machine: float
    sent: int
    messages: int
    segments: int
    usages: _Usages


class _Run:
    def __init__(self, plan: LoadPlan, at_edges: Callable[[], object]) -> None:
        self.plan = plan
        self._at_edges = at_edges
        self.streams: list[LoadStream] = []
        self.heard = Heard()
        self.late: list[float] = []
        self._frames = [frame(BINARY, packet) for packet in plan.packets]
        self._sockets: dict[int, LoadStream] = {}
        self._epoll = select.epoll()
        self._slot = 0
        self._begin = 0.0
        self._sent = 0
        self._measuring = False
        self._address = _resolve(plan.url)

    def run(self) -> LoadFigures:
        """From the first connection to the last close."""
        plan = self.plan
        before = self._usages(memory=True)
        self._begin = time.monotonic()
        try:
            for number in range(plan.streams):
                self._loop(self._begin + (number + number * UNEVEN % 1) * plan.ramp / plan.streams)
                self._connect(number)
            self._loop(self._begin + plan.ramp)
            self._all_are_there()
            self._loop(time.monotonic() + plan.settle)
            start = self._snapshot()
            self._measuring = True
            self._loop(start.time + plan.seconds)
            self._measuring = False
            end = self._snapshot()
            self._loop(end.time + plan.tail)
            after = self._usages(memory=True)
            self._leave()
        finally:
            for stream in self._sockets.values():
                stream.socket.close()
            self._epoll.close()
        return self._figures((before, after), start, end)

    # Sending

    def _loop(self, until: float) -> None:
        """Send what is due and read what comes until that time."""
        epoll, watched = self._epoll, (self._epoll.fileno(),)
        while (now := time.monotonic()) < until:
            due = self._send_due(now)
            wait = min(max(due - time.monotonic(), TICK), until - now)
            if select.select(watched, (), (), wait)[0]:
                for fileno, mask in epoll.poll(0):
                    self._ready(self._sockets[fileno], mask)

    def _send_due(self, now: float) -> float:
        """Send every packet due by `now`; when the next one is."""
        count, period, begin = self.plan.streams, self.plan.period, self._begin
        frames, looped = self._frames, len(self._frames)
        slot, step = self._slot, period / count
        while (due := begin + slot * step) <= now:
            number = slot % count
            slot += 1
            if number >= len(self.streams):
                continue
            stream = self.streams[number]
            if stream.done or not stream.socket.open:
                continue
            if stream.begin is None:
                stream.begin = due
            writes_at = time.monotonic()
            try:
                stream.socket.send(frames[stream.sent % looped])
            except Lost as lost:
                self._lost(stream, lost)
                continue
            stream.wrote(writes_at)
            self._sent += 1
            if self._measuring:
                self.late.append(writes_at - due)
        self._slot = slot
        return due

    # Receiving

    def _connect(self, number: int) -> None:
        plan = self.plan
        who = {} if plan.uid is None else {"uid": f"{plan.uid}-{number}"}
        target = Target.of(plan.url, plan.query | who)
        stream = LoadStream(LoadSocket(target, *self._address, plan.token), plan.period)
        self.streams.append(stream)
        self._sockets[stream.socket.fileno] = stream
        self._epoll.register(stream.socket.fileno, select.EPOLLOUT)

    def _ready(self, stream: LoadStream, mask: int) -> None:
        try:
            if mask & select.EPOLLOUT or stream.socket.unsent:
                self._writable(stream)
            if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                for message in stream.socket.read():
                    stream.hear(message, time.monotonic(), self.heard)
        except Lost as lost:
            self._lost(stream, lost)

    def _writable(self, stream: LoadStream) -> None:
        if stream.begin is None and not stream.socket.open:
            stream.socket.connected()
        else:
            stream.socket.resume()
        if not stream.done:
            self._epoll.modify(stream.socket.fileno, select.EPOLLIN)

    def _all_are_there(self) -> None:
        """Wait until each stream is connected or lost."""
        until = time.monotonic() + CONNECTING
        while any(not (stream.socket.open or stream.done) for stream in self.streams):
            now = time.monotonic()
            if now >= until:
                break
            self._loop(min(now + LOOK, until))
        if not any(stream.socket.open and not stream.done for stream in self.streams):
            reason = next(iter(self.heard.failed), f"did not answer within {CONNECTING:g} s")
            raise ConnectFailed(f"{Target.of(self.plan.url, {})} {reason}")

    def _lost(self, stream: LoadStream, lost: Lost) -> None:
        if not stream.done:
            self.heard.failed[str(lost)] += 1
        self._forget(stream)

    def _forget(self, stream: LoadStream) -> None:
        stream.done = True
        if self._sockets.pop(stream.socket.fileno, None) is not None:
            self._epoll.unregister(stream.socket.fileno)
            stream.socket.close()

    # The end

    def _leave(self) -> None:
        """Say goodbye to all, and give the server time to answer."""
        for stream in list(self._sockets.values()):
            stream.done = True
            try:
                stream.socket.send(frame(CLOSE, (1000).to_bytes(2, "big")))
            except Lost:
                self._forget(stream)
        until = time.monotonic() + CLOSING
        while self._sockets and (left := until - time.monotonic()) > 0:
            for fileno, mask in self._epoll.poll(left):
                self._ready(self._sockets[fileno], mask)

    def _usages(self, *, memory: bool) -> _Usages:
        pids = self.plan.pid, self.plan.vendor_pid
        server, vendor = (None if pid is None else usage_of(pid, memory=memory) for pid in pids)
        return server, vendor

    def _snapshot(self) -> _Snapshot:
        self._at_edges()
        usages = self._usages(memory=False)
        return _Snapshot(
            time.monotonic(),
            time.process_time(),
            machine_cpu(),
            self._sent,
            self.heard.messages,
            self.heard.segments,
            usages,
        )

    def _figures(
        self,
        whole: tuple[_Usages, _Usages],
        start: _Snapshot,
        end: _Snapshot,
    ) -> LoadFigures:
        plan, seconds = self.plan, end.time - start.time
        stream_seconds = (end.sent - start.sent) * plan.period
        within = [taken for due, taken in self.heard.whole if start.time <= due < end.time]
        parts = [part for part in self.heard.parts if start.time <= part[0] < end.time]
        beyond = [taken for due, taken in self.heard.beyond if start.time <= due < end.time]
        streams = self.streams if self.heard.numbered else ()
        expected = sum(stream.words_due(start.time, end.time) for stream in streams)
        audio = (plan.streams, seconds, stream_seconds)
        server, vendor = (_process(of, audio) for of in zip(*whole, start.usages, end.usages, strict=True))
        known = end.cpu - start.cpu + sum(one.cpu_seconds for one in (server, vendor) if one is not None)
        return LoadFigures(
            streams=plan.streams,
            seconds=round(seconds, 3),
            codec=plan.codec,
            sent_frames=end.sent - start.sent,
            stream_seconds=round(stream_seconds, 3),
            messages=end.messages - start.messages,
            segments=end.segments - start.segments,
            failed=dict(self.heard.failed),
            expected=expected,
            missing=max(0, expected - len(parts)),
            late=latency(self.late),
            segment=latency(within),
            to_vendor=latency([part[1] for part in parts]),
            beyond_message=latency(beyond),
            to_client=latency([part[2] for part in parts]),
            generator_core_share=round((end.cpu - start.cpu) / seconds, 4),
            others_core_share=round(max(0.0, end.machine - start.machine - known) / seconds, 3),
            server=server,
            vendor=vendor,
        )


def _process(of: Sequence[Usage | None], audio: tuple[int, float, float]) -> Process | None:
    """From what it had used before all, after all, and at both ends of the measured time."""
    before, after, begin, end = of
    if before is None or after is None or begin is None or end is None:
        return None
    return used((before.pss_kib, after.pss_kib), begin, end, audio)


def run_load(plan: LoadPlan, at_edges: Callable[[], object] = lambda: None) -> LoadFigures:
    """Do it. Raises AddressError, ConnectFailed when no stream came about at all, Failure for a pid that is none.

    `at_edges` is called when the measured time begins and when it ends. Blocks the thread for ramp, settle, seconds
    and tail; interrupted, all connections are closed.
    """
    return _Run(plan, at_edges).run()


def _resolve(url: str) -> tuple[tuple[str, int], int]:
    target = Target.of(url, {})
    if target.tls:
        raise AddressError(
            f"url {url!r}: the generator does not encrypt; use ws://, to what is behind the TLS proxy"
        )
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ConnectFailed(f"{target} cannot be reached: {error.strerror}") from None
    family, _, _, _, address = found[0]
    return (str(address[0]), int(address[1])), family
