"""Marks tell the session's sample numbers to whoever gets the PCM, however it was cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.testing.marks import BLOCK, BLOCKS, MarkReader, Span, mark
from tests.stt.streams import load

Pcm = NDArray[np.int16]


def joined(spans: list[Span]) -> list[Span]:
    """Spans with neighbours that continue each other made one."""
    out: list[Span] = []
    for span in spans:
        if out and (
            out[-1].vendor + out[-1].samples == span.vendor
            and out[-1].session + out[-1].samples == span.session
            and out[-1].stream == span.stream
        ):
            out[-1] = out[-1]._replace(samples=out[-1].samples + span.samples)
        else:
            out.append(span)
    return out


def read(pcm: Pcm, sizes: list[int]) -> tuple[list[Span], MarkReader]:
    reader, spans, at = MarkReader(), [], 0
    for n in range(len(pcm) + 1):
        if at >= len(pcm):
            break
        size = sizes[n % len(sizes)]
        spans += reader.feed(pcm[at : at + size])
        at += size
    return joined(spans), reader


def test_a_mark_changes_no_sample_by_more_than_one() -> None:
    speech = load("beckett")
    assert np.abs(mark(speech).astype(int) - speech).max() == 1


def test_extreme_samples_do_not_wrap() -> None:
    edges = np.array([-32768, -32767, 32766, 32767] * 64, np.int16)
    assert np.abs(mark(edges).astype(int) - edges).max() <= 1


@pytest.mark.parametrize("pcm", [load("beckett"), np.zeros(48_000, np.int16)], ids=["speech", "silence"])
@pytest.mark.parametrize("start", [0, 1, 63, 64, 1_000_003])
def test_speech_and_silence_tell_their_place_from_any_first_sample(pcm: Pcm, start: int) -> None:
    spans, reader = read(mark(pcm, start, stream=7), [1600])
    assert spans == [Span(0, start, len(pcm), 7)]
    assert reader.unmarked == 0


def test_marking_piece_by_piece_is_marking_at_once() -> None:
    pcm = load("austen-0880")
    pieces = [mark(pcm[at : at + 333], 50 + at) for at in range(0, len(pcm), 333)]
    assert np.array_equal(np.concatenate(pieces), mark(pcm, 50))


@given(
    cuts=st.lists(
        st.tuples(st.integers(0, 1 << 30), st.integers(200, 3000)),
        min_size=1,
        max_size=6,
    ),
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=5),
)
@settings(max_examples=80, deadline=None)
def test_gated_and_replayed_pieces_are_told_apart_to_less_than_a_block(
    cuts: list[tuple[int, int]], sizes: list[int]
) -> None:
    pcm = np.concatenate([mark(np.zeros(count, np.int16), start) for start, count in cuts])
    spans, reader = read(pcm, sizes)
    truth = np.concatenate([np.arange(start, start + count) for start, count in cuts])
    wrong = 0
    for span in spans:
        got = np.arange(span.session, span.session + span.samples)
        wrong += int((got != truth[span.vendor : span.vendor + span.samples]).sum())
    told = sum(span.samples for span in spans)
    assert told + reader.unmarked == len(pcm) or len(pcm) - told - reader.unmarked < 2 * BLOCK
    assert len(pcm) - told <= BLOCK * len(cuts)
    assert wrong < BLOCK * len(cuts)


def test_audio_without_marks_yields_no_spans() -> None:
    noise = np.random.default_rng(1).integers(-999, 999, 64_000).astype(np.int16)
    spans, reader = read(noise, [1600])
    assert spans == []
    assert reader.unmarked == len(noise) - 2 * (BLOCK - 1)


def test_one_damaged_sample_costs_one_sample() -> None:
    pcm = mark(np.zeros(6400, np.int16))
    pcm[3000] ^= 1
    spans, reader = read(pcm, [640])
    assert spans == [Span(0, 0, 3000), Span(3001, 3001, 3399)]
    assert reader.unmarked == 1


def test_what_cannot_be_marked_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match="stream is 4096"):
        mark(np.zeros(1, np.int16), stream=4096)
    with pytest.raises(ValueError, match="start is -1"):
        mark(np.zeros(1, np.int16), -1)
    with pytest.raises(ValueError, match="accepted are samples"):
        mark(np.zeros(2, np.int16), BLOCKS * BLOCK - 1)
