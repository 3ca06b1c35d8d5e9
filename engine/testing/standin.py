"""What the stand-ins of all vendors share: a WebSocket server that hears a script and does wrong as planned.

    standin = DeepgramStandIn(script_of(words), plan=FaultPlan(refuse_first=2))
    port = await nursery.start(standin.serve)        # sockets: any client, the vendors' own SDKs
    await nursery.start(standin.run)                 # in memory, for the virtual clock:
    transport = WebSocketTransport(standin.open_stream)

A vendor's file subclasses `StandIn`: `judge` (its handshake), `refusal` (its words for a status), `converse` (its
protocol over a `Line`), `fail` (its errors inside a connection).

A stand-in knows which samples it was really sent, by the marks in them (`engine.testing.marks`), and says a word
only where all of its samples arrived; without `marked`, each connection is taken to begin at sample 0. All waits
are on Trio's clock. Invariants: attempts = unreachable + unanswered + refused + accepted + those waiting now.
Bounded: `HISTORY` of log, attempts and connections; older ones are forgotten (the books of tests are smaller).
A client that vanishes while the plan has stopped reading is not noticed before the stand-in ends.
"""

import contextlib
import errno
from collections import Counter, deque

import msgspec
import trio
import trio_websocket as ws

from engine.testing._memory import bounded_stream_pair
from engine.testing.faults import FaultPlan, Mishap, Refusal
from engine.testing.hearing import Hearing, Intervals
from engine.testing.line import Attempt, Line, Tap
from engine.testing.scripted import Script, counted_words

HISTORY = 10_000
QUEUE = 64
"""Messages a connection holds unread; beyond that the stream is not read."""

NO_FAULTS = FaultPlan()


class StandInStatistics(msgspec.Struct, frozen=True):
    """`words`: said on all connections, doubles counted; `samples`: received on all connections."""

    attempts: int
    unreachable: int
    unanswered: int
    refused: int
    accepted: int
    live: int
    words: int
    samples: int


class StandIn:
    """Base of every vendor's stand-in. `key` None accepts any key; `connections` may be read while it runs."""

    name = "stand-in"
    refuses_inside = False
    """Whether the vendor lets everybody in and refuses in its first message: `Line.refused` is the status."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        plan: FaultPlan = NO_FAULTS,
        key: str | None = None,
        marked: bool = True,
    ) -> None:
        self.key = key
        self.own_numbers = False
        """Whether each connection numbers speakers as it first hears them, instead of as the script does."""
        self.log: deque[tuple[float, str]] = deque(maxlen=HISTORY)
        self.attempts: deque[Attempt] = deque(maxlen=HISTORY)
        self.connections: deque[Line] = deque(maxlen=HISTORY)
        self.live: set[Line] = set()
        self._script = script if script is not None else counted_words()
        self._marked = marked
        self._counts: Counter[str] = Counter()
        self._nursery: trio.Nursery | None = None
        self._plan = plan
        self._since: float | None = None
        self._taken: Counter[str] = Counter()

    # What a vendor says

    def judge(self, attempt: Attempt) -> Refusal | None:
        """Whether the vendor would refuse this handshake by HTTP, and how. The base refuses nothing."""
        return None

    def refusal(self, status: int) -> Refusal:
        """How the vendor refuses with `status` by HTTP."""
        return Refusal(status)

    def greeting(self, attempt: Attempt) -> tuple[tuple[str, str], ...]:
        """Headers of the upgrade."""
        return ()

    async def converse(self, line: Line) -> None:
        """The vendor's side of one connection; after returning, what was said is sent and 1000 closes it."""
        raise NotImplementedError

    async def fail(self, line: Line, mishap: Mishap) -> None:
        """Say `mishap.error` as the vendor does, and close."""
        await line.close(mishap.code, mishap.reason)

    # How it runs

    def follow(self, plan: FaultPlan) -> None:
        """Follow `plan` from now on; its times and numbers count from here. Open connections keep theirs."""
        self._plan = plan
        self._since = trio.current_time()
        self._taken.clear()

    async def drop_all(self) -> None:
        """Cut every connection there is, as a machine that goes down does."""
        for line in tuple(self.live):
            await line.drop()

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen on sockets until cancelled; `started` with the port. Raises OSError when it is taken."""
        listeners = await trio.open_tcp_listeners(port, host=host)
        self._begin()
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self.serve_stream, listeners)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer `open_stream` until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._begin()
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def open_stream(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        """A stream to this stand-in, whatever the address (see `engine.stt.websocket.OpenStream`)."""
        await trio.lowlevel.checkpoint()
        if self._nursery is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the stand-in does not run")
        if self._unreachable():
            self._counts["attempts"] += 1
            self._note("unreachable")
            raise ConnectionRefusedError(errno.ECONNREFUSED, "unreachable, as planned")
        ours, theirs = bounded_stream_pair()
        self._nursery.start_soon(self.serve_stream, ours)
        return theirs

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection over `stream`, to its end."""
        self._begin()
        self._counts["attempts"] += 1
        tap = Tap(stream)
        try:
            if self._unreachable():
                self._note("unreachable")
                return
            async with trio.open_nursery() as nursery:
                request = await self._handshake(nursery, tap)
                if request is None:
                    self._note("unanswered")
                else:
                    await self._answer(request, tap)
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)

    async def _handshake(self, nursery: trio.Nursery, tap: Tap) -> ws.WebSocketRequest | None:
        """The client's handshake; None when it left, or sent something else."""
        request = None
        async with trio.open_nursery() as waiting:

            async def leave() -> None:
                await tap.gone.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(leave)
            with contextlib.suppress(ws.HandshakeError, ws.ConnectionClosed):
                request = await ws.wrap_server_stream(nursery, tap, message_queue_size=QUEUE)
            waiting.cancel_scope.cancel()
        return request

    async def _answer(self, request: ws.WebSocketRequest, tap: Tap) -> None:
        attempt = self._attempt(request)
        plan = self._plan
        if await self._delayed(plan, tap):
            self._note("unanswered")
            return
        refused = self._refused(plan)
        refusal = self.judge(attempt)
        if refused and not self.refuses_inside:
            theirs = self.refusal(plan.refuse_status)
            body = theirs.body if plan.refuse_body is None else plan.refuse_body
            refusal = Refusal(plan.refuse_status, theirs.headers + plan.refuse_headers, body)
        if refusal is not None:
            self._note("refused", str(refusal.status))
            await request.reject(refusal.status, extra_headers=_raw(refusal.headers), body=refusal.body)
            return
        hearing = Hearing(self._script, marked=self._marked, own_numbers=self.own_numbers)
        line = Line(self._counts["accepted"], attempt, hearing, plan)
        if refused:
            line.refused = plan.refuse_status
        else:
            line.mishap = self._mishap(plan)
        await self._converse(line, request, tap)

    async def _converse(self, line: Line, request: ws.WebSocketRequest, tap: Tap) -> None:
        subprotocols = line.attempt.subprotocols
        self._note("accepted")
        self.connections.append(line)
        self.live.add(line)
        try:
            socket = await request.accept(
                subprotocol=subprotocols[0] if subprotocols else None,
                extra_headers=_raw(self.greeting(line.attempt)),
            )
            await line.run(socket, tap, self.converse, self.fail)
        except ws.ConnectionClosed:
            line.ended = "client left"
        finally:
            self.live.discard(line)
            line.ended = line.ended or "cancelled"
            self.log.append((trio.current_time(), f"{self.name} {line.number}: {line.ended}"))

    def _attempt(self, request: ws.WebSocketRequest) -> Attempt:
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
        attempt = Attempt(
            self._counts["attempts"] - 1,
            trio.current_time(),
            request.path,
            headers,
            tuple(request.proposed_subprotocols),
        )
        self.attempts.append(attempt)
        return attempt

    # What the plan says

    def _unreachable(self) -> bool:
        return self._age() < self._plan.unreachable_for

    async def _delayed(self, plan: FaultPlan, tap: Tap) -> bool:
        """Wait as planned; whether the client left meanwhile."""
        if plan.handshake_delay and self._first("handshakes", plan.delayed):
            with trio.move_on_after(plan.handshake_delay):
                await tap.gone.wait()
        return tap.gone.is_set()

    def _refused(self, plan: FaultPlan) -> bool:
        first = bool(plan.refuse_first) and self._first("refusals", plan.refuse_first)
        return first or self._age() < plan.refuse_for

    def _mishap(self, plan: FaultPlan) -> Mishap | None:
        return plan.mishap if plan.mishap and self._first("mishaps", plan.mishaps) else None

    def _first(self, what: str, limit: int | None) -> bool:
        self._taken[what] += 1
        return limit is None or self._taken[what] <= limit

    def _age(self) -> float:
        return trio.current_time() - (self._since or 0.0)

    def _begin(self) -> None:
        if self._since is None:
            self._since = trio.current_time()

    # Its books

    def said(self, stream: int = 0) -> Counter[int]:
        """How often each word of the script was said, on all connections of session `stream`."""
        return Counter(
            heard.number for line in self.connections for heard in line.words if heard.stream == stream
        )

    def received(self, stream: int = 0) -> Intervals:
        """The samples of session `stream` that arrived, on all connections."""
        union = Intervals()
        for line in self.connections:
            if line.hearing.stream == stream:
                for start, end in line.hearing.received.spans():
                    union.add(start, end)
        return union

    def statistics(self) -> StandInStatistics:
        """Counts since it was made, and what is live now."""
        kinds = ("attempts", "unreachable", "unanswered", "refused", "accepted")
        return StandInStatistics(
            **{kind: self._counts[kind] for kind in kinds},
            live=len(self.live),
            words=sum(len(line.words) for line in self.connections),
            samples=sum(line.hearing.samples for line in self.connections),
        )

    def _note(self, kind: str, detail: str = "") -> None:
        self._counts[kind] += 1
        self.log.append((trio.current_time(), f"{self.name} {kind} {detail}".rstrip()))


def _raw(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]
