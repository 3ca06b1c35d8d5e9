"""Tests of endpointing on made-up probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.stt.endpoint import (
    MIN_SPEECH,
    PRE_ROLL,
    SILENCE_EVERY,
    TAIL,
    WINDOW,
    Endpointed,
    Endpointer,
    Silence,
    Utterance,
    quietest,
)
from engine.stt.vendor import Activity

NOTHING: NDArray[np.int16] = np.empty(0, np.int16)


def window(number: int) -> NDArray[np.int16]:
    return np.full(WINDOW, number % 30_000 + 1, np.int16)


def run(probabilities: list[float], *, limit: float = 10.0, start: int = 0) -> list[Endpointed]:
    endpointer = Endpointer(start, endpoint_silence=0.5, utterance_limit=limit)
    events = [
        event
        for number, probability in enumerate(probabilities)
        for event in endpointer.push(window(number), probability)
    ]
    return events + endpointer.finish(NOTHING)


def spans(events: list[Endpointed]) -> list[Silence | Utterance]:
    return [event for event in events if not isinstance(event, Activity)]


def utterances(events: list[Endpointed]) -> list[Utterance]:
    return [event for event in events if isinstance(event, Utterance)]


def test_an_utterance_has_its_pre_roll_and_tail() -> None:
    (said,) = utterances(run([0.0] * 40 + [0.9] * 30 + [0.0] * 40))
    assert said.speech_start == 40 * WINDOW
    assert said.speech_end == 70 * WINDOW
    assert PRE_ROLL - WINDOW < said.speech_start - said.start <= PRE_ROLL + WINDOW
    assert TAIL <= said.end - said.speech_end < TAIL + WINDOW


def test_the_end_is_told_after_the_silence_asked_for() -> None:
    endpointer = Endpointer(0, endpoint_silence=0.5, utterance_limit=10.0)
    for number in range(20):
        endpointer.push(window(number), 0.9)
    quiet = 1
    while not utterances(endpointer.push(window(0), 0.0)):
        quiet += 1
    assert quiet == -(-8000 // WINDOW)


def test_speech_is_announced_when_it_begins_and_ends() -> None:
    events = run([0.0] * 5 + [0.9] * 20 + [0.0] * 20)
    activity = [event for event in events if isinstance(event, Activity)]
    assert activity == [Activity(5 * WINDOW, speaking=True), Activity(25 * WINDOW, speaking=False)]


def test_a_click_is_silence() -> None:
    events = run([0.0] * 20 + [0.9] * (MIN_SPEECH - 1) + [0.0] * 40)
    assert all(isinstance(event, Silence) for event in events)


def test_silence_is_given_out_every_second() -> None:
    endpointer = Endpointer(0, endpoint_silence=0.5, utterance_limit=10.0)
    for number in range(1000):
        endpointer.push(window(number), 0.0)
        assert endpointer.position - endpointer.covered <= SILENCE_EVERY + PRE_ROLL


def test_unbroken_speech_is_cut_where_it_is_quietest() -> None:
    loud = [0.95] * 400
    loud[250:255] = [0.4] * 5
    endpointer = Endpointer(0, endpoint_silence=0.5, utterance_limit=10.0)
    events = [event for probability in loud for event in endpointer.push(window(0), probability)]
    assert utterances(events)[0].end // WINDOW in range(250, 256)


def test_nothing_is_lost_or_doubled_at_a_cut() -> None:
    events = run([0.95] * 1000, limit=5.0)
    said = utterances(events)
    assert len(said) >= 6
    assert np.array_equal(
        np.concatenate([utterance.pcm for utterance in said]),
        np.concatenate([window(number) for number in range(1000)]),
    )
    assert sum(isinstance(event, Activity) for event in events) == 2


def test_a_flush_closes_the_utterance_to_the_last_sample() -> None:
    endpointer = Endpointer(100, endpoint_silence=0.5, utterance_limit=10.0)
    for number in range(10):
        endpointer.push(window(number), 0.9)
    events = endpointer.finish(np.ones(77, np.int16))
    (said,) = utterances(events)
    assert (said.start, said.end) == (100, 100 + 10 * WINDOW + 77)
    assert events[0] == Activity(said.speech_end, speaking=False)
    assert endpointer.covered == endpointer.position == said.end


def test_what_is_being_said_can_be_looked_at_before_it_ends() -> None:
    endpointer = Endpointer(0, endpoint_silence=0.5, utterance_limit=10.0)
    for number in range(MIN_SPEECH):
        assert endpointer.open_utterance() is None
        endpointer.push(window(number), 0.9)
    said = endpointer.open_utterance()
    assert said is not None
    assert len(said.pcm) == MIN_SPEECH * WINDOW
    assert endpointer.covered == 0


def test_statistics_count_utterances_cuts_and_clicks() -> None:
    endpointer = Endpointer(0, endpoint_silence=0.5, utterance_limit=2.0)
    for probability in [0.9] * 100 + [0.0] * 30 + [0.9] + [0.0] * 30:
        endpointer.push(window(0), probability)
    statistics = endpointer.statistics()
    assert statistics.cut >= 1
    assert statistics.utterances == statistics.cut + 1
    assert statistics.discarded == 1
    assert statistics.held <= PRE_ROLL + SILENCE_EVERY


@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0.0, 0.4, 0.9])), max_size=20),
    st.integers(0, 511),
    st.integers(0, 1 << 40),
    st.sampled_from([2.0, 5.0, 10.0]),
)
def test_spans_tile_the_timeline_and_utterances_hold_their_own_samples(
    runs: list[tuple[int, float]], tail: int, start: int, limit: float
) -> None:
    probabilities = [probability for count, probability in runs for _ in range(count)]
    endpointer = Endpointer(start, endpoint_silence=0.5, utterance_limit=limit)
    pcm = np.arange(len(probabilities) * WINDOW + tail, dtype=np.int64).astype(np.int16)
    events: list[Endpointed] = []
    for number, probability in enumerate(probabilities):
        events += endpointer.push(pcm[number * WINDOW : (number + 1) * WINDOW], probability)
        assert endpointer.position - endpointer.covered <= limit * 16_000 + WINDOW
    events += endpointer.finish(pcm[len(probabilities) * WINDOW :])
    position = start
    for span in spans(events):
        assert span.start == position < span.end
        position = span.end
    assert position == start + len(pcm)
    for said in utterances(events):
        assert np.array_equal(said.pcm, pcm[said.start - start : said.end - start])
        assert said.start <= said.speech_start < said.speech_end <= said.end


def test_the_quietest_stretch_lies_in_the_second_half() -> None:
    loudness = [50.0] * 100
    loudness[20:25] = [0.0] * 5
    loudness[70:75] = [20.0] * 5
    assert quietest([1.0] * 100, loudness) == pytest.approx(73, abs=1)
