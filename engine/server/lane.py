"""The native lane: one Trio task for all sockets of native/src/lane.h, and each of them as a `ClientSocket`.

Operations: `Lane.add` takes a connection after its handshake; `Lane.run` drains the native set for ever;
`LaneSocket` is what a session receives from and sends to; `LaneSocket.finish` ends the connection.
Invariants: only the native code receives on these sockets. A message is handed up once, in order; `ClientGone`
comes after the last. Inside `decoding` no audio passes through Python: one call is made when the ring has what its
reader wanted.
Bounded: `slots` connections; of each, `QUEUE_LIMIT` messages and what one receive may hold, then its socket is not
read; one message waits to be sent, `send` waits with it.
Vendors' connections are in it, too (`vendor_lane.py`).
Cost: one wake-up of the loop and one native call for all sockets that are ready (`python -m bench.lane`). When the
server is idle it comes with each packet; with the load calls come less often, down to one in `pause`, and packets
gather in the kernel until there are as many as somebody waits for. Beyond that they come more often again, each with
as many packets: what is done between two calls is what a result may have to wait for. Below `PROMPT` a result ends the
pause itself.
Known doubts: `lane_run` gives the GIL up (what is short keeps it, `engine.held`), and gets it back only when other
Python threads let go of it, which may take the interpreter's switch interval while they compute. AAC and calls of
several channels are received here but decoded by the session: AAC in a thread, with what other sessions have of it.
"""

import ctypes
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
import trio

from engine._native import ffi, lib
from engine.audio.intake import Intake
from engine.held import address, held
from engine.listen.ports import ClientGone
from engine.wire import CloseCode, truncate_reason

__all__ = ["Lane", "LaneSocket", "LaneStatistics", "time_between"]

QUEUE_LIMIT = 64
"""Messages handed up and not received from which on a socket is not read."""

CROWDED = 375
"""Thousandths of a core beyond which native calls come more often the more there is to do."""

PROMPT = 650
"""Thousandths of a core up to which what a vendor says ends a pause: beyond, pauses are short, and CPU is scarce."""

_native_send = held(
    "lane_send",
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_size_t,
)
_native_rest = held("lane_rest", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int)

S = TypeVar("S", bound="LaneSocket")


class LaneStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Clients and connections to vendors now; calls, system calls, bytes and messages since the lane was opened.

    `vendor_messages` came from vendors; `vendor_frames` of audio went to them by themselves. `load` is what the
    event loop's thread uses now, in thousandths of a core.
    """

    connections: int
    links: int
    slots: int
    runs: int
    waits: int
    receives: int
    sends: int
    controls: int
    settings: int
    overdue: int
    sat_out: int
    bytes_in: int
    bytes_copied: int
    messages: int
    decoded: int
    vendor_messages: int
    vendor_frames: int
    vendor_samples: int
    load: int


class Lane:
    """All connections in the lane.

    `slots`: the most clients there may be, `links`: the most connections to vendors; `message_limit`, of clients, in
    bytes; `pause`: seconds from one native call to the next when the server is busy, see `time_between`.
    """

    def __init__(self, slots: int, message_limit: int, *, links: int = 0, pause: float = 0.0) -> None:
        error = ffi.new("int *")
        native = lib.lane_open(slots + links, message_limit, error)
        if native == ffi.NULL:
            why = os.strerror(error[0])
            raise OSError(error[0], f"cannot open a lane for {slots} connections: {why}")
        self._native = ffi.gc(native, lib.lane_close)
        self.address = address(native)
        self._reports = lib.lane_reports(native)
        self._slots = slots
        self._links_limit = links
        self._pause = int(pause * 1e9)
        self._counts = lib.lane_counted(self._native)
        self._links: set[int] = set()
        self._sockets: dict[int, LaneSocket] = {}

    def add(self, descriptor: int) -> "LaneSocket | None":
        """Take a connected socket, which the caller keeps open until `finish` is over; None when full."""
        slot = lib.lane_add(self._native, descriptor) if self.connections < self._slots else -1
        if slot < 0:
            return None
        socket = LaneSocket(self, self._native, slot)
        self._sockets[slot] = socket
        return socket

    @property
    def turns(self) -> int:
        """Native calls so far."""
        runs: int = self._counts.runs
        return runs

    @property
    def connections(self) -> int:
        """Clients now."""
        return len(self._sockets) - len(self._links)

    @property
    def can_dial(self) -> bool:
        """Whether there is room for another connection to a vendor."""
        return len(self._links) < self._links_limit

    def dial(self, kind: type[S], descriptor: int, data: bytes) -> S | None:
        """As `add`, for a connection that we opened, whose handshake `data` followed; `kind` of socket."""
        slot = lib.lane_dial(self._native, descriptor, data, len(data)) if self.can_dial else -1
        if slot == -2:
            raise MemoryError(f"no memory for the {len(data)} bytes that came with a handshake")
        if slot < 0:
            return None
        socket = kind(self, self._native, slot)
        self._sockets[slot] = socket
        self._links.add(slot)
        return socket

    async def run(self) -> None:
        """Do what the sockets ask for, until cancelled."""
        descriptor = lib.lane_fd(self._native)
        try:
            while True:
                await trio.lowlevel.wait_readable(descriptor)
                self._drain()
                await self._drain_together()
        finally:
            trio.lowlevel.notify_closing(descriptor)

    async def _drain_together(self) -> None:
        """While the server is busy, let packets gather: a wake-up costs more than what is done for a packet.

        A timer descriptor wakes to the microsecond, and costs a third of `trio.sleep`, which rounds up to milliseconds.
        """
        counts = self._counts
        while counts.ready:
            between = time_between(counts.load, self._pause)
            if not between:
                return
            if counts.ready < lib.LANE_EVENTS:
                prompt = counts.load < PROMPT
                await trio.lowlevel.wait_readable(_native_rest(self.address, between, prompt))
            else:
                await trio.lowlevel.checkpoint()
            self._drain()

    def _drain(self) -> None:
        """One turn: what vendors say goes on its way before what clients say is decoded."""
        self._run()
        if self._counts.vendors_only:
            self._run()

    def _run(self) -> None:
        reports = self._reports
        for number in range(lib.lane_run(self._native)):
            report = reports[number]
            socket = self._sockets.get(report.slot)
            if socket is not None and socket.generation == report.generation:
                socket._take(report)

    def _remove(self, slot: int) -> None:
        lib.lane_remove(self._native, slot)
        del self._sockets[slot]
        self._links.discard(slot)

    def statistics(self) -> LaneStatistics:
        """How many connections, and what was done for them."""
        counts = self._counts
        names = LaneStatistics.__struct_fields__[3:]
        totals = {name: getattr(counts, name) for name in names}
        return LaneStatistics(
            connections=self.connections, links=len(self._links), slots=self._slots, **totals
        )


def time_between(load: int, pause: int) -> int:
    """From the beginning of one native call to that of the next, in ns, at a load in thousandths of a core.

    None when idle, `pause` when busy, and beyond `CROWDED` in inverse proportion to the load: the more sessions share
    a wake-up's cost, the more often there may be one.
    """
    if load >= CROWDED:
        return pause * CROWDED // load
    return min(pause, max(0, pause * (load - lib.LANE_IDLE) // (lib.LANE_BUSY - lib.LANE_IDLE)))


class LaneSocket:
    """One connection. One task may receive while others send."""

    def __init__(self, lane: Lane, native: Any, slot: int) -> None:
        self.generation: int = lib.lane_generation(native, slot)
        self._lane = lane
        self._native = native
        self._address = lane.address
        self._slot = slot
        self._queue: deque[bytes | str] = deque()
        self._how = lib.LANE_ONE  # the first message may be a token, and what follows go past Python
        self._paused = True
        self._news = trio.Event()
        self._sent = trio.Event()
        self._gone: int | None = None
        self._ended = False
        self._answered = False
        self._expelled = False
        self._broken = False
        self._closed = False
        self._removed = False
        self._room: int | None = None
        self._failure: Exception | None = None
        self._decoded: Callable[[], None] | None = None
        self._make_room: Callable[[int], Awaitable[None]] | None = None

    # Receiving

    async def receive(self) -> bytes | str:
        """The next message; after the last one raises `ClientGone`, also after our own `close`."""
        if self._queue:
            await trio.lowlevel.checkpoint()
        while self._failure is not None or not self._queue:
            if self._failure is not None:
                raise self._failure
            if self._room is not None:
                await self._grant()
            elif self._gone is not None:
                raise self._over(self._gone)
            else:
                self._read()
                await self._wait_news()
        message = self._queue.popleft()
        self._how = lib.LANE_ALL
        return message

    @contextmanager
    def decoding(
        self, intake: Intake, decoded: Callable[[], None], make_room: Callable[[int], Awaitable[None]]
    ) -> Iterator[None]:
        """See `DecodingSocket`."""
        self._decoded, self._make_room = decoded, make_room
        self._how = lib.LANE_ALL
        lib.lane_decode(self._native, self._slot, intake.native)
        intake.unread = self._unread
        self._read()
        try:
            yield
        finally:
            self._decoded = self._make_room = self._room = None
            if not self._removed:  # else the slot may be another's
                lib.lane_decode(self._native, self._slot, ffi.NULL)

    def _read(self) -> None:
        if self._paused:
            self._paused = False
            lib.lane_read(self._native, self._slot, self._how)

    def _unread(self) -> bool:
        return not self._removed and bool(lib.lane_unread(self._native, self._slot))

    async def _grant(self) -> None:
        assert self._make_room is not None
        assert self._room is not None
        await self._make_room(self._room)
        self._room = None
        if not self._removed:
            lib.lane_granted(self._native, self._slot)

    def _over(self, code: int) -> Exception:
        """What is raised once nobody is there."""
        return ClientGone(code)

    async def _wait_news(self) -> None:
        self._news = trio.Event()
        await self._news.wait()

    def _take(self, report: Any) -> None:
        """What the native code has to say. Called by the lane's task: a fault is for the one who receives."""
        try:
            self._on_report(report, report.kind)
        except Exception as error:  # noqa: BLE001 - it is raised again in `receive`
            self._failure = error
            self._news.set()

    def _on_report(self, report: Any, kind: int) -> None:
        if kind == lib.LANE_AUDIO:
            if self._decoded is not None:
                self._decoded()
            return
        if kind == lib.LANE_SENT:
            self._broken = report.code < 0
            self._sent.set()
            return
        if kind == lib.LANE_TEXT or kind == lib.LANE_BINARY:
            self._on_message(bytes(ffi.buffer(report.data, report.bytes)), text=kind == lib.LANE_TEXT)
        elif kind == lib.LANE_ROOM:
            self._room = report.bytes
        elif kind == lib.LANE_CLOSED or kind == lib.LANE_EXPELLED:
            self._gone = report.code if self._gone is None else self._gone
            self._answered = True
            self._expelled = kind == lib.LANE_EXPELLED
        elif kind == lib.LANE_ENDED:
            self._ended = True
        self._news.set()

    def _on_message(self, payload: bytes, *, text: bool) -> None:
        self._queue.append(payload.decode() if text else payload)
        if self._how == lib.LANE_ONE:
            self._paused = True
        elif len(self._queue) >= QUEUE_LIMIT and not self._paused:
            self._paused = True
            lib.lane_read(self._native, self._slot, lib.LANE_HOLD)

    # Sending

    async def send(self, text: str | bytes) -> None:
        """One message, text or binary. Waits while the client does not read; `ClientGone` once nobody is there.

        Cancelled, the message may still be sent; never a part of it.
        """
        if isinstance(text, str):
            await self._send(lib.FRAME_TEXT, text.encode())
        else:
            await self._send(lib.FRAME_BINARY, text)

    async def _send(self, opcode: int, data: bytes) -> None:
        while not self._removed:
            status = _native_send(self._address, self._slot, opcode, data, len(data))
            if status == lib.LANE_NO_MEMORY:
                raise MemoryError(f"no memory for a message of {len(data)} bytes")
            if status == lib.LANE_WROTE:
                await trio.lowlevel.checkpoint_if_cancelled()
                return
            if status == lib.LANE_GONE:
                break
            await self._wait_sent()
            if self._broken or self._removed:
                break
            if status == lib.LANE_QUEUED:
                return
        await trio.lowlevel.checkpoint()
        raise self._over(CloseCode.ABNORMAL if self._gone is None else self._gone)

    def offer(self, text: str) -> bool:
        """See `PromptSocket`. What the socket does not take at once goes out later, before the next message."""
        if self._removed:
            return False
        data = text.encode()
        status: int = _native_send(self._address, self._slot, lib.FRAME_TEXT, data, len(data))
        return status == lib.LANE_WROTE or status == lib.LANE_QUEUED

    async def close(self, code: int, reason: str = "") -> None:
        """Send the close frame, the reason cut to what fits. Later calls do nothing."""
        await trio.lowlevel.checkpoint()
        if self._closed or self._gone is not None:
            return
        self._closed = True
        self._gone = code
        self._news.set()
        payload = truncate_reason(reason).encode()
        if lib.lane_shut(self._native, self._slot, code, payload, len(payload)) == lib.LANE_QUEUED:
            await self._wait_sent()

    async def _wait_sent(self) -> None:
        if self._sent.is_set():
            self._sent = trio.Event()
        await self._sent.wait()

    # The end

    async def finish(self, shut: Callable[[], None]) -> None:
        """Wait for the client's side of the ending: its close frame, or, after a fault of its own, its end.

        `shut` ends our side of the connection, so that the client sees all that was sent to it. The caller
        sets a time limit. `remove` must follow.
        """
        while not self._answered:
            await self._wait_news()
        while not self._removed and lib.lane_waiting(self._native, self._slot):
            await self._wait_sent()
        if self._expelled and not self._ended:
            shut()
            lib.lane_read(self._native, self._slot, lib.LANE_ALL)
            while not self._ended:
                await self._wait_news()

    def remove(self) -> None:
        """Let go of the connection; must come before its socket is closed. Idempotent."""
        if not self._removed:
            self._removed = self._ended = self._answered = True
            self._gone = CloseCode.ABNORMAL if self._gone is None else self._gone
            self._lane._remove(self._slot)
            self._news.set()
            self._sent.set()
