"""Voices: how often the right one is recognised and a wrong one named, and what it costs.

    python -m bench speaker

Over the recordings in `tests/audio`, and over those of Debian packages, fetched where that is possible (see
`bench.voices`). Thresholds are set on one side of the people, what the defaults do is told of the other. The report is
`bench/report/speaker.md`, with the distribution of scores.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.machine import machine
from bench.plot import bars
from bench.voices.channels import AS_RECORDED, CHANNELS
from bench.voices.hearing import Hearing
from bench.voices.packages import FOLDER, PACKAGES
from bench.voices.people import RATE, Person, people
from bench.voices.trials import Heard, Scores, equal_error, interval, open_set, scores
from engine.audio.wav import read_wav
from engine.speaker.embedding import VoiceEncoder
from engine.speaker.matching import Rules

__all__ = ["main"]

REPORT = Path(__file__).parent / "report"
LENGTHS = (1.6, 2.0, 3.0, 5.0)
USUAL = 3.0
"""Seconds of the windows of which most is told."""
GRID = tuple(round(0.74 + 0.01 * step, 2) for step in range(17))
"""Thresholds that are tried on the calibration side."""
FEW = 0.005
"""The threshold is the least at which no larger share of strangers' windows is named there: half of what may be."""
DRAWS, OFTEN = 3, 30
"""Threes of enrolled people that a window is compared with, to see what a threshold does, and what the defaults do."""


class Bench:
    """Everybody, heard as often as it is asked for."""

    def __init__(self, hearing: Hearing, everybody: Sequence[Person]) -> None:
        self._hearing = hearing
        self.everybody = everybody

    def heard(
        self,
        side: str,
        *,
        kinds: Sequence[str] = ("talk", "words", "strangers"),
        seconds: float = USUAL,
        enrolled: str = AS_RECORDED,
        channel: str = AS_RECORDED,
    ) -> list[Heard]:
        """Those of a side and of these kinds."""
        return [
            self._hearing.hear(person, seconds, enrolled=enrolled, heard=channel)
            for person in self.everybody
            if person.side == side and person.kind in kinds
        ]


def share(found: int, trials: int) -> str:
    """Counted, as a rate and between what rates it is."""
    if not trials:
        return "–"
    low, high = interval(found, trials)
    return f"{found / trials:.1%} ({low:.1%}–{high:.1%})"


def table(head: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def error_rate(found: Scores) -> tuple[str, str]:
    """Equal error rate with its interval (by the windows of one's own), and the threshold there."""
    rate, threshold = equal_error(found.own, found.other)
    return share(round(rate * found.windows), found.windows), f"{threshold:.2f}"


def who(everybody: Sequence[Person]) -> str:
    """Whose speech, and how much."""

    def row(person: Person) -> list[object]:
        enrolled = "–" if person.enrol is None else f"{len(person.enrol) / RATE:.0f}"
        return [person.name, person.kind, person.side, enrolled, f"{len(person.heard) / RATE:.0f}"]

    return table(["who", "kind", "side", "enrolled, s", "heard, s"], map(row, everybody))


def by_length(bench: Bench) -> str:
    """Equal error rate and identification, of both sides."""

    def rows() -> Iterator[list[object]]:
        for side in ("calibration", "held out"):
            for kinds in (("talk",), ("words",), ("talk", "words")):
                for seconds in LENGTHS:
                    people = bench.heard(side, kinds=kinds, seconds=seconds)
                    found = scores(people)
                    if not found.windows or not found.other:
                        continue
                    rate, at = error_rate(found)
                    right = share(found.identified, found.windows)
                    counts = [len(people), f"{seconds:g} s", found.windows, len(found.other)]
                    yield [side, " and ".join(kinds), *counts, rate, at, right]

    head = [
        "side",
        "kind",
        "people",
        "window",
        "own",
        "others",
        "equal error rate",
        "at",
        "most similar is right",
    ]
    return table(head, rows())


def by_channel(bench: Bench) -> str:
    """The held-out side, enrolled over one channel and recognised over another."""
    pairs = [(AS_RECORDED, channel) for channel in CHANNELS]
    pairs += [(channel, AS_RECORDED) for channel in CHANNELS if channel != AS_RECORDED]

    def rows() -> Iterator[list[object]]:
        for kinds in (("talk",), ("talk", "words")):
            for enrolled, channel in pairs:
                found = scores(bench.heard("held out", kinds=kinds, enrolled=enrolled, channel=channel))
                if found.windows and found.other:
                    right = share(found.identified, found.windows)
                    kind = " and ".join(kinds)
                    yield [kind, enrolled, channel, found.windows, *error_rate(found), right]

    head = ["kind", "enrolled", "recognised", "own", "equal error rate", "at", "most similar is right"]
    return table(head, rows())


class Tried(msgspec.Struct, frozen=True):
    """What a threshold does over all channels: shares of windows."""

    threshold: float
    named: float
    right: float
    wrong: float


def tried(bench: Bench, margin: float) -> list[Tried]:
    """Each threshold, on the calibration side."""
    channels = [bench.heard("calibration", channel=channel) for channel in CHANNELS]

    def one(threshold: float) -> Tried:
        rules = Rules(threshold=threshold, margin=margin)
        found = [open_set(people, rules, USUAL, draws=DRAWS) for people in channels]
        members = sum(some.members for some in found)
        return Tried(
            threshold,
            named=sum(some.named for some in found) / sum(some.strangers for some in found),
            right=sum(some.right for some in found) / members,
            wrong=sum(some.wrong for some in found) / members,
        )

    return [one(threshold) for threshold in GRID]


def chosen(found: Sequence[Tried]) -> float:
    """The threshold that these figures ask for."""
    return min((one.threshold for one in found if one.named <= FEW), default=GRID[-1])


def thresholds(found: Sequence[Tried]) -> str:
    """As a table."""
    head = ["threshold", "strangers named", "own name", "another's name"]
    return table(
        head, ([f"{o.threshold:.2f}", f"{o.named:.2%}", f"{o.right:.1%}", f"{o.wrong:.2%}"] for o in found)
    )


def strangers(bench: Bench, rules: Rules) -> str:
    """The held-out side: three enrolled, and windows of a fourth and of one of the three."""

    def rows() -> Iterator[list[object]]:
        for seconds, channel in [*((USUAL, channel) for channel in CHANNELS), (5.0, AS_RECORDED)]:
            people = bench.heard("held out", seconds=seconds, channel=channel)
            once = open_set(people, rules, seconds)
            often = open_set(people, rules, seconds, draws=OFTEN)
            if not often.members:
                continue
            yield [
                f"{seconds:g} s",
                channel,
                f"{once.named} of {once.strangers}",
                share(once.named, once.strangers),
                f"{often.named / often.strangers:.2%}",
                f"{often.worst[0]} {often.worst[1]:.1%}",
                f"{often.right / often.members:.1%}",
                f"{often.wrong / often.members:.2%}",
            ]

    head = [
        "window",
        "channel",
        "named",
        "rate",
        f"over {OFTEN} draws",
        "most often",
        "own name",
        "another's name",
    ]
    return table(head, rows())


def plot(found: Scores, threshold: float) -> str:
    """How scores are distributed, in percent of the trials of a kind."""
    edges = np.arange(0.3, 1.0001, 0.05)
    series: dict[str, list[float | None]] = {}
    for name, some in (("same voice", found.own), ("another's", found.other)):
        counts, _ = np.histogram(some, edges)
        series[name] = [float(100 * count / max(1, len(some))) if count else None for count in counts]
    title = f"Similarity of 3 s windows to enrolled voices, % of trials; named from {threshold:g}"
    return bars(title, [f"{edge:.2f}" for edge in edges[:-1]], series)


def cost(encoder: VoiceEncoder) -> str:
    """CPU per second of speech, one utterance of 10 s at a time, and the same without its neighbours."""
    pcm = read_wav(Path(__file__).parents[1] / "tests" / "audio" / "voices" / "two-cities.wav")[0][
        : 10 * RATE
    ]

    def rows() -> Iterator[list[object]]:
        for name, rate in (("recognise (1.3 windows/s)", 1.3), ("tell apart (2 windows/s)", 2.0)):
            encoder.voice(pcm, rate)
            began = time.process_time()
            for _ in range(5):
                encoder.voice(pcm, rate)
            yield [name, f"{1e3 * (time.process_time() - began) / 50:.1f}"]

    return table(["what for", "ms of CPU per second of speech"], rows())


def written(bench: Bench, encoder: VoiceEncoder, rules: Rules) -> str:
    """The whole report, Markdown."""
    found = tried(bench, rules.margin)
    packages = table(
        ["package", "version", "licence"], ([one.name, one.version, one.licence] for one in PACKAGES)
    )
    return "\n".join(
        [
            "# Voices\n",
            *machine(),
            f"\nThe defaults: threshold {rules.threshold:g}, margin {rules.margin:g}. Intervals: Clopper and Pearson, "
            "95 %, by windows, which do not overlap; windows of one person are not quite independent.\n",
            "## Whose speech\n",
            who(bench.everybody),
            packages,
            "## By length of the window\n",
            f'Enrolled and recognised {AS_RECORDED}. "At" is the threshold with this error rate.\n',
            by_length(bench),
            f"## Different channels, {USUAL:g} s, held out\n",
            by_channel(bench),
            f"## Thresholds, {USUAL:g} s, calibration, all channels\n",
            "Three are enrolled; of a fourth's windows some are named, of one of the three's some get their name. "
            f"The least with no more than {FEW:.1%} of strangers named is {chosen(found):g}.\n",
            thresholds(found),
            "## Three are enrolled, a fourth speaks: held out\n",
            strangers(bench, rules),
            "## Cost\n",
            cost(encoder),
            "![scores](speaker.svg)\n",
        ]
    )


def main() -> None:
    """Hear everybody, print the report and write it."""
    encoder = VoiceEncoder.load()
    hearing = Hearing(encoder, FOLDER)
    bench = Bench(hearing, list(people()))
    report = written(bench, encoder, Rules())
    hearing.keep()
    print(report)
    sides = ("held out", "calibration")
    told = next(
        found for side in sides if (found := scores(bench.heard(side, kinds=("talk", "words")))).other
    )
    REPORT.mkdir(exist_ok=True)
    (REPORT / "speaker.md").write_text(report)
    (REPORT / "speaker.svg").write_text(plot(told, Rules().threshold))


if __name__ == "__main__":
    main()
