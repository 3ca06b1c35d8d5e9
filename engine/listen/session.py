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

import uuid
from collections import deque
from collections.abc import Sequence

import msgspec
import trio
from msgspec.structs import replace

from engine.config import Config
from engine.listen.channels import CallAudio
from engine.listen.outbox import Outbox, OutboxStatistics, SlowClient
from engine.listen.pipeline import Pipeline, PipelineStatistics
from engine.listen.ports import ClientGone, ClientSocket, Conversations, OpenConversation, WallClock
from engine.log import get_logger
from engine.metrics import Metrics
from engine.stt.failover import SttExhausted
from engine.stt.vendor import SAMPLE_RATE, Fault, Vendor, VendorError
from engine.transcript import merge, words_to_segments
from engine.transcript.words import Word
from engine.wire.client_messages import KEEPALIVE_BYTES, Flush, Ignored, SuggestedTranscript, decode_client
from engine.wire.codes import CloseCode
from engine.wire.messages import (
    ConversationSession,
    Event,
    InterimSegments,
    LastMemory,
    Segment,
    ServiceStatus,
)
from engine.wire.parameters import ListenParameters
from engine.wire.states import TAKES_AUDIO, SessionEvent, State, advance

log = get_logger(__name__)

BAD_PACKET_RUN = 50
"""After so many undecodable packets in a row the client is told, once."""

MICROSECONDS = 1_000_000

OWN_CHANNEL = 0
"""The channel of a call on which the user speaks."""


FAILURE_REASONS = {
    Fault.ELSEWHERE: "rejected",
    Fault.RETRY_AFTER: "overloaded",
    Fault.RETRY_NOW: "closed",
}
"""What a failure is called in the metrics."""


class Ending(msgspec.Struct, frozen=True):
    """Why a session ends: the close code to send, and a reason for people."""

    code: int
    reason: str


class SessionStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A session at a moment. `seconds` since it began, `lag` the seconds transcription is behind."""

    id: str
    uid: str
    codec: str
    state: str
    conversation_id: str | None
    seconds: float
    segments: int
    lag: float
    pipeline: PipelineStatistics
    outbox: OutboxStatistics


class _Break(msgspec.Struct, frozen=True):
    """A silence as long as the conversation timeout, in samples: speech ended, speech began."""

    ended: int
    began: int


def _new_id() -> str:
    return str(uuid.uuid4())


class Session:
    """A client that is being listened to. Is a `Participant` in its conversation and the pipeline's `Listener`."""

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
    ) -> None:
        self.id = session_id
        self.uid = uid
        self.parameters = parameters
        self.segments = 0
        self.ending: Ending | None = None
        self._socket = socket
        self._pipeline = pipeline
        self._conversations = conversations
        self._config = config.session
        self._wall_clock = wall_clock
        self._metrics = metrics
        self._outbox = Outbox(socket, self._config.client_write_timeout)
        self._state = advance(State.CONNECTING, SessionEvent.ACCEPTED)
        self._conversation: OpenConversation | None = None
        self._origin: int | None = None
        self._breaks: deque[_Break] = deque()
        self._began = trio.current_time()
        self._last_message = self._began
        self._audio_began_at: int | None = None
        self._receiving = trio.CancelScope()
        self._flush_asked = trio.Event()
        self._client_gone = False
        self._bad_run = 0
        self._lag = 0.0

    # The session's tasks

    async def run(self) -> None:
        """Greet, listen until the client goes or must go, transcribe what is left, say goodbye."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive)
                nursery.start_soon(self._ping)
                nursery.start_soon(self._watch_inactivity)
                async with trio.open_nursery() as sending:
                    sending.start_soon(self._send)
                    await self._greet()
                    nursery.start_soon(self._serve_flushes)
                    nursery.start_soon(self._pipeline.flush_when_idle, self._config.idle_flush)
                    await self._transcribe()
                    self._outbox.finish()
                await self._close()
                nursery.cancel_scope.cancel()
        finally:
            self._state = State.CLOSED
            if self._conversation is not None:
                self._conversation.leave(self)

    @property
    def joined(self) -> bool:
        """Whether it has a conversation, and with it a journal."""
        return self._conversation is not None

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
        self._enter(await self._conversations.join(self, self.parameters))
        if self.parameters.custom_stt:
            self._take_audio()
        else:
            self._status("stt_initiating", "STT Service Starting")

    async def _receive(self) -> None:
        """Take messages until the client goes or the session must end; then no audio follows."""
        with self._receiving:
            try:
                while self._state in TAKES_AUDIO:
                    message = await self._socket.receive()
                    self._last_message = trio.current_time()
                    if isinstance(message, str):
                        self._on_text(message)
                    elif len(message) > KEEPALIVE_BYTES:
                        await self._on_audio(message)
            except ClientGone as gone:
                self._gone(Ending(gone.code, "the client closed"))
        await self._pipeline.finish()

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
            await self._pipeline.transcribe(self)
        except SttExhausted as exhausted:
            log.error("speech to text unavailable", error=str(exhausted))
            reason = "transcription_service_unavailable"
            retry = self._config.stt_exhausted_timeout
            self.notify(ServiceStatus(status="stt_failed", retryable=True, reason=reason, retry_after=retry))
            self.end(CloseCode.INTERNAL_ERROR, reason)
        self._advance(SessionEvent.END_ASKED)
        self._receiving.cancel()

    async def _ping(self) -> None:
        while True:
            self._outbox.ping()
            await trio.sleep(self._config.ping_interval)

    async def _watch_inactivity(self) -> None:
        """End the session when nothing at all came from the client for the configured time."""
        while True:
            deadline = self._last_message + self._config.inactivity_timeout
            if deadline <= trio.current_time():
                self.end(CloseCode.GOING_AWAY, f"no message for {self._config.inactivity_timeout:g} s")
                return
            await trio.sleep_until(deadline)

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
        self._client_gone = True
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
        if self._audio_began_at is None:
            self._audio_began_at = self._wall_clock()
        bad = await self._pipeline.feed(packet)
        if not bad:
            self._bad_run = 0
            return
        told = self._bad_run >= BAD_PACKET_RUN
        self._bad_run += bad
        if self._bad_run >= BAD_PACKET_RUN and not told:
            codec = self.parameters.codec
            self._status(
                "audio_undecodable", f"{self._bad_run} packets in a row are not {codec}: check codec"
            )

    def _on_text(self, text: str) -> None:
        message = decode_client(text)
        match message:
            case Flush():
                self._flush_asked.set()
            case SuggestedTranscript() if self.parameters.custom_stt:
                self._on_suggested(message)
            case SuggestedTranscript():
                self._status("notice", "suggested_transcript needs custom_stt=enabled; it was ignored")
            case Ignored():
                log.info("client message ignored", reason=message.reason)
            case _:
                log.debug("client message without effect yet", type=type(message).__name__)

    def _on_suggested(self, message: SuggestedTranscript) -> None:
        if self._audio_began_at is None:
            self._audio_began_at = self._wall_clock()
        self._pipeline.speech_now()
        self._publish(message.to_segments(_new_id, offset_seconds=self._offset_seconds()))

    # Participant

    @property
    def speech_waiting(self) -> bool:
        """See `Participant`."""
        return self._pipeline.speech_waiting

    def silence(self) -> float | None:
        """See `Participant`."""
        return self._pipeline.silence()

    async def flush(self) -> None:
        """See `Participant`."""
        with trio.move_on_after(self._config.flush_timeout) as scope:
            await self._pipeline.flush()
        if scope.cancelled_caught:
            log.warning("flush took too long", seconds=self._config.flush_timeout)

    def notify(self, event: Event) -> None:
        """See `Participant`."""
        if not self._client_gone:
            self._outbox.event(event)

    def move_to(self, conversation: OpenConversation) -> None:
        """See `Participant`."""
        self._breaks.clear()
        self._begin_at(conversation, self._pipeline.received)

    def _enter(self, conversation: OpenConversation) -> None:
        if conversation is self._conversation:
            return
        self._conversation = conversation
        self.notify(
            ConversationSession(
                conversation_id=conversation.id,
                status="in_progress",
                recording_session_id=self.id,
                lifecycle_version=1,
                lifecycle_phase="recording",
                lifecycle_sequence=len(conversation.revisions),
            )
        )

    def _begin_at(self, conversation: OpenConversation, position: int) -> None:
        """A new conversation whose time 0 is sample `position` of this session."""
        self._origin = position
        self._pipeline.forget_speech()
        self._enter(conversation)

    def _offset_seconds(self) -> float:
        """What is added to this session's times to have the conversation's."""
        assert self._conversation is not None
        if self._origin is not None:
            return -self._origin / SAMPLE_RATE
        began = self._audio_began_at or self._wall_clock()
        if not self._conversation.revisions:
            self._conversation.start_at(self, began)
        return (began - self._conversation.started_at) / MICROSECONDS

    # Listener

    def on_ready(self, vendor: Vendor) -> None:
        """See `Listener`."""
        self._take_audio()

    def on_silence(self, ended: int, began: int) -> None:
        """See `Listener`. Audio may come faster than the clock: silences are also measured in samples."""
        if began - ended >= self.parameters.conversation_timeout * SAMPLE_RATE:
            self._breaks.append(_Break(ended, began))

    def on_words(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""
        while self._breaks and words[-1].end > self._breaks[0].began:
            pause = self._breaks.popleft()
            before = [word for word in words if word.end <= pause.began]
            self._publish_words(before, vendor)
            words = words[len(before) :]
            self._split(pause)
        self._publish_words(words, vendor)

    def on_interim(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""
        if self.parameters.interim_results:
            self.notify(InterimSegments(segments=self._to_segments(words, vendor)))

    def on_lag(self, seconds: float) -> None:
        """See `Listener`."""
        was, self._lag = self._lag, seconds
        if seconds and not was:
            text = "More is being said than this server can transcribe at once; nothing is lost"
            self.notify(ServiceStatus(status="stt_lagging", status_text=text, lag_seconds=round(seconds, 1)))
        elif was and not seconds:
            self._status("stt_caught_up")

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""
        self._metrics.vendor_failures(vendor.name, FAILURE_REASONS[error.fault])

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        """See `Listener`."""
        self._metrics.vendor_failover(before.name, after.name, replayed / SAMPLE_RATE)

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""
        text = "Speech to text is interrupted; what is said is kept and will be transcribed"
        reason, provider = error.fault.value, vendor.provider
        self.notify(ServiceStatus("stt_degraded", text, provider=provider, retryable=True, reason=reason))

    def on_recovered(self, vendor: Vendor) -> None:
        """See `Listener`."""
        self.notify(ServiceStatus("stt_recovered", provider=vendor.provider))

    def on_progress(self) -> None:
        """See `Listener`."""
        if self._conversation is not None:
            self._conversation.heard()

    # Keeping and sending

    def _publish_words(self, words: Sequence[Word], vendor: Vendor) -> None:
        if words:
            self._publish(self._to_segments(words, vendor))
            self._metrics.segment_latency(self._pipeline.age(words[-1].end))

    def _to_segments(self, words: Sequence[Word], vendor: Vendor) -> tuple[Segment, ...]:
        segments = words_to_segments(
            words, offset_seconds=self._offset_seconds(), provider=vendor.provider, new_id=_new_id
        )
        if not self.parameters.multi_channel:
            return segments
        return tuple(replace(s, is_user=s.speaker_id == OWN_CHANNEL) for s in segments)

    def _publish(self, new: tuple[Segment, ...]) -> None:
        """Merge into the conversation, keep, then send."""
        conversation = self._conversation
        assert conversation is not None
        merged = merge(conversation.tail, new, sent=conversation.revisions)
        before = len(conversation.revisions)
        speech_at = self._wall_clock() - int((self.silence() or 0.0) * MICROSECONDS)
        conversation.publish(self, merged, speech_at)
        self.segments += len(conversation.revisions) - before
        if not self._client_gone:
            self._outbox.deleted(merged.deleted)
            self._outbox.segments(merged.changed)

    def _split(self, pause: _Break) -> None:
        """The conversation's timeout passed inside the audio: what follows is another conversation."""
        assert self._conversation is not None
        position = pause.ended + self.parameters.conversation_timeout * SAMPLE_RATE
        self._begin_at(self._conversation.split(self), position)

    def _status(self, status: str, text: str | None = None) -> None:
        self.notify(ServiceStatus(status=status, status_text=text))

    def statistics(self) -> SessionStatistics:
        """How the session is doing."""
        return SessionStatistics(
            id=self.id,
            uid=self.uid,
            codec=self.parameters.codec,
            state=self._state.name.lower(),
            conversation_id=self._conversation.id if self._conversation else None,
            seconds=trio.current_time() - self._began,
            segments=self.segments,
            lag=self._lag,
            pipeline=self._pipeline.statistics(),
            outbox=self._outbox.statistics(),
        )
