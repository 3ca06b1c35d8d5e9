"""All live sessions of the process.

Operations: `serve` runs one session from admission to its last word; `start_drain` sends all away; `occupied`
waits until there is one, `drained` until none is left.
Invariants: a session is in `live()` exactly while its nursery is open, so gauges are read, never counted.
Bounded by the configured limits.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from uuid import uuid4

import msgspec
import trio
from msgspec.structs import replace
from structlog.contextvars import bound_contextvars

from engine.config import Config
from engine.listen.admission import Admission
from engine.listen.channels import CallAudio
from engine.listen.opening import breakers_for, open_pipeline, prepare_rate, ring_pool
from engine.listen.pipeline import Pipeline
from engine.listen.ports import (
    Assignments,
    ClientSocket,
    Conversations,
    Follower,
    OwnVoices,
    Photos,
    Preferences,
    Translator,
    WallClock,
    Wishes,
)
from engine.listen.session import Session, SessionStatistics
from engine.listen.session_meter import SessionMeter
from engine.listen.speakers import SessionSpeakers, Speakers
from engine.listen.unpacking import Unpacking
from engine.log import get_logger
from engine.metrics import Metrics
from engine.off_loop import OffLoop
from engine.stt.languages import DETECT
from engine.stt.prerolls import FetchPreroll
from engine.stt.selection import UnsupportedLanguage, choose
from engine.stt.vendor import StreamOptions, Vendor
from engine.timers import Timers
from engine.wire.codes import CloseCode
from engine.wire.messages import ServiceStatus
from engine.wire.parameters import LONGEST_TIMEOUT, ListenParameters
from engine.wire.refusal import Refusal

log = get_logger(__name__)


class ListenService:
    """Where every client's session is made, counted and ended."""

    def __init__(
        self,
        config: Config,
        vendors: Sequence[Vendor],
        conversations: Conversations,
        *,
        metrics: Metrics,
        off_loop: OffLoop,
        unpacking: Unpacking,
        wall_clock: WallClock,
        photos: Photos | None = None,
        preferences: Preferences | None = None,
        translator: Translator | None = None,
        speakers: Speakers | None = None,
        assignments: Assignments | None = None,
        own_voices: OwnVoices | None = None,
        followers: Sequence[Follower] = (),
    ) -> None:
        """Without `photos` sessions take no pictures; without `preferences` nobody has set anything; without `speakers`
        none are told apart for services that do not do it; without `own_voices` none is played to those that do.

        `followers` are told of every session.
        """
        self.draining = False
        self._config = config
        self._vendors = {vendor.name: vendor for vendor in vendors}
        self._conversations = conversations
        self._metrics = metrics
        self._off_loop = off_loop
        self._unpacking = unpacking
        self._wall_clock = wall_clock
        self._photos = photos
        self._preferences = preferences
        self._translator = translator
        self._speakers = speakers
        self._assignments = assignments
        self._own_voices = own_voices
        self._followers = tuple(followers)
        self.admission = Admission(config.limits)
        self._breakers = breakers_for(config)
        self._pool = ring_pool(config)
        self._timers = Timers()
        self._sessions: dict[str, Session] = {}
        self._ended = 0
        self._changed = trio.Event()  # of how many sessions there are

    def live(self) -> tuple[SessionStatistics, ...]:
        """The sessions there are."""
        return tuple(session.statistics() for session in self._sessions.values())

    @property
    def load(self) -> float:
        """Sessions over the most there may be."""
        return self.admission.sessions / self._config.limits.sessions

    @property
    def transcribes(self) -> bool:
        """Whether some speech-to-text service works, or is worth a try."""
        return any(self._breakers.of(name).statistics().state != "open" for name in self._vendors)

    def start_drain(self) -> None:
        """Take no more sessions and end those there are, each after its last word."""
        self.draining = True
        for session in self._sessions.values():
            session.notify(ServiceStatus(status="draining", status_text="The server is shutting down"))
            session.end(CloseCode.GOING_AWAY, "the server is shutting down")

    async def occupied(self) -> None:
        """Wait until there is a session."""
        while not self._sessions:
            await self._changed.wait()

    async def ended(self, count: int) -> None:
        """Wait until `count` more sessions have ended."""
        goal = self._ended + count
        while self._ended < goal:
            await self._changed.wait()

    def send_away(self, uid: str, code: int, reason: str) -> None:
        """End a user's sessions, each after its last word."""
        for session in self._sessions.values():
            if session.uid == uid:
                session.end(code, reason)

    async def drained(self) -> None:
        """Wait until there is no session left."""
        while self._sessions:
            await self._changed.wait()

    async def serve(self, socket: ClientSocket, parameters: ListenParameters, uid: str) -> None:
        """One session of `uid`; returns when the client is gone and all it said is transcribed and kept.

        Raises `Refusal` before anything is sent: 1013 when full or draining, 1008 for a language nobody
        speaks. Cancellation counts what was not transcribed as lost.
        """
        await prepare_rate(parameters.sample_rate, self._off_loop)
        if self.draining:
            retry = self._config.limits.retry_after
            text = f"the server is going away: try again in {retry:g} s"
            raise Refusal(CloseCode.TRY_AGAIN_LATER, "draining", message=text, retry_after=retry)
        wishes = Wishes() if self._preferences is None else await self._preferences.get(uid)
        parameters = self._as_wished(parameters, wishes)
        vendors, notices = self._vendors_for(parameters)
        parameters = replace(parameters, notices=(*parameters.notices, *notices))
        if parameters.multi_channel:
            # A call is one conversation, however long somebody listens.
            parameters = replace(parameters, conversation_timeout=LONGEST_TIMEOUT)
        session_id = uuid4().hex
        with (
            self.admission.admit(uid),
            bound_contextvars(session=session_id),
            self._audio(session_id, uid, parameters, vendors, wishes.vocabulary) as pipeline,
        ):
            session = Session(
                session_id=session_id,
                uid=uid,
                parameters=parameters,
                socket=socket,
                pipeline=pipeline,
                conversations=self._conversations,
                config=self._config,
                wall_clock=self._wall_clock,
                metrics=self._metrics,
                timers=self._timers,
                photos=self._photos,
                translator=self._translator,
                assignments=self._assignments,
                followers=self._followers,
            )
            self._sessions[session_id] = session
            self._notify()
            try:
                await self._run(session, pipeline, wishes)
            finally:
                del self._sessions[session_id]
                self._ended += 1
                self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _as_wished(self, parameters: ListenParameters, wishes: Wishes) -> ListenParameters:
        """A user of one language is not heard in several, if somebody speaks it."""
        asked = parameters.language.lower()
        if not (wishes.single_language and wishes.language and asked in DETECT):
            return parameters
        spoken = any(vendor.speaks(wishes.language) for vendor in self._vendors.values())
        return replace(parameters, language=wishes.language) if spoken else parameters

    def _vendors_for(self, parameters: ListenParameters) -> tuple[tuple[Vendor, ...], tuple[str, ...]]:
        """Who transcribes, in order of preference, and what the client should be told about it."""
        if parameters.custom_stt:
            return (), ()
        order = tuple(self._vendors)
        try:
            chosen = choose(order, tuple(self._vendors.values()), parameters.language, parameters.stt_service)
        except UnsupportedLanguage as error:
            code = CloseCode.POLICY_VIOLATION
            accepted = ", ".join(error.accepted)
            raise Refusal(code, "language", parameters.language, accepted, message=str(error)) from None
        notices = () if chosen.notice is None else (chosen.notice,)
        return tuple(self._vendors[name] for name in chosen.vendors), notices

    @contextmanager
    def _audio(
        self,
        session_id: str,
        uid: str,
        parameters: ListenParameters,
        vendors: Sequence[Vendor],
        vocabulary: tuple[str, ...],
    ) -> Iterator[Pipeline | CallAudio]:
        """What takes the session's audio: one pipeline, or for a call one per channel."""
        if not parameters.multi_channel:
            channels = parameters.channels
            with self._pipeline(session_id, uid, parameters, channels, vendors, vocabulary) as pipeline:
                yield pipeline
            return
        with ExitStack() as stack:
            pipelines = [
                stack.enter_context(self._pipeline(session_id, uid, parameters, 1, vendors, vocabulary))
                for _ in range(parameters.channels)
            ]
            yield CallAudio(pipelines)

    def _pipeline(
        self,
        session_id: str,
        uid: str,
        parameters: ListenParameters,
        channels: int,
        vendors: Sequence[Vendor],
        vocabulary: tuple[str, ...],
    ) -> AbstractContextManager[Pipeline]:
        return open_pipeline(
            codec=parameters.codec,
            sample_rate=parameters.sample_rate,
            channels=channels,
            pool=self._pool,
            spill_folder=self._config.data_dir / "spill",
            off_loop=self._off_loop,
            unpacking=self._unpacking,
            config=self._config,
            vendors=vendors,
            breakers=self._breakers,
            options=StreamOptions(
                session_id=session_id,
                language=parameters.language,
                vocabulary=vocabulary,
                interim_results=parameters.interim_results,
                speakers=self._labels_for(parameters),
            ),
            voiceprints=None if self._speakers is None else self._speakers.voiceprints,
            preroll=self._preroll_of(uid, parameters),
        )

    def _labels_for(self, parameters: ListenParameters) -> SessionSpeakers | None:
        """Who tells its speakers apart; the channels of a call are told apart already."""
        if self._speakers is None or parameters.multi_channel:
            return None
        return self._speakers.session()

    def _preroll_of(self, uid: str, parameters: ListenParameters) -> FetchPreroll | None:
        """How the user's voice is had, if it may be used."""
        if self._own_voices is None or parameters.multi_channel or not parameters.include_speech_profile:
            return None
        return partial(self._own_voices.preroll, uid)

    async def _run(self, session: Session, pipeline: Pipeline | CallAudio, wishes: Wishes) -> None:
        """The session beside its counting; whatever ends it, the last portion is counted."""
        meter = SessionMeter(session, pipeline, self._conversations, self._metrics, wishes.remaining_seconds)
        log.info("session.began", codec=session.parameters.codec, language=session.parameters.language)
        session.before_keeping(meter.note)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(meter.run, self._config.usage.interval)
                await session.run()
                nursery.cancel_scope.cancel()
        except Exception as error:
            error.add_note(f"session {session.id}")
            raise
        finally:
            pipeline.stop()
            meter.read(over=True)
            self._conversations.left(session)
            _log_end(session)


def _log_end(session: Session) -> None:
    statistics = session.statistics()
    ledger = statistics.pipeline.ledger
    log.info(
        "session.ended",
        code=session.ending.code if session.ending else None,
        reason=session.ending.reason if session.ending else None,
        seconds=round(statistics.seconds, 1),
        segment_count=statistics.segments,
        ignored_messages=statistics.ignored,
        pictures_kept=statistics.pictures.kept,
        pictures_dropped=statistics.pictures.dropped,
        ledger=msgspec.to_builtins(ledger),
    )
