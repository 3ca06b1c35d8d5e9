"""The silence gate: what the vendor is sent, what the session is told, and that both agree to the sample."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.config import Local
from engine.stt._gated_timeline import GatedTimeline
from engine.stt._hangover import HELD, Hangover, Leaving, Talk
from engine.stt._silero import SileroPool
from engine.stt.endpoint import MIN_SPEECH, PRE_ROLL, WINDOW
from engine.stt.gating import LONGEST_CHUNK, GatedVendor, GateMode
from engine.stt.local import LocalWhisper
from engine.stt.vendor import (
    SAMPLE_RATE,
    Activity,
    AudioSource,
    Chunk,
    Fault,
    Final,
    Lag,
    StreamOptions,
    SttEvent,
    VendorError,
)
from engine.testing.marks import BLOCK, MarkReader, mark
from engine.transcript.words import Word
from tests.stt.gated import (
    OPTIONS,
    AnsweredSource,
    AnyVendor,
    LoudVoices,
    Samples,
    check_tiling,
    gated_spans,
    passed_positions,
    run_gated,
    talk,
)
from tests.stt.streams import MemorySource, finals, load

SILENCE = (4.0, False)
PAUSED = talk([(0.5, True), (4.0, False), (0.5, True), (3.0, False), (0.5, True), (4.0, False)])
"""Talk with pauses, of which the hangover of 1 s leaves 3, 2 and 3 s, less the pre-roll."""

patterns = st.lists(
    st.tuples(st.floats(0.0, 2.0), st.just(False)) | st.tuples(st.floats(0.1, 2.0), st.just(True)), max_size=8
)
"""What is shorter than 0.1 s is a click, which may be kept back."""


# Where audio goes


def test_a_new_gate_is_open_and_closes_after_the_hangover() -> None:
    door = Hangover(100, 1000)
    assert door.hear(999, speech=False) == Leaving(999, passed=True)
    assert door.hear(1, speech=False) == Leaving(1, passed=True), "cuts lie between windows"
    assert door.hear(100, speech=False) == Leaving(24, passed=True, closed=True)
    assert not door.open
    assert door.hear(HELD, speech=False) == Leaving(0, passed=False)
    assert door.hear(WINDOW, speech=False) == Leaving(WINDOW, passed=False)


def test_speech_takes_the_pre_roll_with_it() -> None:
    door = Hangover(0, 1000)
    door.hear(1000, speech=False)
    door.hear(20_000, speech=False)
    leaving = door.hear(1600, speech=True)
    assert leaving.passed
    assert HELD <= leaving.samples - 1600 < HELD + WINDOW


@given(st.lists(st.tuples(st.integers(0, 2000), st.booleans())), st.integers(0, 100), st.integers(1, 50_000))
def test_what_leaves_tiles_the_timeline_and_speech_is_never_given_up(
    heard: list[tuple[int, bool]], start: int, hangover: int
) -> None:
    door = Hangover(start, hangover)
    position = left = start
    for samples, speech in heard:
        leaving = door.hear(samples, speech=speech)
        position += samples
        left += leaving.samples
        assert door.held_from == left
        assert position == left or (not door.open and position - left < HELD + WINDOW)
        assert (left - start) % WINDOW == 0 or door.open
        assert leaving.passed == (door.open or leaving.closed)
        assert door.open or not speech
    assert door.release(passed=True).samples == position - left


def test_a_click_is_not_told_as_speech_and_talk_is_told_from_its_start() -> None:
    clicking = Talk()
    assert clicking.hear(0, 1600, MIN_SPEECH - 1) is None
    assert [clicking.hear(at, at + 1600, 0) for at in range(1600, 16_000, 1600)] == [None] * 9
    talking = Talk()
    assert talking.hear(800, 1600, 1) is None
    assert talking.hear(1600, 3200, MIN_SPEECH) == Activity(800, speaking=True)
    assert talking.hear(3200, 4800, 3) is None
    assert talking.hear(4800, 8000, 0) is None
    assert talking.hear(8000, 12_800, 0) == Activity(4800, speaking=False)
    assert talking.end() is None


# What the session is told


@settings(max_examples=60, deadline=None)
@example(
    [(3.0, False), (0.015625, True)], 0, 100, 0.0, False, 0, [], 1.0
)  # less than a hop of the energy gate
@given(
    patterns,
    st.integers(0, 2**32),
    st.integers(100, 4000),
    st.floats(0, 1),
    st.booleans(),
    st.integers(0, 50_000),
    st.lists(st.floats(0, 1), max_size=4),
    st.floats(0.3, 2.0),
)
def test_whatever_is_said_and_however_the_vendor_covers_it_the_books_and_times_are_exact(
    pattern: list[tuple[float, bool]],
    seed: int,
    chunk: int,
    eager: float,
    covers_at_flush: bool,
    start: int,
    flushes: list[float],
    hangover: float,
) -> None:
    pcm = talk(pattern, seed)
    end = start + len(pcm)
    vendor = AnyVendor(seed, chunk=chunk, eager=eager, covers_at_flush=covers_at_flush)
    events: list[SttEvent] = []
    at = [start + int(part * len(pcm)) for part in flushes]
    source = AnsweredSource(pcm, start, at, events) if covers_at_flush else MemorySource(pcm, start, at)
    trio.run(partial(run_gated, vendor, source, hangover=hangover, events=events))
    check_tiling(events, start, end)
    positions = passed_positions(events, start, end)
    np.testing.assert_array_equal(vendor.heard, pcm[positions - start])
    assert told_words(events) == [placed(word, positions, start) for word in vendor.words]
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 200) + start
    assert np.isin(loud, positions).all(), "speech is never given up"


def told_words(events: list[SttEvent]) -> list[tuple[str, int, int]]:
    return [(word.text, word.start, word.end) for final in finals(events) for word in final.words]


def placed(word: Word, positions: NDArray[np.int64], start: int) -> tuple[str, int, int]:
    """Where `word`, in the vendor's time, truly is: the part of it in the run of audio that its middle is in."""
    first, last = word.start - start, word.end - start
    middle = (first + last) // 2
    cuts = np.flatnonzero(np.diff(positions) > 1) + 1
    run = int(np.searchsorted(cuts, middle, side="right"))
    opens = int(cuts[run - 1]) if run else 0
    closes = int(cuts[run]) if run < len(cuts) else len(positions)
    by = int(positions[opens]) - opens if len(positions) else start
    return word.text, max(first, opens) + by, min(last, closes) + by


def test_gaps_are_told_once_when_the_vendor_covers_all_at_the_end() -> None:
    vendor = AnyVendor(eager=0.0, covers_at_flush=False)
    events = trio.run(run_gated, vendor, MemorySource(PAUSED))
    check_tiling(events, 0, len(PAUSED))
    spans = gated_spans(events)
    assert len(spans) == 3
    for (start, end), seconds in zip(spans, (3.0, 2.0, 3.0), strict=True):
        assert abs((end - start + HELD) / SAMPLE_RATE - seconds) < 0.5


def test_silence_is_told_as_it_goes_on_when_the_vendor_has_covered_all() -> None:
    pcm = talk([(0.5, True), (20.0, False)])
    events = trio.run(run_gated, AnyVendor(), MemorySource(pcm))
    check_tiling(events, 0, len(pcm))
    longest = max(end - start for start, end in gated_spans(events))
    assert SAMPLE_RATE <= longest <= SAMPLE_RATE + LONGEST_CHUNK


def test_a_word_that_a_vendor_lets_begin_a_little_early_does_not_span_the_pause() -> None:
    class Early(AnyVendor):
        def _new_words(self, until: int, *, keep: bool = True) -> tuple[Word, ...]:
            if not self.flushes:
                return ()
            cut = self.flushes[0]
            words = (Word("late", cut - 3000, cut + 100), Word("early", cut - 100, cut + 3000))
            return words if until >= cut + 3000 else ()

    events = trio.run(run_gated, Early(eager=0.0, covers_at_flush=False), MemorySource(PAUSED[:100_000]))
    late, early = (word for final in finals(events) for word in final.words)
    start, end = gated_spans(events)[0]
    assert (late.end, early.start) == (start, end)
    assert late.end - late.start == early.end - early.start == 3000


def test_words_that_a_vendor_says_too_late_or_from_nowhere_do_no_harm() -> None:
    class Odd(AnyVendor):
        def _new_words(self, until: int, *, keep: bool = True) -> tuple[Word, ...]:
            return (Word("old", 0, 10), Word("new", until, until + 10**9))

        def _cover(self, position: int, emit: Callable[[SttEvent], None]) -> None:
            super()._cover(position, emit)
            emit(Final(0, position - 1))
            emit(Final(position, position + 10**9 if self._random.random() < 0.5 else position))

    events = trio.run(run_gated, Odd(eager=1.0), MemorySource(PAUSED))
    assert all(word.start <= word.end for final in finals(events) for word in final.words)
    check_tiling(events, 0, len(PAUSED))


# What the vendor is sent


async def test_the_gate_closing_asks_for_results_once_and_nothing_follows_until_somebody_speaks() -> None:
    vendor = AnyVendor()
    events = await run_gated(vendor, MemorySource(PAUSED))
    assert [bool(chunk.flush) for chunk in vendor.chunks].count(True) == 3
    cuts = np.flatnonzero(np.diff(passed_positions(events, 0, len(PAUSED))) > 1) + 1
    assert vendor.flushes == [*cuts, len(vendor.heard)]
    assert all(len(chunk.pcm) for chunk in vendor.chunks if not chunk.flush and not chunk.end)
    assert vendor.chunks[-1].end


async def test_speech_comes_with_its_pre_roll() -> None:
    events = await run_gated(AnyVendor(), MemorySource(PAUSED))
    speech = [int(seconds * SAMPLE_RATE) for seconds in (4.5, 8.0)]
    for (_, end), begins in zip(merged(gated_spans(events)), speech, strict=False):
        assert PRE_ROLL <= begins - end <= HELD + WINDOW + LONGEST_CHUNK


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that follow each other put together."""
    found: list[tuple[int, int]] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return found


async def test_a_flush_while_all_is_covered_is_answered_by_the_gate_alone() -> None:
    pcm = talk([(0.5, True), (4.0, False)])
    events: list[SttEvent] = []
    vendor = AnyVendor()
    await run_gated(vendor, AnsweredSource(pcm, 0, [50_000, 60_000], events), events=events)
    assert len(vendor.flushes) == 1, "only that of the gate closing"


@pytest.mark.parametrize("seconds_before", [0.02, 0.2])
async def test_a_flush_just_after_speech_began_takes_it_along(seconds_before: float) -> None:
    # 20 ms are not even a window: nobody can say yet that this is speech.
    pcm = talk([(0.5, True), (4.0, False), (seconds_before, True)])
    after = talk([(1.0, True)], seed=1)
    vendor = AnyVendor()
    await run_gated(vendor, MemorySource(np.concatenate([pcm, after]), 0, [len(pcm)]))
    np.testing.assert_array_equal(
        vendor.heard[-len(after) - 320 :], np.concatenate([pcm, after])[-len(after) - 320 :]
    )


async def test_after_a_fault_in_mid_speech_the_next_stream_passes_speech_from_its_first_sample() -> None:
    pcm = talk([(2.0, True), (3.0, False)])

    class Failing(AnyVendor):
        def _take(self, chunk: Chunk) -> int:
            reached = super()._take(chunk)
            if reached > SAMPLE_RATE:
                raise VendorError(Fault.RETRY_NOW, "gone")
            return reached

    events: list[SttEvent] = []
    with pytest.raises(VendorError):
        await run_gated(Failing(), MemorySource(pcm), events=events)
    covered = finals(events)[-1].end
    vendor = AnyVendor()
    await run_gated(vendor, MemorySource(pcm[covered:], covered), events=events)
    check_tiling(events, 0, len(pcm))
    assert vendor.start == covered
    speech = 2 * SAMPLE_RATE - covered
    np.testing.assert_array_equal(vendor.heard[:speech], pcm[covered : covered + speech])


async def test_a_stream_begins_where_its_first_audio_is_though_it_was_opened_before() -> None:
    source = MemorySource(PAUSED)

    class Successor(AnyVendor):
        async def _read(self, audio: AudioSource) -> Chunk:
            if not self.chunks:
                await source.read(SAMPLE_RATE)  # by the vendor before this one
            return await super()._read(audio)

    vendor = Successor()
    events = await run_gated(vendor, source)
    assert vendor.start == SAMPLE_RATE
    check_tiling(events, SAMPLE_RATE, len(PAUSED))


async def test_a_cancelled_read_loses_nothing() -> None:
    voices = LoudVoices()

    class Impatient(AnyVendor):
        async def _read(self, audio: AudioSource) -> Chunk:
            with trio.CancelScope() as scope:
                voices.interrupting = scope
                return await audio.read(self._chunk)
            voices.interrupting = None
            return await audio.read(self._chunk)

    patient, impatient = AnyVendor(1), Impatient(1)
    expected = await run_gated(patient, MemorySource(PAUSED))
    assert await run_gated(impatient, MemorySource(PAUSED), voices=voices) == expected
    np.testing.assert_array_equal(impatient.heard, patient.heard)


async def test_in_shadow_the_vendor_is_sent_everything_and_what_would_be_kept_is_counted() -> None:
    counted = {}
    for mode in (GateMode.ON, GateMode.SHADOW, GateMode.OFF):
        vendor = AnyVendor()
        gated = GatedVendor(vendor, mode=mode, voices=LoudVoices(), hangover=1.0)
        events: list[SttEvent] = []
        await gated.transcribe(MemorySource(PAUSED, 0, [30_000]), events.append, OPTIONS)
        check_tiling(events, 0, len(PAUSED))
        counted[mode] = gated.statistics()
        if mode is not GateMode.ON:
            np.testing.assert_array_equal(vendor.heard, PAUSED)
            assert vendor.flushes == [30_000]
            assert not gated_spans(events)
        else:
            assert counted[mode].gated == sum(end - start for start, end in gated_spans(events))
            assert counted[mode].gated == len(PAUSED) - len(vendor.heard)
    # A gate that closes ends a chunk early, and the gate opens and closes between chunks.
    assert abs(counted[GateMode.SHADOW].gated - counted[GateMode.ON].gated) <= 3 * LONGEST_CHUNK
    assert counted[GateMode.ON].heard == len(PAUSED)
    assert counted[GateMode.OFF].heard == 0


async def test_activity_is_told_once_per_talk_on_the_sessions_timeline_and_other_events_pass() -> None:
    class Lagging(AnyVendor):
        def _cover(self, position: int, emit: Callable[[SttEvent], None]) -> None:
            super()._cover(position, emit)
            emit(Activity(position, speaking=True))
            emit(Lag(3.0))

    events = await run_gated(Lagging(), MemorySource(PAUSED))
    told = [event for event in events if isinstance(event, Activity)]
    assert [activity.speaking for activity in told] == [True, False] * 3
    truth = [seconds * SAMPLE_RATE for seconds in (0.0, 0.5, 4.5, 5.0, 8.0, 8.5)]
    assert all(abs(a.position - at) <= LONGEST_CHUNK for a, at in zip(told, truth, strict=True))
    assert Lag(3.0) in events


def test_of_many_pauses_that_no_vendor_covers_only_their_bounds_are_kept() -> None:
    events: list[SttEvent] = []
    timeline = GatedTimeline(0, events.append)
    for n in range(20_000):
        timeline.passed_on(3 * n, 3 * n + 1)
        timeline.given_up(3 * n + 1, 3 * n + 2)
        timeline.given_up(3 * n + 2, 3 * n + 3)
    statistics = timeline.statistics()
    assert (statistics.gaps, statistics.in_flight) == (20_000, 20_000)
    assert statistics.checkpoints <= 4_096
    timeline.on_final(Final(0, 20_000))
    check_tiling(events, 0, 60_000)
    assert timeline.statistics().gaps == 0


# With real speech


class MarkVendor:
    """Says, as a word, which session sample each stretch of marked audio begins with."""

    name = provider = "marks"

    def speaks(self, language: str) -> bool:
        return True

    async def prepare(self) -> None:
        pass

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        reader = MarkReader()
        covered = start = audio.position
        while True:
            chunk = await audio.read(SAMPLE_RATE // 50)
            spans = reader.feed(np.array(chunk.pcm, np.int16))
            words = [
                Word(str(span.session), start + span.vendor, start + span.vendor + span.samples)
                for span in spans
                if span.samples >= BLOCK  # after a cut a few samples may look like the continuation
            ]
            if words:
                emit(Final(covered, words[-1].end, tuple(words)))
                covered = words[-1].end
            if chunk.end:
                emit(Final(covered, chunk.position + len(chunk.pcm)))
                return


def with_silences(*names: str, seconds: tuple[float, ...], noise: float = 3.0) -> Samples:
    """Recordings with faint noise between and after them."""
    rng = np.random.default_rng(7)
    pieces = []
    for name, pause in zip(names, seconds, strict=True):
        pieces += [load(name), rng.normal(0, noise, int(pause * SAMPLE_RATE)).astype(np.int16)]
    return np.concatenate(pieces)


async def test_marks_in_real_speech_show_the_mapping_exact_to_a_block_of_marks() -> None:
    names = ("austen-0880", "beckett", "austen-0890")
    pcm = mark(with_silences(*names, seconds=(5.0, 8.0, 4.0)))
    voices = SileroPool(1, trio.to_thread.run_sync)
    events = await run_gated(MarkVendor(), MemorySource(pcm), voices=voices, hangover=2.0)
    check_tiling(events, 0, len(pcm))
    words = [word for final in finals(events) for word in final.words]
    errors = [abs(word.start - int(word.text)) for word in words]
    assert max(errors) <= BLOCK
    assert sum(error > 0 for error in errors) <= 3, "only at the cuts"
    gated = sum(end - start for start, end in gated_spans(events))
    assert gated > 8 * SAMPLE_RATE
    assert sum(word.end - word.start for word in words) >= len(pcm) - gated - 4 * 320


@pytest.fixture(scope="module")
def local() -> LocalWhisper:
    vendor = LocalWhisper(Local(threads=2))
    trio.run(vendor.prepare)
    return vendor


def test_the_local_model_hears_the_same_with_the_gate_on(local: LocalWhisper) -> None:
    pcm = with_silences("austen-0880", "austen-0890", seconds=(6.0, 5.0))

    async def words(mode: GateMode) -> tuple[list[Word], list[SttEvent]]:
        voices = SileroPool(1, trio.to_thread.run_sync)
        events = await run_gated(local, MemorySource(pcm), mode=mode, voices=voices, hangover=2.0)
        check_tiling(events, 0, len(pcm))
        return [word for final in finals(events) for word in final.words], events

    off, _ = trio.run(words, GateMode.OFF)
    on, events = trio.run(words, GateMode.ON)
    assert [word.text for word in on] == [word.text for word in off]
    shifts = [abs(a.start - b.start) for a, b in zip(on, off, strict=True)]
    assert np.median(shifts) <= 0.05 * SAMPLE_RATE
    assert np.percentile(shifts, 95) <= 0.2 * SAMPLE_RATE
    assert sum(end - start for start, end in gated_spans(events)) > 5 * SAMPLE_RATE
