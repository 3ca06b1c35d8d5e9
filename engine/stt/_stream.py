"""One stream to a vendor, from its handshake to its end.

Tasks: one sends audio, one receives, one has results asked for where a flush wants them, the rest watch, by timers
that all streams of a vendor share. The first that ends the stream decides how it ended; the others are cancelled.
Invariants: audio is read from the source only as fast as it can be sent, and what was read is sent; messages go out
in the order in which the protocol made them; what is covered is told by `Coverage`.

Where connection, protocol and source can, audio goes past the sending task (`_pumping.py`) while all is well: that
task sends the first chunk of a stream, and again whenever there is more to do than to send on. The books are brought
up to date (`take`) before anybody looks at them.

A pre-roll is sent before any audio is read. The stream is ready only once the vendor has answered for all of it.

Every wait has a limit:

    a send                    `send`
    results of a pre-roll     `finish`
    results after the end     `finish` without any result
    an answer to `finalize`   `hang` / 2; then, if no audio follows, the stream is ended, for an end is always answered
    acknowledgements, pongs   `hang`
    results for speech        `hang` without any; they are asked for after two thirds of that

Known doubt: what is speech is the energy gate's guess. Loud noise passes for it, and a vendor that never says
anything of noise would be taken for dead; hence it is asked first, and all known vendors answer that.
"""

import math
from collections.abc import Sequence
from enum import Enum
from functools import partial

import trio

from engine.log import get_logger
from engine.stt._coverage import Coverage, Emit
from engine.stt._outgoing import Outgoing, StreamLimits
from engine.stt._pace import Pace
from engine.stt._preroll import PlayedVoice
from engine.stt._pumping import Pumping
from engine.stt.protocol import (
    Event,
    Failed,
    Finished,
    Flushed,
    Message,
    Notice,
    Recognized,
    Started,
    Tentative,
    VendorProtocol,
)
from engine.stt.transport import Connection, ConnectionLost, PromptConnection, PumpingConnection
from engine.stt.vendor import AudioSource, Chunk, Fault, PumpedSource, Ready, VendorError
from engine.timers import Timers

log = get_logger(__name__)

FIRST_AUDIO_MARGIN = 0.7
"""Share of the vendor's wait for first audio after which an idle stream is given up."""

LONGEST_SPEECH = 60.0
"""Seconds beyond `max_duration` for which a stream may go on until somebody draws breath: no word is cut in two."""

ASK = 2 / 3
"""Share of `hang` without results after which they are asked for."""


class End(Enum):
    """How a stream ended, when it did not fail."""

    AUDIO_OVER = "the audio is over"
    DURATION = "the vendor's longest duration"
    NO_AUDIO = "no audio yet"
    UNANSWERED = "results asked for did not come"


class Stream:
    """`ended` says how, once `run` has returned."""

    def __init__(
        self,
        name: str,
        protocol: VendorProtocol,
        audio: AudioSource,
        emit: Emit,
        limits: StreamLimits,
        timers: Timers,
        first: Chunk | None = None,
        preroll: bytes = b"",
    ) -> None:
        """`first`: a chunk that was read already. `preroll`: speech (s16le) that is sent before any audio."""
        self.protocol = protocol
        self.ended = End.AUDIO_OVER
        self._name = name
        self._audio = audio
        self._pumped_source = audio if isinstance(audio, PumpedSource) else None
        self._emit = emit
        self._limits = limits
        self._timers = timers
        self._first = first
        self._preroll = PlayedVoice(preroll) if preroll else None
        self._books = Coverage(emit if self._preroll is None else self._preroll.on_event)
        self._pumping = Pumping(protocol, self._books, limits.chunk_shortest, limits.chunk_longest)
        self._wanted = self._finalized = 0  # results are asked for up to here; were asked for up to here
        self._finalized_at = -math.inf
        self._guessed = False  # the last `finalize` was answered with nothing
        self._started = self._over = False
        self._error: VendorError | None = None
        self._finishing: End | None = None
        self._scope = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._changed = trio.Event()

    async def open(self, connection: Connection) -> None:
        """Send what comes first and wait until audio may follow."""
        self._connection = connection
        self._pumps = connection if isinstance(connection, PumpingConnection) else None
        self._out = Outgoing(connection, self._limits, self._pumping, self._late)
        for item in self.protocol.opened():
            if isinstance(item, Started):
                self._started = True
            else:
                await self._out.send_first(item)
        while not self._started and self._error is None:
            await self._receive_one()
        if self._error is not None:
            raise self._error
        self._opened_at = trio.current_time()
        self._pace = Pace(self.protocol.traits.pace)
        if self._preroll is None:
            self._emit(Ready())

    async def run(self) -> None:
        """Until the stream has ended one way or the other; raises its `VendorError`."""
        traits = self.protocol.traits
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            nursery.start_soon(self._send_audio)
            nursery.start_soon(self._receive)
            nursery.start_soon(self._finalize_as_wanted)
            if traits.keepalive is None:
                nursery.start_soon(self._timers.keep, self._watch_hang)
            else:
                quiet = partial(self._out.watch_quiet, traits.keepalive)
                nursery.start_soon(self._timers.keep, self._watch_hang, quiet)
                nursery.start_soon(self._out.keep_alive, self._keepalive)
            if traits.ping is not None:
                nursery.start_soon(self._out.ping, traits.ping)
        if self._error is not None:
            raise self._error

    @property
    def took_audio(self) -> bool:
        """Whether it was given any of the session's."""
        return self._books.begun

    def _end(self, how: End) -> None:
        if not self._over:
            self._over = True
            self.ended = how
            self._scope.cancel()

    def _fail(self, error: VendorError | None) -> None:
        """The stream is over; None: in good order, with every result."""
        if self._over:
            return
        if error is None:
            self._books.cover(self._books.sent)
            self._end(self._finishing or End.AUDIO_OVER)
        else:
            self._over = True
            self._error = error
            self._scope.cancel()

    def _late(self, what: str, seconds: float) -> None:
        text = f"{self._name}: waited {seconds:g} s for {what}"
        self._fail(VendorError(Fault.RETRY_AFTER, text))

    # Out

    async def _play(self, voice: PlayedVoice) -> None:
        """Send the pre-roll, and return when the vendor has nothing more to say of it."""
        for pcm in voice.pieces(self.protocol.traits.chunk):
            await self._send_pcm(pcm)
        self._want_results()
        with trio.move_on_after(self._limits.finish) as limit:
            await voice.heard_out.wait()
        if limit.cancelled_caught:
            self._late("results of the pre-roll", self._limits.finish)
            return
        self._books.emit = self._emit
        self._emit(Ready(owner=voice.owner))

    async def _send_audio(self) -> None:
        if self._preroll is not None:
            await self._play(self._preroll)
        while (chunk := await self._next_chunk()) is not None:
            self._books.begin(chunk.position)
            if len(chunk.pcm):
                await self._send_chunk(chunk)
            if chunk.end:
                self._finishing = End.AUDIO_OVER
                break
            if chunk.flush:
                self._want_results()
            else:
                await self._pump()
        if self._books.sent > self._books.base or self._finishing is End.AUDIO_OVER:
            await self._finish(self._finishing or End.DURATION)
        else:
            self._end(End.NO_AUDIO)

    async def _next_chunk(self) -> Chunk | None:
        """The next audio; None when none can be taken any more: too old, too long idle, or to be ended."""
        if self._first is not None:
            chunk, self._first = self._first, None
            return chunk
        if self._finishing is None:
            with trio.CancelScope(deadline=self._read_until()) as self._reading:
                return await self._audio.read(self.protocol.traits.chunk)
        return None

    async def _pump(self) -> None:
        """Let the connection send audio by itself, where it can, for as long as that is all there is to do."""
        connection = self._pumps
        if connection is None:
            return
        with self._pumping.opened(self._pumped_source, self._pace) as pump:
            if pump is not None:
                pump.on_told = self._pumped
                with trio.CancelScope(deadline=self._read_until()) as self._reading:
                    await connection.pump(pump)

    def _pumped(self) -> None:
        """Audio went out by itself for a while."""
        self._pumping.take()
        self._reading.deadline = self._read_until()

    def _read_until(self) -> float:
        traits = self.protocol.traits
        patience = math.inf if traits.max_duration is None else traits.max_duration
        patience += LONGEST_SPEECH if self._books.speaking else 0.0
        if traits.first_audio is not None and self._books.sent == self._books.base:
            patience = min(patience, traits.first_audio * FIRST_AUDIO_MARGIN)
        return self._opened_at + patience

    async def _send_chunk(self, chunk: Chunk) -> None:
        await self._send_pcm(bytes(chunk.pcm))  # the ring may be written over while this waits its turn

    async def _send_pcm(self, pcm: bytes) -> None:
        await self._pace.wait(len(pcm) // 2)
        await self._wait_for_window()

        def audio() -> Sequence[Message]:
            self._books.send(pcm)
            return self.protocol.audio(pcm)

        await self._out.send(audio)

    async def _wait_for_window(self) -> None:
        window = self.protocol.traits.window
        while window is not None and self.protocol.unacknowledged >= window:
            with trio.move_on_after(self._limits.hang) as limit:
                await self._changed.wait()
            if limit.cancelled_caught:
                self._late("acknowledgement of audio", self._limits.hang)

    async def _finish(self, why: End) -> None:
        """No audio follows in this stream: ask for the rest and wait for it, while it comes."""
        self._finishing = why
        await self._out.send(self.protocol.finish)
        asked = trio.current_time()
        patience = self._limits.hang if why is End.UNANSWERED else self._limits.finish
        while trio.current_time() < (due := max(asked, self._books.heard_at) + patience):  # noqa: ASYNC110 (results put it off)
            await trio.sleep_until(due)
        self._late("the last results", patience)

    def _keepalive(self) -> Sequence[Message]:
        return self.protocol.keepalive() if self._finishing is None else ()

    # Results that are asked for

    def _want_results(self) -> None:
        """Results for everything sent so far are wanted now."""
        self._pumping.take()
        self._wanted = self._books.sent
        self._notify()

    async def _finalize_as_wanted(self) -> None:
        """Ask the vendor, not more often than it likes, and see that an answer comes."""
        while True:
            wait_until = math.inf
            self._pumping.take()
            if self._books.covered < self._wanted and self._finishing is None:
                if not self._books.speech_waits:
                    self._books.cover(self._books.sent, assumed=True)
                elif self._finalized < self._wanted:
                    wait_until = self._finalized_at + self.protocol.traits.finalize_gap
                    if wait_until <= trio.current_time():
                        await self._out.send(self._finalize)
                        continue
                else:
                    wait_until = self._finalized_at + self._limits.hang / 2
                    if wait_until <= trio.current_time():
                        self._give_up_asking()
                        continue
            with trio.move_on_at(wait_until):
                await self._changed.wait()

    def _finalize(self) -> Sequence[Message]:
        self._finalized, self._finalized_at = self._books.sent, trio.current_time()
        self._guessed = False
        return self.protocol.finalize()

    def _give_up_asking(self) -> None:
        """What was asked for is not said. Audio that was sent since makes the vendor speak, or the watch bite."""
        if self._books.sent > self._finalized:
            self._wanted = self._books.covered
        elif self._guessed:
            self._books.cover(self._finalized)  # no word goes on
        else:
            self._finishing = End.UNANSWERED
            self._reading.cancel()

    def _watch_hang(self) -> float | None:
        """Speech goes in and nothing comes out: the vendor is gone, whatever its socket says. When to look again."""
        hang = self._limits.hang
        self._pumping.take()
        now, since = trio.current_time(), self._books.due_since
        if since is None or self._finishing is not None:
            return now + hang * ASK
        if now < since + hang * ASK:
            return since + hang * ASK
        if now < since + hang:
            self._want_results()
            return since + hang
        self._late("any result for the speech it was sent", hang)
        return None

    # In

    async def _receive(self) -> None:
        connection = self._connection
        if not isinstance(connection, PromptConnection):
            while not self._over:
                await self._receive_one()
            return
        try:
            await connection.receive_each(self._on_message)
        except ConnectionLost as lost:
            self._fail(self.protocol.lost(lost))

    async def _receive_one(self) -> None:
        try:
            message = await self._connection.receive()
        except ConnectionLost as lost:
            self._fail(self.protocol.lost(lost))
        else:
            self._on_message(message)

    def _on_message(self, message: Message) -> None:
        if self._over:
            return
        self._pumping.take()
        awaited = self._books.covered < self._wanted or self.protocol.traits.window is not None
        for event in self.protocol.received(message):
            self._on_event(event)
        if self.protocol.traits.window is not None:
            self._pumping.take()  # what was acknowledged
        if awaited:
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _on_event(self, event: Event) -> None:
        match event:
            case Recognized():
                self._books.recognized(event.words, event.covered)
            case Tentative():
                self._books.tentative(event.words)
            case Flushed():
                self._guessed = event.guessed
                self._books.answered(self._finalized, guessed=event.guessed)
            case Finished():
                self._fail(None)
            case Failed():
                self._fail(event.error)
            case Started():
                self._started = True
            case Notice():
                log.info("vendor.notice", vendor=self._name, notice=event.text)
