"""From codec packets to results: decoder, ring, backlog and vendor, with the books kept. No socket, no records.

Operations: one task `feed`s packets, or native code decodes them (`open_intake`) and says so (`fed`); one runs
`transcribe`; `flush` has everything so far transcribed, `finish` says that no audio follows. Results go to the
`listener`, whose methods are called from `transcribe`'s task.
Invariants: every sample written to the ring is in exactly one term of the ledger; `Final`s tile the timeline.
Bounded by the backlog (ring and spill file); `feed` waits when it is full.
Known doubts: a vendor whose results overlap those before them is trusted only from the last covered sample on.
"""

from collections.abc import Sequence
from time import monotonic_ns

import msgspec
import trio

from engine.audio.decoder import Decoded, Decoder, Payload, UnpackingDecoder
from engine.audio.intake import Intake, PacketTimes, open_intake
from engine.audio.ledger import Ledger, LedgerSnapshot
from engine.audio.ring import Ring, RingPool
from engine.listen.backlog import Backlog
from engine.listen.listener import Listener
from engine.listen.ports import SessionUsage
from engine.listen.speaker_numbers import MakeVoiceprints, SpeakerNumbers
from engine.listen.speech import UNHEARD_TOLERANCE, Silence, Speech
from engine.listen.spill import Spill, SpillStatistics
from engine.listen.stages import Passage
from engine.listen.tap import Tap, Taps
from engine.listen.unpacking import Unpacking
from engine.stt.breaker import Breakers
from engine.stt.failover import Failover, Policy, SttExhausted
from engine.stt.prerolls import FetchPreroll, Prerolls
from engine.stt.vendor import (
    SAMPLE_RATE,
    Activity,
    Final,
    Interim,
    Lag,
    Ready,
    StreamOptions,
    SttEvent,
    Vendor,
    VendorError,
)


class PipelineStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One session's audio at a moment; positions and counts in samples."""

    ledger: LedgerSnapshot
    received: int
    covered: int
    ring_fill: float
    spill: SpillStatistics
    words: int
    vendor_samples: dict[str, int]


class Pipeline:
    """One session's audio. Make it with `open_pipeline`, which gives its ring back."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        unpacking: Unpacking,
        ring: Ring,
        backlog: Backlog,
        spill: Spill,
        vendors: Sequence[Vendor],
        options: StreamOptions,
        breakers: Breakers,
        policy: Policy,
        voiceprints: MakeVoiceprints | None = None,
        preroll: FetchPreroll | None = None,
    ) -> None:
        """`vendors`: in order of preference; empty for a session that brings its own transcript.

        `voiceprints` hears who is who over several vendors; `preroll` fetches the user's voice, to be played to those
        that tell speakers apart.
        """
        self.ledger = Ledger()
        self.taps = Taps(ring)
        self.speech = Speech(ring, backlog if vendors else None)
        self.words = 0
        self._decoder = decoder
        self._unpacker = decoder if isinstance(decoder, UnpackingDecoder) else None
        self._unpacking = unpacking
        self._ring = ring
        self._backlog = backlog
        self._spill = spill
        self._vendors = tuple(vendors)
        self._options = options
        self._listener: Listener
        self._breakers = breakers
        self._policy = policy
        self._numbers = SpeakerNumbers(ring, voiceprints)
        self._prerolls = Prerolls(preroll, policy)
        self._intake: Intake | None = None
        self._stopped = False
        self._finished = trio.Event()
        self._flushed_at = 0
        self._vendor_samples: dict[str, int] = {}
        self._packet_times = PacketTimes(receive=0, decode=0)
        self._told_at = 0

    # Audio in

    @property
    def received(self) -> int:
        """Samples on the timeline so far."""
        return self._ring.write_position

    def taps_of(self, channel: int) -> Taps:
        """Where the audio of a channel can be tapped: there is one, 0. Raises `IndexError`."""
        return (self.taps,)[channel]

    def hear(self, name: str, *, keep: int) -> Tap:
        """Tap all that is heard from now on; see `Taps.open`."""
        return self.taps.open(name, keep=keep)

    @property
    def heard_out(self) -> bool:
        """Whether no audio follows."""
        return self.taps.finished

    async def feed(self, payload: bytes | memoryview) -> int:
        """Decode one message into the ring; waits for room. Returns how many of its packets were bad."""
        bad = 0
        self.speech.at_the_door = True
        for piece in self._decoder.pieces(payload):
            await self._room(self._decoder.max_samples(len(piece)))
            began = monotonic_ns()
            done = await self._decode(piece)
            decoded = monotonic_ns()
            bad += done.bad_packets
            self._count(done)
        self._packet_times = PacketTimes(receive=0, decode=decoded - began)
        self.speech.at_the_door = False
        self.speech.came()
        return bad

    async def _decode(self, piece: Payload) -> Decoded:
        """Into the ring, for which room has been made. Where a thread decodes, cancellation waits for it."""
        if self._unpacker is None:
            return self._decoder.decode(piece, self._ring)
        unpacked = await self._unpacking.unpack(self._unpacker, piece)
        self._ring.write(unpacked.pcm)
        return unpacked.done

    def open_intake(self, *, keepalive: int, alarm: int) -> Intake | None:
        """For a socket that decodes by itself, instead of `feed`; None when this codec cannot be heard so.

        See `engine.audio.intake.open_intake` for the parameters.
        """
        margin = self._backlog.margin if self._vendors else 0
        self._intake = open_intake(self._decoder, self._ring, margin=margin, keepalive=keepalive, alarm=alarm)
        self.speech.intake = self._intake
        self._ring.want(self.received + 1)  # to know when the client begins
        return self._intake

    def fed(self) -> None:
        """Audio was decoded into the intake. Not called for each packet: when what was wanted is there."""
        self._catch_up()

    async def make_room(self, samples: int) -> None:
        """Return when `samples` samples can be decoded into the intake; see `Backlog.make_room`."""
        self._catch_up()
        self.speech.at_the_door = True
        try:
            await self._room(samples)
        finally:
            self.speech.at_the_door = False

    async def _room(self, samples: int) -> None:
        self.taps.make_room(min(samples + self._backlog.margin, self._ring.capacity))
        if self._vendors:
            await self._backlog.make_room(samples)

    def _catch_up(self) -> None:
        """Book what was decoded into the intake since the last time."""
        if self._intake is None:
            return
        done = self._intake.take()
        if done.packets:
            self._count(done)
        if not self._vendors:
            self._ring.want(self.received + SAMPLE_RATE)

    async def finish(self) -> None:
        """No audio follows: what the decoder still holds is added, and the vendor told. Idempotent."""
        await self._room(self._decoder.max_samples(0))
        self._catch_up()
        self._count(self._decoder.flush(self._ring))
        self._backlog.finish()
        self.taps.finish()
        self._finished.set()

    def _count(self, done: Decoded) -> None:
        good = done.packets - done.bad_packets
        self.ledger.received(packets=done.packets, decoded=good, rejected=done.bad_packets)
        self.ledger.heard(decoded=done.samples, concealed=done.concealed)
        if self._vendors:
            self._backlog.grown()
        else:
            self.ledger.not_for_stt(done.samples + done.concealed)
            self._backlog.cover(self.received)
        self.taps.grown()

    def passage(self, position: int) -> Passage:
        """Where the time went of the result being told, whose last word ends at `position`."""
        if self._intake is not None:
            self._packet_times = self._intake.take_times() or self._packet_times
        told = self._told_at
        came = min(told - int(self.speech.age(position) * 1e9), told)
        read = self._backlog.read_at(position)
        read = came if read is None else min(max(read, came), told)
        times = self._packet_times
        return Passage(times.receive, times.decode, read - came, told - read, told)

    # Speech to text

    async def flush(self) -> None:
        """Return when everything received so far is covered. Cancelling it leaves the flush under way."""
        if self._vendors:
            await self._backlog.wait_covered(self._backlog.flush())

    def flush_when_idle(self, seconds: float) -> float:
        """Have what is left transcribed if no audio came for `seconds`: a muted client sends no silence.

        Returns when to ask again.
        """
        now, heard = trio.current_time(), self.speech.last_audio_at
        if heard is None or not self._vendors or self._backlog.waiting == 0:
            return now + seconds
        if now < heard + seconds:
            return heard + seconds
        if self._intake is not None and self._intake.unread():
            return now + seconds  # not the client is late, but we are
        if self._flushed_at < self.received:
            self._flushed_at = self._backlog.flush()
        return now + seconds

    async def transcribe(self, listener: Listener) -> None:
        """Have vendors transcribe until all audio up to `finish` is covered, telling `listener`.

        Raises `SttExhausted` when nobody could be had for longer than the policy allows.
        """
        self._listener = listener
        if not self._vendors:
            await self._finished.wait()
            return
        failover = Failover(
            self._vendors,
            self._backlog,
            self,
            self._options,
            breakers=self._breakers,
            policy=self._policy,
            prerolls=self._prerolls,
        )
        if self._options.speakers is not None:
            self._numbers.follow(self._options.speakers, listener.on_same_speaker)
        exhausted: SttExhausted | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._numbers.run, listener.on_same_speaker)
            try:
                await failover.run()
            except SttExhausted as error:
                exhausted = error  # raised below: the nursery would wrap it in a group
            nursery.cancel_scope.cancel()
        if exhausted is not None:
            raise exhausted

    @property
    def owner(self) -> int | None:
        """The number of the user among the speakers, if a vendor was played their voice."""
        return self._numbers.owner

    def preroll_pending(self, vendor: Vendor) -> bool:
        """Whether `vendor` is yet to be played the user's voice."""
        return self._prerolls.pending(vendor)

    # Audience of the failover

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        """See `Audience`."""
        self._listener.on_failed(vendor, error)

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        """See `Audience`."""
        self._listener.on_switched(before, after, replayed)

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        """See `Audience`."""
        self.speech.interrupted()
        self._listener.on_degraded(vendor, error)

    def on_recovered(self, vendor: Vendor) -> None:
        """See `Audience`."""
        self._listener.on_recovered(vendor)

    def on_event(self, event: SttEvent, vendor: Vendor) -> None:
        """See `Audience`."""
        match event:
            case Final():
                self._on_final(event, vendor)
            case Interim():
                self._listener.on_interim(self._numbers.interim(event.words), vendor)
            case Activity():
                self._on_activity(event)
            case Lag():
                self._listener.on_lag(event.seconds)
            case Ready():
                self._numbers.began(event)
                self._listener.on_ready(vendor)

    def _on_final(self, final: Final, vendor: Vendor) -> None:
        self._told_at = monotonic_ns()
        before = self._backlog.covered
        end = min(final.end, self.received)
        words = [word for word in final.words if word.end > before]
        if end > before:
            samples = end - before
            self._book(samples, final.gated, bool(words), vendor)
        if words:
            self.words += len(words)
            self._broken(self.speech.spoken(words[0].start, words[-1].end))
            self._listener.on_words(self._numbers.final(words), vendor)
        # Only now may the ring use the memory again: the words are in the journal.
        self._backlog.cover(end)
        if not words or end - words[-1].end > UNHEARD_TOLERANCE:
            self._listener.on_progress()  # else somebody spoke just now: no silence ends any sooner

    def _book(self, samples: int, gated: bool, spoken: bool, vendor: Vendor) -> None:
        if gated:
            self.ledger.gated(samples)
            return
        self.ledger.covered(samples, spoken=spoken)
        self._vendor_samples[vendor.provider] = self._vendor_samples.get(vendor.provider, 0) + samples

    def _on_activity(self, activity: Activity) -> None:
        self._broken(self.speech.activity(activity))
        self._listener.on_progress()

    def _broken(self, silence: Silence | None) -> None:
        if silence is not None:
            self._listener.on_silence(*silence)

    def stop(self) -> None:
        """Nothing more is transcribed: audio that was not covered is counted as lost. Idempotent.

        Sessions end only when all is covered, or when the server's drain time is over.
        """
        if not self._stopped:
            self._catch_up()
            self._stopped = True
            self.ledger.lost(self._backlog.waiting)

    def close(self, pool: RingPool) -> None:
        """Stop, and give the ring back."""
        self.stop()
        self.taps.finish()
        self._backlog.close()
        self._decoder.close()
        pool.release(self._ring)

    def usage(self, segments: int) -> SessionUsage:
        """What it used so far, with so many segments of its words. Cheap: this is asked for with every result."""
        if not self._stopped:
            self._catch_up()
        return SessionUsage(
            sessions=1,
            audio_samples=self.ledger.samples_in,
            speech_samples=self.ledger.final,
            words=self.words,
            segments=segments,
            vendor_samples=dict(self._vendor_samples),
        )

    def statistics(self) -> PipelineStatistics:
        """The books, and how full the buffers are."""
        if not self._stopped:
            self._catch_up()
        waiting = 0 if self._stopped else self._backlog.waiting
        return PipelineStatistics(
            ledger=self.ledger.snapshot(pending=waiting),
            received=self.received,
            covered=self._backlog.covered,
            ring_fill=1 - self._ring.headroom() / self._ring.capacity,
            spill=self._spill.statistics(),
            words=self.words,
            vendor_samples=dict(self._vendor_samples),
        )
