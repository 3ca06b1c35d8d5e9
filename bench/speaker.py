"""Voices: how often the right one is recognised and a wrong one named, how speakers are told apart, and the cost.

Run `python -m bench speaker`; it writes the distribution of scores to `speaker.svg`. Over the recordings in
`tests/audio` and `tests/audio/voices`, on none of which anything was trained here. Each speaker is enrolled from one
half of their speech; windows of the other half, of each length, are compared with all who are enrolled. Half a second
lies between the beginnings of two windows: they overlap, and the intervals (95 %, Wilson) are too narrow by that. Two
speakers share a telephone line: their trials against each other are told apart from those over different channels.
"""

import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.plot import bars
from engine.audio.wav import read_wav
from engine.speaker.embedding import Voice, VoiceEncoder
from engine.speaker.matching import Known, Rules, decide
from engine.stt.activity import speech_probabilities
from engine.testing.diarization import read_rttm

RATE = 16_000
AUDIO = Path(__file__).parent.parent / "tests" / "audio"
LENGTHS = (1.6, 2.0, 3.0, 5.0)
HOP = 0.5
LINE = ("line-a", "line-b")
"""Who share a telephone line."""
RECORDINGS = {
    "austen": ("austen-0870", "austen-0880", "austen-0890", "voices/austen-0920", "voices/austen-0930"),
    "cities": ("voices/two-cities",),
    "beckett": ("beckett",),
    "cards": ("voices/cards-005", "voices/cards-002"),
    "robot": ("voices/something", "voices/numbers", "voices/goforward"),
}
"""By speaker. Those of "robot" (commands to a robot, and numbers) are taken for one man's, as they sound."""

Samples = NDArray[np.int16]


class Trials(msgspec.Struct, frozen=True):
    """Scores of windows of one length against the voice they are, and those they are not."""

    own: list[float]
    other: list[float]
    same_line: list[float]
    identified: int
    windows: int


def speech(pcm: Samples) -> Samples:
    """What of it is speech, pauses left out."""
    probabilities = np.array(speech_probabilities(pcm))
    mask = np.repeat(probabilities >= 0.5, 512)
    return pcm[: len(mask)][mask]


def speakers() -> dict[str, Samples]:
    """All speech there is, by speaker."""
    found = {
        name: np.concatenate([speech(read_wav(AUDIO / f"{file}.wav")[0]) for file in files])
        for name, files in RECORDINGS.items()
    }
    call = read_wav(AUDIO / "phone-two-speakers.wav")[0]
    turns = read_rttm((AUDIO / "phone-two-speakers.rttm").read_text())
    for name, label in zip(LINE, sorted({turn.speaker for turn in turns}), strict=True):
        mine = [turn for turn in turns if turn.speaker == label and turn.end - turn.start > 1]
        found[name] = np.concatenate([call[round(t.start * RATE) : round(t.end * RATE)] for t in mine])
    return found


def cut(pcm: Samples, seconds: float) -> list[Samples]:
    """Its windows of one length."""
    size, hop = round(seconds * RATE), round(HOP * RATE)
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, hop)]


class Voices:
    """Enrolled halves and windows of the others, each heard once."""

    def __init__(self, encoder: VoiceEncoder) -> None:
        self.speech = speakers()
        self.enrolled = {
            name: encoder.voice(pcm[: len(pcm) // 2]).vector for name, pcm in self.speech.items()
        }
        self.windows = {
            length: {
                name: [encoder.voice(piece).vector for piece in cut(pcm[len(pcm) // 2 :], length)]
                for name, pcm in self.speech.items()
            }
            for length in LENGTHS
        }

    def trials(self, length: float) -> Trials:
        """Every window against everybody enrolled."""
        own: list[float] = []
        other: list[float] = []
        line: list[float] = []
        right = count = 0
        for name, windows in self.windows[length].items():
            for vector in windows:
                scores = {known: float(vector @ voice) for known, voice in self.enrolled.items()}
                count += 1
                right += max(scores, key=lambda known: scores[known]) == name
                own.append(scores.pop(name))
                for known, score in scores.items():
                    (line if {known, name} == set(LINE) else other).append(score)
        return Trials(own, other, line, right, count)

    def threshold_without(self, length: float, stranger: str) -> float:
        """What the threshold would be if `stranger` had never been heard: a hundredth above all wrong scores."""
        wrong = [
            float(vector @ voice)
            for name, windows in self.windows[length].items()
            for known, voice in self.enrolled.items()
            for vector in windows
            if known != name and stranger not in (known, name)
        ]
        return max(wrong) + 0.01

    def wrong_names(self, length: float, rules: Rules, *, unheard: bool = False) -> tuple[int, int]:
        """Windows of a speaker who is not enrolled that are given a name, over all threes of the others.

        `unheard`: with the threshold that was set without this speaker.
        """
        named = count = 0
        for name, windows in self.windows[length].items():
            if unheard:
                rules = Rules(threshold=self.threshold_without(length, name), margin=rules.margin)
            for three in combinations([one for one in self.enrolled if one != name], 3):
                known = [Known(one, self.enrolled[one]) for one in three]
                for vector in windows:
                    count += 1
                    named += decide(Voice(vector, length), known, rules).person is not None
        return named, count


def equal_error(own: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The rate at which as many are wrongly refused as wrongly accepted, and the threshold there."""
    best = (2.0, 1.0, 0.0)
    for threshold in sorted({*own, *other}):
        refused = sum(score < threshold for score in own) / len(own)
        accepted = sum(score >= threshold for score in other) / len(other)
        best = min(best, (abs(refused - accepted), (refused + accepted) / 2, threshold))
    return best[1], best[2]


def interval(rate: float, count: int) -> tuple[float, float]:
    """Wilson's, 95 %."""
    z = 1.96
    middle = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def plot(trials: Trials, threshold: float) -> str:
    """How scores are distributed, in percent of the trials of a kind."""
    edges = np.arange(0.3, 1.0001, 0.05)
    series: dict[str, list[float | None]] = {}
    for name, scores in (
        ("same voice", trials.own),
        ("another", trials.other),
        ("another, same line", trials.same_line),
    ):
        counts, _ = np.histogram(scores, edges)
        series[name] = [float(100 * count / len(scores)) if count else None for count in counts]
    title = f"Similarity of 3 s windows to enrolled voices, % of trials; named from {threshold:g}"
    return bars(title, [f"{edge:.2f}" for edge in edges[:-1]], series)


def cost(encoder: VoiceEncoder) -> None:
    """CPU per second of speech, one utterance of 10 s at a time, and the same without its neighbours."""
    pcm = read_wav(AUDIO / "voices" / "two-cities.wav")[0][: 10 * RATE]
    for name, rate in (("recognise (1.3 windows/s)", 1.3), ("tell apart (2 windows/s)", 2.0)):
        encoder.voice(pcm, rate)
        began = time.process_time()
        for _ in range(5):
            encoder.voice(pcm, rate)
        print(f"  {name:<28}{1e3 * (time.process_time() - began) / 50:6.1f} ms of CPU per second of speech")


def main() -> None:
    """Print all of it."""
    encoder = VoiceEncoder.load()
    voices = Voices(encoder)
    rules = Rules()
    lengths = ", ".join(f"{name} {len(pcm) / RATE:.0f} s" for name, pcm in voices.speech.items())
    print(f"Speakers: {lengths}.\n")
    print(
        f"{'window':>7}{'own':>6}{'other':>7}{'EER':>8}{'interval':>16}{'at':>7}{'same line':>11}{'identified':>13}"
    )
    for length in LENGTHS:
        trials = voices.trials(length)
        rate, at = equal_error(trials.own, trials.other)
        low, high = interval(rate, len(trials.own))
        line, _ = equal_error(trials.own, trials.same_line)
        share = trials.identified / trials.windows
        print(
            f"{length:>5.1f} s{len(trials.own):>6}{len(trials.other):>7}{rate:>8.1%}{low:>9.1%}–{high:<6.1%}{at:>7.2f}"
            f"{line:>11.1%}{trials.identified:>7}/{trials.windows} {share:.0%}"
        )
    print(f"\nThree enrolled, a fourth speaks (threshold {rules.threshold:g}, margin {rules.margin:g}):")
    for length in (3.0, 5.0):
        named, count = voices.wrong_names(length, rules)
        low, high = interval(named / count, count)
        own = voices.trials(length).own
        missed = sum(score < rules.threshold for score in own) / len(own)
        print(
            f"  {length:g} s: {named} of {count} windows given a name: {named / count:.2%} ({low:.2%}–{high:.2%}); "
            f"{missed:.0%} of an enrolled speaker's own windows stay unknown"
        )
    named, count = voices.wrong_names(3.0, rules, unheard=True)
    low, high = interval(named / count, count)
    print(
        f"  3 s, the threshold set without the fourth: {named} of {count}: {named / count:.2%} ({low:.2%}–{high:.2%})"
    )
    print("\nCost:")
    cost(encoder)
    Path("speaker.svg").write_text(plot(voices.trials(3.0), rules.threshold))
    print("\nWrote speaker.svg.")


if __name__ == "__main__":
    main()
