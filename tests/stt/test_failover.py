"""Vendors fail in every class; others go on from the last sample covered; the preferred one comes back."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.stt.breaker import Breaker, Breakers
from engine.stt.failover import Failover, Policy, SttExhausted
from engine.stt.vendor import (
    SAMPLE_RATE,
    AudioSource,
    Chunk,
    Fault,
    Final,
    Ready,
    StreamOptions,
    SttEvent,
    Vendor,
    VendorError,
)

STEP = SAMPLE_RATE // 10
OPTIONS = StreamOptions(session_id="s")


class Source:
    """Silent audio in real time, `seconds` of it, that can be read again from the last sample covered."""

    def __init__(self, seconds: float) -> None:
        self.position = 0
        self.covered = 0
        self._length = int(seconds * SAMPLE_RATE)

    async def read(self, samples: int) -> Chunk:
        end = min(self.position + samples, self._length)
        await trio.sleep_until(end / SAMPLE_RATE)
        chunk = Chunk(
            memoryview(bytes(2 * (end - self.position))).cast("h"), self.position, end=end == self._length
        )
        self.position = end
        return chunk

    def rewind(self) -> None:
        self.position = self.covered


class Heard:
    """What the session is told: events and who covered which samples."""

    def __init__(self, source: Source) -> None:
        self.spans: list[tuple[str, int, int]] = []
        self.told: list[str] = []
        self.failures = 0
        self.switches: list[tuple[str, str]] = []
        self._source = source

    def on_event(self, event: SttEvent, vendor: Vendor) -> None:
        if isinstance(event, Final):
            assert event.start == self._source.covered, "finals tile the timeline"
            self._source.covered = event.end
            self.spans.append((vendor.name, event.start, event.end))

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        self.failures += 1

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        self.switches.append((before.name, after.name))

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        self.told.append(f"degraded {vendor.name}")

    def on_recovered(self, vendor: Vendor) -> None:
        self.told.append(f"recovered {vendor.name}")

    def by(self) -> list[str]:
        """Vendors in the order in which they covered audio, repeats left out."""
        names = [name for name, _, _ in self.spans]
        return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]


Plan = Callable[[float, int], VendorError | None]
"""From seconds since the start and the number of this stream to the fault that happens now."""


class Planned:
    """A vendor that covers what it is given at once, and fails by plan, at connect or at any chunk."""

    provider = "planned"

    def __init__(
        self, name: str, plan: Plan = lambda now, stream: None, connect: float = 0.1, step: int = STEP
    ) -> None:
        self.name = name
        self.attempts: list[float] = []
        self._plan = plan
        self._connect = connect
        self._step = step

    def speaks(self, language: str) -> bool:
        return True

    async def prepare(self) -> None: ...

    def _check(self, stream: int) -> None:
        error = self._plan(trio.current_time(), stream)
        if error is not None:
            raise error

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        stream = len(self.attempts)
        self.attempts.append(trio.current_time())
        await trio.sleep(self._connect)
        self._check(stream)
        emit(Ready())
        while True:
            chunk = await audio.read(self._step)
            self._check(stream)
            if len(chunk.pcm):
                emit(Final(chunk.position, chunk.position + len(chunk.pcm)))
            if chunk.end:
                return


def down(begin: float, end: float, fault: Fault, retry_after: float | None = None) -> Plan:
    """Out of service from `begin` to `end`."""
    return lambda now, stream: VendorError(fault, "down", retry_after) if begin <= now < end else None


async def run(source: Source, *vendors: Planned, **policy: Any) -> Heard:
    heard = Heard(source)
    failover = Failover(vendors, source, heard, OPTIONS, breakers=Breakers(), policy=Policy(**policy))
    await failover.run()
    return heard


def tiles(heard: Heard, seconds: float) -> bool:
    return sum(end - start for _, start, end in heard.spans) == int(seconds * SAMPLE_RATE)


@pytest.mark.parametrize("fault", list(Fault))
async def test_the_next_vendor_goes_on_where_results_ended_and_the_preferred_one_comes_back(
    autojump_clock: MockClock, fault: Fault
) -> None:
    first, second = Planned("first", down(5, 20, fault)), Planned("second")
    heard = await run(Source(120), first, second)
    assert tiles(heard, 120)
    assert heard.by() == ["first", "second", "first"]
    assert heard.told == ["degraded first", "recovered second"]
    assert heard.switches == [("first", "second"), ("second", "first")]
    assert heard.failures >= 1


async def test_from_fault_to_the_next_vendor_takes_no_time_but_its_handshake(
    autojump_clock: MockClock,
) -> None:
    first, second = Planned("first", down(5, 1000, Fault.ELSEWHERE)), Planned("second", connect=0.5)
    await run(Source(30), first, second)
    assert second.attempts[0] - 5 < 0.2


async def test_a_vendor_that_worked_and_asks_to_restart_is_restarted_before_others(
    autojump_clock: MockClock,
) -> None:
    def once(now: float, stream: int) -> VendorError | None:
        return VendorError(Fault.RETRY_NOW, "restart the request") if stream == 0 and now > 5 else None

    first, second = Planned("first", once), Planned("second")
    heard = await run(Source(10), first, second)
    assert heard.by() == ["first"]
    assert second.attempts == []
    assert tiles(heard, 10)


async def test_the_last_vendor_left_is_tried_with_growing_pauses_until_it_is_back(
    autojump_clock: MockClock,
) -> None:
    only = Planned("only", down(5, 185, Fault.RETRY_NOW))
    heard = await run(Source(240), only, exhausted_after=600.0)
    assert tiles(heard, 240)
    assert heard.told == ["degraded only", "recovered only"]
    assert 3 <= len([t for t in only.attempts if 5 <= t < 185]) < 60


async def test_after_the_configured_time_without_anybody_the_session_is_told_to_end(
    autojump_clock: MockClock,
) -> None:
    vendors = [Planned(name, down(5, 10_000, Fault.RETRY_AFTER, 7.0)) for name in ("first", "second")]
    with pytest.raises(SttExhausted, match="first, second failed for 60 s"):
        await run(Source(1000), *vendors, exhausted_after=60.0)
    assert 60 <= trio.current_time() - 5 < 62


async def test_a_shadow_attempt_that_fails_goes_unnoticed(autojump_clock: MockClock) -> None:
    first, second = Planned("first", down(5, 300, Fault.RETRY_NOW)), Planned("second")
    heard = await run(Source(200), first, second)
    assert heard.by() == ["first", "second"]
    assert heard.told == ["degraded first", "recovered second"]
    assert len(first.attempts) > 3
    assert tiles(heard, 200)


async def test_a_hundred_sessions_do_not_storm_a_vendor_that_is_down(autojump_clock: MockClock) -> None:
    only = Planned("only", down(5, 125, Fault.RETRY_NOW), step=SAMPLE_RATE)
    breakers = Breakers(lambda: Breaker(per_second=20))

    async def session() -> None:
        source = Source(200)
        heard = Heard(source)
        await Failover(
            [only], source, heard, OPTIONS, breakers=breakers, policy=Policy(exhausted_after=1000)
        ).run()
        assert tiles(heard, 200)

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(session)
    busiest = max(sum(t <= other < t + 1 for other in only.attempts) for t in only.attempts)
    assert busiest <= 21
    during = [t for t in only.attempts if 10 <= t < 125]
    assert len(during) < 60


async def test_a_session_that_is_cancelled_leaves_no_stream_behind(autojump_clock: MockClock) -> None:
    first, second = Planned("first", down(5, 1000, Fault.RETRY_NOW)), Planned("second")
    with trio.move_on_after(30) as scope:
        await run(Source(1000), first, second)
    assert scope.cancelled_caught


class Flaky(Planned):
    """Lets everybody in; `seconds` after it got ready it refuses, as vendors do that judge inside the stream."""

    def __init__(self, name: str, seconds: float, plan: Plan) -> None:
        super().__init__(name, plan)
        self._seconds = seconds

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        refused = self._plan(trio.current_time(), len(self.attempts))
        if refused is None:
            await super().transcribe(audio, emit, options)
        else:
            self.attempts.append(trio.current_time())
            emit(Ready())
            await trio.sleep(self._seconds)
            raise refused


async def test_a_better_vendor_that_refuses_a_moment_after_it_let_us_in_goes_unnoticed(
    autojump_clock: MockClock,
) -> None:
    first = Flaky("first", 1.0, down(0, 60, Fault.RETRY_NOW))
    heard = await run(Source(100), first, Planned("second"))
    assert len(first.attempts) > 3
    assert heard.told == ["degraded first", "recovered second"]
    assert heard.by() == ["second", "first"]
    assert tiles(heard, 100)


async def test_one_that_fails_after_it_took_over_is_left_alone_for_long(autojump_clock: MockClock) -> None:
    first = Flaky("first", 3.0, down(0, 1000, Fault.RETRY_NOW))
    heard = await run(Source(100), first, Planned("second"), elsewhere_pause=40.0)
    assert len(heard.told) // 2 <= 4
    assert tiles(heard, 100)


async def test_a_vendor_that_works_for_moments_only_is_tried_less_and_less(autojump_clock: MockClock) -> None:
    only = Planned(
        "only", lambda now, stream: VendorError(Fault.RETRY_NOW, "again") if now % 0.5 > 0.4 else None
    )
    heard = await run(Source(120), only, exhausted_after=1000.0)
    assert tiles(heard, 120)
    assert len(only.attempts) < 60


async def test_the_change_back_is_at_a_result_and_not_in_the_middle_of_what_was_sent(
    autojump_clock: MockClock,
) -> None:
    class Slow(Planned):
        """Covers what it hears in whole seconds only."""

        async def transcribe(
            self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
        ) -> None:
            emit(Ready())
            covered = audio.position
            while True:
                chunk = await audio.read(STEP)
                reached = chunk.position + len(chunk.pcm)
                whole = reached if chunk.end else reached // SAMPLE_RATE * SAMPLE_RATE
                if whole > covered:
                    emit(Final(covered, whole))
                    covered = whole
                if chunk.end:
                    return

    heard = await run(
        Source(60), Planned("first", down(5, 20, Fault.ELSEWHERE)), Slow("second"), elsewhere_pause=20.0
    )
    assert heard.by() == ["first", "second", "first"]
    last = [span for span in heard.spans if span[0] == "second"][-1]
    assert last[2] % SAMPLE_RATE == 0
    assert tiles(heard, 60)


async def test_what_nobody_said_is_no_sign_that_a_vendor_works(autojump_clock: MockClock) -> None:
    class Assuming(Planned):
        async def transcribe(
            self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
        ) -> None:
            emit(Ready())
            chunk = await audio.read(STEP)
            emit(Final(chunk.position, chunk.position + len(chunk.pcm), assumed=True))
            raise VendorError(Fault.RETRY_NOW, "gone")

    heard = await run(Source(20), Assuming("first"), Planned("second"))
    assert heard.told[:2] == ["degraded first", "recovered second"]
    assert tiles(heard, 20)
