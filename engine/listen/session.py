"""One client's live session: from its socket to segments kept and sent. One nursery holds all of it.

Operations: `run` lives as long as the session; `end` makes it end from outside (drain).
Invariants: a segment is in the journal before it is queued for the client; when `run` returns nothing of the
session is left but its statistics, and every received sample is covered or counted as lost.
Bounded by the pipeline's backlog (audio in) and the outbox (messages out).

The order of an ending: the client goes or is sent away; no more audio is taken; what was received is
transcribed to its end, however long the client has been gone; the last segments are kept and, if the client is
still there, sent; then the socket is closed. Only cancellation (the end of the server's drain time) cuts this
short.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec
import trio

from engine.audio.intake import Intake
from engine.config import Config
from engine.listen.channels import CallAudio
from engine.listen.client_texts import ClientTexts
from engine.listen.following import Followings
from engine.listen.mixing import Mixed
from engine.listen.naming import SpeakerNames
from engine.listen.outbox import Outbox, OutboxStatistics, SlowClient
from engine.listen.pictures import Pictures, PicturesStatistics, keeper
from engine.listen.pipeline import Pipeline, PipelineStatistics
from engine.listen.ports import (
    Assignments,
    ClientGone,
    ClientSocket,
    Conversations,
    DecodingSocket,
    Follower,
    OpenConversation,
    Photos,
    Translator,
    WallClock,
)
from engine.listen.record import Record
from engine.listen.reports import Reports
from engine.listen.tap import Tap
from engine.log import get_logger
from engine.metrics import Metrics
from engine.stt.failover import SttExhausted
from engine.timers import Timers
from engine.wire.client_messages import KEEPALIVE_BYTES
from engine.wire.codes import CloseCode
from engine.wire.messages import (
    ErrorEvent,
    Event,
    LastMemory,
    Segment,
    ServiceStatus,
    Speaker,
)
from engine.wire.parameters import ListenParameters
from engine.wire.states import TAKES_AUDIO, SessionEvent, State, advance

log = get_logger(__name__)

BAD_PACKET_RUN = 50
"""After so many undecodable packets in a row the client is told, once."""


class Ending(msgspec.Struct, frozen=True):
    """Why a session ends: the close code to send, and a reason for people."""

    code: int
    reason: str


class SessionStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A session at a moment. `seconds` since it began, `lag` the seconds transcription is behind.

    `ignored`: messages of the client that are none we know.
    """

    id: str
    uid: str
    codec: str
    state: str
    conversation_id: str | None
    seconds: float
    segments: int
    ignored: int
    lag: float
    pipeline: PipelineStatistics
    outbox: OutboxStatistics
    pictures: PicturesStatistics


class Session:
    """A client that is being listened to. Is a `Participant` in its conversation."""

    def __init__(
        self,
        *,
        session_id: str,
        uid: str,
        parameters: ListenParameters,
        socket: ClientSocket,
        pipeline: Pipeline | CallAudio,
        conversations: Conversations,
        config: Config,
        wall_clock: WallClock,
        metrics: Metrics,
        timers: Timers,
        photos: Photos | None = None,
        translator: Translator | None = None,
        assignments: Assignments | None = None,
        followers: Sequence[Follower] = (),
    ) -> None:
        """Without `photos` pictures are not taken, without `assignments` the client names nobody."""
        self.id = session_id
        self.uid = uid
        self.parameters = parameters
        self.ending: Ending | None = None
        self._socket = socket
        self._pipeline = pipeline
        self._conversations = conversations
        self._config = config.session
        self._timers = timers
        self._outbox = Outbox(socket, self._config.client_write_timeout, metrics.stage("send"))
        self._followings = Followings(self, followers)
        self._record = Record(
            self, parameters, pipeline, self._outbox, wall_clock, metrics, self._followings, translator
        )
        self._state = advance(State.CONNECTING, SessionEvent.ACCEPTED)
        self._began = trio.current_time()
        self._last_message = self._began
        self._reports = Reports(
            self._record,
            self.notify,
            self._take_audio,
            metrics,
            interim_results=parameters.interim_results,
        )
        keep = keeper(self, self._record, photos, wall_clock)
        self._pictures = Pictures(keep, self.notify, self._config.photo_limit)
        self._texts = ClientTexts(
            self,
            self._record,
            self._config,
            flush=self._ask_flush,
            notify=self.notify,
            send_away=self._send_away,
            pictures=None if photos is None else self._pictures,
            assignments=assignments,
        )
        self._receiving = trio.CancelScope()
        self._flush_asked = trio.Event()
        self._bad_run = 0

    # The session's tasks

    async def run(self) -> None:
        """Greet, listen until the client goes or must go, transcribe what is left, say goodbye."""
        self._followings.began()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive)
                nursery.start_soon(
                    self._timers.keep, self._ping, self._watch_inactivity, self._flush_when_idle
                )
                async with trio.open_nursery() as sending:
                    sending.start_soon(self._send)
                    await self._greet()
                    nursery.start_soon(self._serve_flushes)
                    nursery.start_soon(self._pictures.run)
                    await self._transcribe()
                    await self._pictures.finish()
                    self._outbox.finish()
                await self._close()
                nursery.cancel_scope.cancel()
        finally:
            self._state = State.CLOSED
            self._record.leave()
            self._followings.ended()

    @property
    def joined(self) -> bool:
        """Whether it has a conversation, and with it a journal."""
        return self._record.joined.is_set()

    @property
    def segments(self) -> int:
        """Segments it has added, less those that merging swallowed."""
        return self._record.segments

    def before_keeping(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever words of the session are about to be kept; `segments` counts theirs already."""
        self._record.before_keeping(callback)

    def end(self, code: int, reason: str) -> None:
        """Send the client away once what it said is transcribed. The first call decides the code."""
        if self.ending is None:
            self.ending = Ending(code, reason)
        self._advance(SessionEvent.END_ASKED)
        self._receiving.cancel()

    async def _greet(self) -> None:
        """The handshake's events, in the order of the Omi backend."""
        self._status("initiating", "Service Starting")
        for notice in self.parameters.notices:
            self._status("notice", notice)
        last = await self._conversations.last_completed(self.uid)
        if last is not None:
            self.notify(LastMemory(memory_id=last))
        self._status("in_progress_conversations_processing", "Processing Conversations")
        self._record.enter(await self._conversations.join(self, self.parameters))
        if self.parameters.custom_stt:
            self._take_audio()
        else:
            self._status("stt_initiating", "STT Service Starting")

    async def _receive(self) -> None:
        """Take messages until the client goes or the session must end; then no audio follows."""
        with self._receiving, self._decoding():
            try:
                while self._state in TAKES_AUDIO:
                    message = await self._socket.receive()
                    self._last_message = math.inf  # a client that we keep waiting is not inactive
                    if isinstance(message, str):
                        await self._texts.take(message)
                    elif len(message) > KEEPALIVE_BYTES:
                        await self._on_audio(message)
                    self._last_message = trio.current_time()
            except ClientGone as gone:
                self._gone(Ending(gone.code, "the client closed"))
        await self._pipeline.finish()

    def _decoding(self) -> AbstractContextManager[None]:
        """Where the socket can and the codec may, audio goes straight into the ring, past `_on_audio`."""
        socket, pipeline = self._socket, self._pipeline
        if not isinstance(socket, DecodingSocket) or not isinstance(pipeline, Pipeline):
            return nullcontext()
        intake = pipeline.open_intake(keepalive=KEEPALIVE_BYTES, alarm=BAD_PACKET_RUN)
        if intake is None:
            return nullcontext()

        async def make_room(samples: int) -> None:
            self._last_message = math.inf
            await pipeline.make_room(samples)
            self._last_message = trio.current_time()

        return socket.decoding(intake, lambda: self._on_decoded(pipeline, intake), make_room)

    async def _send(self) -> None:
        try:
            await self._outbox.run()
        except ClientGone as gone:
            self._gone(Ending(gone.code, "the client closed"))
        except SlowClient as slow:
            log.warning("client dropped", reason=str(slow))
            self._gone(Ending(CloseCode.POLICY_VIOLATION, str(slow)))

    async def _transcribe(self) -> None:
        try:
            await self._pipeline.transcribe(self._reports)
        except SttExhausted as exhausted:
            log.error("speech to text unavailable", error=str(exhausted))
            reason = "transcription_service_unavailable"
            retry = self._config.stt_exhausted_timeout
            self.notify(ServiceStatus(status="stt_failed", retryable=True, reason=reason, retry_after=retry))
            self.end(CloseCode.INTERNAL_ERROR, reason)
        self._advance(SessionEvent.END_ASKED)
        self._receiving.cancel()

    def _ping(self) -> float:
        self._outbox.ping()
        return trio.current_time() + self._config.ping_interval

    def _watch_inactivity(self) -> float | None:
        """End the session when nothing at all came from the client for the configured time."""
        limit, now = self._config.inactivity_timeout, trio.current_time()
        heard = max(self._last_message, self._pipeline.speech.last_audio_at or 0.0)
        if heard + limit <= now:
            self.end(CloseCode.GOING_AWAY, f"no message for {limit:g} s")
            return None
        return min(heard, now) + limit

    def _flush_when_idle(self) -> float:
        return self._pipeline.flush_when_idle(max(self._config.idle_flush, self.parameters.idle_flush))

    async def _serve_flushes(self) -> None:
        """Answer the client's `flush` messages; several that come together are one."""
        while True:
            await self._flush_asked.wait()
            self._flush_asked = trio.Event()
            await self._pipeline.flush()
            self._status("flushed")

    async def _close(self) -> None:
        """Close the socket with the reason of the ending; one that does not answer is left to the server."""
        ending = self.ending or Ending(CloseCode.GOING_AWAY, "session over")
        with trio.move_on_after(self._config.close_timeout):
            await self._socket.close(ending.code, ending.reason)

    def _gone(self, ending: Ending) -> None:
        """Nobody reads any more: stop receiving; what was received is still transcribed and kept."""
        if self.ending is None:
            self.ending = ending
        self._outbox.abandon()
        self._advance(SessionEvent.CLIENT_GONE)
        self._receiving.cancel()

    def _advance(self, event: SessionEvent) -> None:
        self._state = advance(self._state, event)

    def _take_audio(self) -> None:
        if self._state is State.INITIATING:
            self._advance(SessionEvent.STT_READY)
            self._status("ready")

    # What the client says

    async def _on_audio(self, packet: bytes) -> None:
        self._record.begin()
        bad = await self._pipeline.feed(packet)
        if not bad:
            self._bad_run = 0
            return
        told = self._bad_run >= BAD_PACKET_RUN
        self._bad_run += bad
        if self._bad_run >= BAD_PACKET_RUN and not told:
            self._undecodable(self._bad_run)

    def _on_decoded(self, pipeline: Pipeline, intake: Intake) -> None:
        """The socket has decoded audio: what `_on_audio` does, for many packets at once."""
        self._record.begin()
        pipeline.fed()
        bad_run = intake.take_alarm()
        if bad_run:
            self._undecodable(bad_run)

    def _undecodable(self, packets: int) -> None:
        codec = self.parameters.codec
        self._status("audio_undecodable", f"{packets} packets in a row are not {codec}: check codec")

    def _ask_flush(self) -> None:
        self._flush_asked.set()

    def _send_away(self, reason: str) -> None:
        self.notify(ErrorEvent(CloseCode.POLICY_VIOLATION, reason, parameter="image_chunk"))
        self.end(CloseCode.POLICY_VIOLATION, reason)

    # Participant

    @property
    def speech_waiting(self) -> bool:
        """See `Participant`."""
        return self._pipeline.speech.waiting

    def silence(self) -> float | None:
        """See `Participant`."""
        return self._pipeline.speech.silence()

    async def flush(self) -> None:
        """See `Participant`."""
        with trio.move_on_after(self._config.flush_timeout) as scope:
            await self._pipeline.flush()
        if scope.cancelled_caught:
            log.warning("flush took too long", seconds=self._config.flush_timeout)

    def notify(self, event: Event) -> None:
        """See `Participant`."""
        self._outbox.event(event)

    def show(self, conversation: OpenConversation, segments: Sequence[Segment]) -> None:
        """See `Participant`."""
        self._record.show(conversation, segments)

    def move_to(self, conversation: OpenConversation) -> None:
        """See `Participant`."""
        self._record.move_to(conversation)

    def assign(self, label: str, who: Speaker) -> None:
        """See `Participant`."""
        self._record.names.assign(label, who)

    # Followed

    @property
    def names(self) -> SpeakerNames:
        """See `Followed`."""
        return self._record.names

    @property
    def began_at(self) -> int | None:
        """See `Followed`."""
        return self._record.began_at

    @property
    def over(self) -> bool:
        """See `Followed`."""
        return self._pipeline.heard_out

    def tap(self, name: str, *, channel: int = 0, lossless: bool = True, keep: int) -> Tap:
        """See `Followed`."""
        return self._pipeline.taps_of(channel).open(name, lossless=lossless, keep=keep)

    def hear(self, name: str, *, keep: int) -> Tap | Mixed:
        """See `Followed`."""
        return self._pipeline.hear(name, keep=keep)

    def _status(self, status: str, text: str | None = None) -> None:
        self.notify(ServiceStatus(status=status, status_text=text))

    def statistics(self) -> SessionStatistics:
        """How the session is doing."""
        conversation = self._record.conversation
        return SessionStatistics(
            id=self.id,
            uid=self.uid,
            codec=self.parameters.codec,
            state=self._state.name.lower(),
            conversation_id=conversation.id if conversation else None,
            seconds=trio.current_time() - self._began,
            segments=self.segments,
            ignored=self._texts.ignored,
            lag=self._reports.lag,
            pipeline=self._pipeline.statistics(),
            outbox=self._outbox.statistics(),
            pictures=self._pictures.statistics(),
        )
