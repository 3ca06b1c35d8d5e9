"""Which vendor hears a session, from its first sample to its last.

Operations: `run` keeps one vendor transcribing until all audio is covered.
Invariants: at any time at most one vendor is given audio; each begins at the last sample covered by a final result,
so nothing is lost and nothing is transcribed twice; audio that nobody transcribes yet stays in its source.

What happens when a vendor fails (`_candidates.RULES`):

    elsewhere      this vendor will not serve this session: others first, it again after a long pause
    retry after    others first, it again when it said
    retry now      once more at once if it had been working for long, else others first, it again after a backoff

"For long" is `backoff_limit`: then the backoff begins anew, too, so that a vendor which works for moments only is
tried less and less.

"Others first" means the next in the order of preference whose breaker lets a try pass. When nobody is left the
session waits for the first that may be tried again, up to `exhausted_after`.

While a vendor that is not the preferred one transcribes, the better ones are tried in its shadow: a stream is opened
to them that is given no audio yet. When it is ready and has stood for `proof` seconds (some vendors let everybody in
and refuse a moment later), the current vendor is let go at its next result, and the better one begins there: not at
the last sample that was sent, which may be in the middle of a word. If it does not get so far nobody notices; if it
fails then before it gave a result, it gets a long pause.

In the same shadow a voice is played to a further stream of the vendor that transcribes (`prerolls.py`), which then
takes over where somebody draws breath: what it is given from there on was not sent to it before, so its first words
come no later than the last ones of the stream that it follows.
"""

from collections.abc import Sequence
from typing import Protocol

import trio
from msgspec.structs import replace

from engine.log import get_logger
from engine.stt._candidates import Candidate
from engine.stt._candidates import Policy as Policy
from engine.stt._leg import Leg, Rewindable, first_of
from engine.stt.breaker import Breakers
from engine.stt.prerolls import PlayedCandidate, Prerolls
from engine.stt.vendor import (
    SAMPLE_RATE,
    Final,
    Ready,
    StreamOptions,
    SttEvent,
    Vendor,
    VendorError,
)

log = get_logger(__name__)

PAUSE = SAMPLE_RATE // 10
"""Samples after a word in which no other has begun."""


class SttExhausted(Exception):
    """No vendor could be had for longer than the configured time."""


class Audience(Protocol):
    """Who is told; called between two awaits."""

    def on_event(self, event: SttEvent, vendor: Vendor) -> None:
        """What the vendor that transcribes says."""
        ...

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        """A try to connect, or a stream, failed."""
        ...

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        """Another vendor goes on, `replayed` samples back from what had been read."""
        ...

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        """Transcription stopped; told once until `on_recovered`. Nothing is lost."""
        ...

    def on_recovered(self, vendor: Vendor) -> None:
        """Transcription goes on, with `vendor`."""
        ...


class Failover:
    """One session's vendors."""

    def __init__(
        self,
        vendors: Sequence[Vendor],
        source: Rewindable,
        audience: Audience,
        options: StreamOptions,
        *,
        breakers: Breakers,
        policy: Policy,
        prerolls: Prerolls | None = None,
    ) -> None:
        """`vendors`: in order of preference, at least one."""
        self._candidates = [
            Candidate(rank, vendor, breakers.of(vendor.name), policy) for rank, vendor in enumerate(vendors)
        ]
        self._source = source
        self._audience = audience
        self._options = options
        self._policy = policy
        self._prerolls = prerolls or Prerolls(None, policy)
        self._hurried = False  # the successor does not wait for a pause any more
        self._current: Leg | None = None
        self._successor: Leg | None = None
        self._degraded = False
        self._idle_since: float | None = None
        self._last: Vendor | None = None
        self._replay = 0
        self._changed = trio.Event()  # another vendor transcribes, or it has begun to work

    async def run(self) -> None:
        """Return when all audio is covered. Raises `SttExhausted`; cancelled, it leaves nothing behind."""
        exhausted: SttExhausted | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._load_preroll)
            nursery.start_soon(self._recover, nursery)
            try:
                await self._legs(nursery)
            except SttExhausted as error:
                exhausted = error  # raised below: the nursery would wrap it in a group
            nursery.cancel_scope.cancel()
        if exhausted is not None:
            raise exhausted

    async def _legs(self, nursery: trio.Nursery) -> None:
        """One leg after another, until one comes to the end of the audio."""
        while True:
            leg = await self._next_leg(nursery)
            self._begin(leg)
            await first_of(leg.over, leg.relieved)
            if leg.relieved.is_set():
                await leg.release()
                self._go_back()
            elif leg.error is not None:
                self._failed(leg, leg.error)
            else:
                return

    def _begin(self, leg: Leg) -> None:
        self._current, self._successor = leg, None
        self._changed.set()
        leg.begun.set()
        vendor, before = leg.candidate.vendor, self._last
        if before is not None and before is not vendor:
            self._audience.on_switched(before, vendor, self._replay)
        self._last, self._replay = vendor, 0
        if leg.ready.is_set():
            self._audience.on_event(leg.tells, vendor)
        if isinstance(leg.candidate, PlayedCandidate):
            self._prerolls.applied()

    def _failed(self, leg: Leg, error: VendorError) -> None:
        """Note it, go back, tell the client unless it knows already."""
        candidate = leg.candidate
        log.warning("vendor.failed", vendor=candidate.vendor.name, fault=error.fault.value, error=str(error))
        candidate.failed(error, self._policy, worked=leg.worked, took_over=leg.took_over)
        self._audience.on_failed(candidate.vendor, error)
        self._go_back()
        if self._idle_since is None or leg.worked:
            self._idle_since = trio.current_time()
        if not self._degraded:
            self._degraded = True
            self._audience.on_degraded(candidate.vendor, error)

    def _go_back(self) -> None:
        """Nobody transcribes; whoever is next begins at the last sample covered."""
        read_to = self._source.position
        self._source.rewind()
        self._replay += read_to - self._source.position
        self._current = None

    async def _next_leg(self, nursery: trio.Nursery) -> Leg:
        """The successor that is ready, or a new leg with the best vendor that may be tried, once one may."""
        if self._successor is not None:
            return self._successor
        while True:
            waits = []
            for candidate in self._candidates:
                wait = candidate.wait()
                if wait == 0:
                    return self._start(nursery, candidate)
                waits.append(wait)
            await self._pause(min(waits))

    async def _pause(self, seconds: float) -> None:
        if self._idle_since is None:
            self._idle_since = trio.current_time()
        left = self._idle_since + self._policy.exhausted_after - trio.current_time()
        if left <= 0:
            names = ", ".join(candidate.vendor.name for candidate in self._candidates)
            raise SttExhausted(f"nobody transcribes: {names} failed for {self._policy.exhausted_after:g} s")
        # Another session may find out sooner that a vendor is back.
        await trio.sleep(min(seconds, left, self._policy.proof))

    def _start(self, nursery: trio.Nursery, candidate: Candidate) -> Leg:
        leg = Leg(candidate, self._source)
        nursery.start_soon(self._run_leg, leg)
        return leg

    async def _run_leg(self, leg: Leg) -> None:
        candidate, options = leg.candidate, self._options
        if isinstance(candidate, PlayedCandidate):
            options = replace(options, preroll=candidate.preroll)
        try:
            with leg.scope:
                await candidate.vendor.transcribe(leg, lambda event: self._on_event(event, leg), options)
        except VendorError as error:
            leg.error = error
        finally:
            leg.over.set()

    def _on_event(self, event: SttEvent, leg: Leg) -> None:
        if isinstance(event, Ready):
            leg.tells = event
            leg.ready.set()
            self._changed.set()
        if leg is not self._current:
            return
        self._audience.on_event(event, leg.candidate.vendor)
        if isinstance(event, Final):
            if not event.gated and not event.assumed:
                self._works(leg)
            if self._successor is not None and (self._hurried or _in_pause(event)):
                leg.relieved.set()

    def _works(self, leg: Leg) -> None:
        """A result came: the vendor works."""
        if not leg.worked:
            leg.worked = True
            self._changed.set()
            leg.candidate.worked()
        self._idle_since = None
        if self._degraded:
            self._degraded = False
            self._audience.on_recovered(leg.candidate.vendor)

    async def _recover(self, nursery: trio.Nursery) -> None:
        """Try better vendors in the shadow of the one that transcribes."""
        while True:
            current = self._current
            better = [] if current is None else self._better(current)
            if current is None or not better:
                self._changed = trio.Event()
                await self._changed.wait()
                continue
            waits = []
            for candidate in better:
                wait = candidate.wait()
                if wait == 0:
                    await self._try(nursery, candidate, current)
                    break
                waits.append(wait)
            else:
                await trio.sleep(min(*waits, self._policy.backoff_limit))

    def _better(self, current: Leg) -> Sequence[Candidate]:
        """Who may take over from one that works: those who are preferred, and the same once it knows the voice."""
        preferred = self._candidates[: current.candidate.rank] if current.worked else []
        played = self._prerolls.candidate(current.candidate) if current.ready.is_set() else None
        return preferred if played is None else [*preferred, played]

    async def _load_preroll(self) -> None:
        await self._prerolls.load()
        self._changed.set()

    async def _try(self, nursery: trio.Nursery, candidate: Candidate, current: Leg) -> None:
        leg = self._start(nursery, candidate)
        await first_of(leg.ready, leg.over, current.over)
        if leg.ready.is_set() and not isinstance(candidate, PlayedCandidate):
            with trio.move_on_after(self._policy.proof):
                await first_of(leg.over, current.over)
        if leg.error is not None:
            self._shadow_failed(leg, leg.error)
        elif leg.ready.is_set() and not leg.over.is_set() and self._current is current:
            await self._take_over(leg, current)
        else:
            leg.scope.cancel()

    def _shadow_failed(self, leg: Leg, error: VendorError) -> None:
        leg.candidate.failed(error, self._policy, worked=False, took_over=False)
        self._audience.on_failed(leg.candidate.vendor, error)

    async def _take_over(self, leg: Leg, current: Leg) -> None:
        """`leg` goes on after the next result of `current`, if one comes soon: few words are heard twice then."""
        played = isinstance(leg.candidate, PlayedCandidate)
        event = "vendor.knows_the_voice" if played else "vendor.returns"
        log.info(event, vendor=leg.candidate.vendor.name)
        leg.took_over = True
        self._successor, self._hurried = leg, not played
        if played:
            with trio.move_on_after(self._policy.pause_patience):
                await first_of(current.relieved, current.over, leg.over)
            self._hurried = True
        with trio.move_on_after(self._policy.proof):
            await first_of(current.relieved, current.over, leg.over)
        if leg.over.is_set() and self._successor is leg:
            self._successor = None
            if leg.error is not None:
                self._shadow_failed(leg, leg.error)
            return
        current.relieved.set()
        await leg.begun.wait()


def _in_pause(final: Final) -> bool:
    """Whether nobody was speaking where it ends."""
    return not final.words or final.end - final.words[-1].end >= PAUSE
