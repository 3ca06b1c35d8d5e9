"""Drives a vendor's protocol over a transport: the `Vendor` that all streaming services share.

Operations: `transcribe` runs streams, one after another, from handshake to the end of the audio.
Invariants: `Final`s tile the session's timeline; a word lying before what is covered is left out, so finals that a
vendor repeats yield no word twice; audio is read from the source only as fast as it can be sent.
Bounded: nothing is queued here; what is not sent yet is in the source.
Every wait has a limit: the handshake with its answer, each send, the results after the end, and results at all
while speech is being sent. What exceeds it becomes a `VendorError`, as does every end the vendor makes itself.

A stream's tasks: one sends audio, one receives, the rest watch. The first that ends the stream decides how it
ended; the others are cancelled. Positions of the vendor and of the session differ by a constant, because a source
gives audio without gaps (a gate in front of it keeps its own table).
"""

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np
import trio
from msgspec.structs import replace

from engine.audio.gate import EnergyGate
from engine.log import get_logger
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
from engine.stt.transport import ConnectFailed, Connection, ConnectionLost, Refused, Transport
from engine.stt.vendor import (
    SAMPLE_RATE,
    AudioSource,
    Chunk,
    Fault,
    Final,
    Interim,
    Ready,
    StreamOptions,
    SttEvent,
    VendorError,
)
from engine.transcript.words import Word

log = get_logger(__name__)

Emit = Callable[[SttEvent], None]

BURST = 1.0
"""Seconds of audio that may go out at once before pacing begins."""

FIRST_AUDIO_MARGIN = 0.7
"""Share of the vendor's wait for first audio after which an idle stream is given up."""


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `hang` is for speech sent without any result coming back."""

    connect: float = 3.0
    send: float = 3.0
    hang: float = 6.0
    finish: float = 10.0


class StreamingVendor:
    """A `Vendor` over a vendor's protocol. One instance serves all sessions; each stream is its own."""

    def __init__(
        self,
        *,
        name: str,
        provider: str,
        speaks: Callable[[str], bool],
        protocol: Callable[[StreamOptions], VendorProtocol],
        transport: Transport,
        limits: StreamLimits,
    ) -> None:
        self.name = name
        self.provider = provider
        self._speaks = speaks
        self._protocol = protocol
        self._transport = transport
        self._limits = limits

    def speaks(self, language: str) -> bool:
        """See `Vendor.speaks`."""
        return self._speaks(language)

    async def prepare(self) -> None:
        """Nothing to load."""

    async def transcribe(self, audio: AudioSource, emit: Emit, options: StreamOptions) -> None:
        """See `Vendor.transcribe`.

        A stream that reached the vendor's longest duration, or had no audio for so long that the vendor would
        end it, is followed by another.
        """
        first: Chunk | None = None
        while True:
            stream = _Stream(self.name, self._protocol(options), audio, emit, self._limits, first)
            await self._connected(stream)
            if stream.ended is _End.AUDIO_OVER:
                return
            first = await audio.read(stream.chunk) if stream.ended is _End.NO_AUDIO else None
            log.info("vendor.next_stream", vendor=self.name, because=stream.ended)

    async def _connected(self, stream: "_Stream") -> None:
        """Run one stream from handshake to end; raises its `VendorError`."""
        protocol = stream.protocol
        with trio.move_on_after(self._limits.connect) as limit:
            try:
                async with self._transport.connect(protocol.request()) as connection:
                    await stream.open(connection)
                    limit.deadline = math.inf
                    await stream.run()
            except Refused as refused:
                raise protocol.refused(refused) from None
            except ConnectFailed as failed:
                raise VendorError(Fault.RETRY_NOW, f"{self.name}: {failed}") from failed
        if limit.cancelled_caught:
            text = f"{self.name}: no answer to the handshake within {self._limits.connect:g} s"
            raise VendorError(Fault.RETRY_AFTER, text)


class _End:
    """How a stream ended, when it did not fail."""

    AUDIO_OVER = "the audio is over"
    DURATION = "the vendor's longest duration"
    NO_AUDIO = "no audio yet"


class _Stream:
    """One stream's tasks and what they share."""

    def __init__(
        self,
        name: str,
        protocol: VendorProtocol,
        audio: AudioSource,
        emit: Emit,
        limits: StreamLimits,
        first: Chunk | None,
    ) -> None:
        self.protocol = protocol
        self.chunk = protocol.traits.chunk
        self.ended: str | None = None
        self._name = name
        self._audio = audio
        self._emit = emit
        self._limits = limits
        self._first = first
        self._base = self._sent = self._covered = self._finalized = 0
        self._gate = EnergyGate()
        self._speech = 0
        self._speech_until = 0
        self._heard_audio = False
        self._error: VendorError | None = None
        self._scope = trio.CancelScope()
        self._started = False
        self._progress = trio.Event()
        now = trio.current_time()
        self._opened_at = self._heard_at = self._sent_at = self._paced_until = now
        self._finalized_at = -math.inf
        self._finishing: str | None = None

    async def open(self, connection: Connection) -> None:
        """Send what comes first and wait until audio may follow."""
        self._connection = connection
        for item in self.protocol.opened():
            if isinstance(item, Started):
                self._started = True
            else:
                await self._send_message(item)
        while not self._started and self._error is None:
            await self._receive_one()
        if self._error is not None:
            raise self._error
        self._opened_at = self._heard_at = self._sent_at = self._paced_until = trio.current_time()
        self._emit(Ready())

    async def run(self) -> None:
        """Until the stream has ended one way or the other; raises its `VendorError`."""
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            traits = self.protocol.traits
            nursery.start_soon(self._send_audio)
            nursery.start_soon(self._receive)
            nursery.start_soon(self._watch_hang)
            if traits.keepalive is not None:
                nursery.start_soon(self._keep_alive, traits.keepalive)
            if traits.ping is not None:
                nursery.start_soon(self._ping, traits.ping)
        if self._error is not None:
            raise self._error

    def _end(self, how: str) -> None:
        self.ended = self.ended or how
        self._scope.cancel()

    def _fail(self, error: VendorError | None) -> None:
        """The stream is over; None: in good order."""
        if error is None:
            self._cover(self._sent, ())
            self._end(self._finishing or _End.AUDIO_OVER)
        elif self._error is None and self.ended is None:
            self._error = error
            self._scope.cancel()

    # Out

    async def _send_audio(self) -> None:
        traits = self.protocol.traits
        while True:
            chunk = await self._next_chunk()
            if chunk is None:
                return
            if not self._heard_audio:
                self._begin_at(chunk.position)
            if len(chunk.pcm):
                await self._pace(len(chunk.pcm))
                await self._wait_for_window()
                self._listen_in(chunk)
                self._sent = chunk.position + len(chunk.pcm)
                await self._send(self.protocol.audio(bytes(chunk.pcm)))
            if chunk.end:
                await self._finish(_End.AUDIO_OVER)
                return
            if chunk.flush:
                await self._finalize()
            if traits.max_duration and trio.current_time() - self._opened_at >= traits.max_duration:
                await self._finish(_End.DURATION)
                return

    def _begin_at(self, position: int) -> None:
        """Only the first audio tells where this stream begins: another vendor may have gone on until now."""
        self._heard_audio = True
        self._base = self._sent = self._covered = self._finalized = self._speech_until = position

    async def _next_chunk(self) -> Chunk | None:
        """The next audio; None when the vendor would not wait for it any longer."""
        if self._first is not None:
            chunk, self._first = self._first, None
            return chunk
        patience = self.protocol.traits.first_audio
        if patience is None or self._heard_audio:
            return await self._audio.read(self.chunk)
        with trio.move_on_after(patience * FIRST_AUDIO_MARGIN):
            return await self._audio.read(self.chunk)
        self._end(_End.NO_AUDIO)
        return None

    async def _pace(self, samples: int) -> None:
        """Wait while audio would go out faster than the vendor takes it; live audio never waits."""
        now = trio.current_time()
        self._paced_until = (
            max(self._paced_until, now - BURST) + samples / SAMPLE_RATE / self.protocol.traits.pace
        )
        if self._paced_until > now:
            await trio.sleep_until(self._paced_until)

    async def _wait_for_window(self) -> None:
        window = self.protocol.traits.window
        while window is not None and self.protocol.unacknowledged >= window:
            with trio.move_on_after(self._limits.hang) as limit:
                await self._progress.wait()
            if limit.cancelled_caught:
                self._fail(self._late("acknowledgement of audio", self._limits.hang))
                await trio.sleep_forever()

    def _listen_in(self, chunk: Chunk) -> None:
        """Note whether this audio may be speech: results are due for it."""
        if self._gate.process(np.frombuffer(chunk.pcm, np.int16)):
            self._speech += len(chunk.pcm)
            self._speech_until = chunk.position + len(chunk.pcm)

    async def _finalize(self) -> None:
        """Ask for results now; too soon after the last time, a vendor that minds is left alone."""
        now = trio.current_time()
        if self._speech_until <= self._covered:
            self._cover(self._sent, ())
        elif now - self._finalized_at >= self.protocol.traits.finalize_gap:
            self._finalized, self._finalized_at = self._sent, now
            await self._send(self.protocol.finalize())

    async def _finish(self, why: str) -> None:
        """No audio follows in this stream: ask for the rest and wait for it."""
        self._finishing = why
        await self._send(self.protocol.finish())
        await trio.sleep(self._limits.finish)
        self._fail(self._late("the last results", self._limits.finish))

    async def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            with trio.move_on_after(self._limits.send) as limit:
                await self._send_message(message)
            if limit.cancelled_caught:
                self._fail(self._late("room to send", self._limits.send))
                await trio.sleep_forever()

    async def _send_message(self, message: Message) -> None:
        self._sent_at = trio.current_time()
        try:
            await self._connection.send(message)
        except ConnectionLost as lost:
            # The reason may be in a message or a close frame not received yet: the receiver has the word.
            if not self._started:
                raise self.protocol.lost(lost) or VendorError(Fault.RETRY_NOW, str(lost)) from lost
            await trio.sleep_forever()

    async def _keep_alive(self, interval: float) -> None:
        while True:
            idle = trio.current_time() - self._sent_at
            if idle >= interval and self._finishing is None:
                await self._send(self.protocol.keepalive())
                idle = 0.0
            await trio.sleep(max(interval - idle, 0.1))

    async def _ping(self, interval: float) -> None:
        while True:
            await trio.sleep(interval)
            try:
                with trio.move_on_after(self._limits.hang) as limit:
                    await self._connection.ping()
            except ConnectionLost:
                return  # the receiver says how
            if limit.cancelled_caught:
                self._fail(self._late("a pong", self._limits.hang))

    # In

    async def _receive(self) -> None:
        while self.ended is None and self._error is None:
            await self._receive_one()

    async def _receive_one(self) -> None:
        try:
            message = await self._connection.receive()
        except ConnectionLost as lost:
            self._fail(self.protocol.lost(lost))
            return
        for event in self.protocol.received(message):
            self._on_event(event)
        self._progress.set()
        self._progress = trio.Event()

    def _on_event(self, event: Event) -> None:
        match event:
            case Recognized():
                self._heard()
                self._cover(self._base + event.covered, self._on_timeline(event.words))
            case Tentative():
                self._heard()
                self._emit(Interim(self._on_timeline(event.words)))
            case Flushed():
                self._cover(self._finalized, ())
            case Finished():
                self._fail(None)
            case Failed():
                self._fail(event.error)
            case Started():
                self._started = True
            case Notice():
                log.info("vendor.notice", vendor=self._name, text=event.text)

    def _on_timeline(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Words in session positions, less those in audio that is covered already."""
        moved = (replace(word, start=word.start + self._base, end=word.end + self._base) for word in words)
        return tuple(word for word in moved if (word.start + word.end) // 2 >= self._covered)

    def _cover(self, position: int, words: tuple[Word, ...]) -> None:
        position = min(max(position, self._covered), self._sent)
        if words or position > self._covered:
            start, self._covered = self._covered, position
            self._emit(Final(start, position, words))

    def _heard(self) -> None:
        self._heard_at = trio.current_time()
        self._speech = 0

    async def _watch_hang(self) -> None:
        """Speech goes in and nothing comes out: the vendor is gone, whatever its socket says."""
        hang = self._limits.hang
        while True:
            await trio.sleep(hang / 4)
            quiet = trio.current_time() - self._heard_at
            if quiet >= hang and self._speech >= hang / 2 * SAMPLE_RATE:
                self._fail(self._late("any result for the speech it was sent", hang))

    def _late(self, what: str, seconds: float) -> VendorError:
        return VendorError(Fault.RETRY_AFTER, f"{self._name}: waited {seconds:g} s for {what}")
