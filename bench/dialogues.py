"""Speakers told apart by voice in conversations put together from recordings: how much goes to the wrong one.

    python -m bench dialogues

Everybody of whom there is a minute of running speech (`bench.voices`), alone and with each other of the same side, as
recorded and over a telephone line: ten utterances, in each up to nine stretches of 0.3 to 6 s, with pauses of 0.1 to
0.4 s between them; the other speaks from then on at every second turn. What a stretch sounds like, and whose it is, is
found as in a session (`engine.listen.speakers`), only that nobody finds the words first. `engine.speaker.diarization`
was set by the calibration side. The report is `bench/report/dialogues.md`.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np

from bench.machine import machine
from bench.speaker import table
from bench.voices.channels import AS_RECORDED, CHANNELS, TELEPHONE
from bench.voices.people import RATE, Person, Samples, people
from engine.listen.speakers import RATE as WINDOWS
from engine.speaker.diarization import Atom, Diarizer, heard_span
from engine.speaker.embedding import Floats, VoiceEncoder
from engine.speaker.roster import Roster
from engine.testing.diarization import SpeakerTurn, diarization_error

__all__ = ["main"]

REPORT = Path(__file__).parent / "report" / "dialogues.md"
ENOUGH = 60 * RATE
"""Samples of somebody's running speech."""
UTTERANCES = 10


class Heard(msgspec.Struct, frozen=True):
    """An utterance: its stretches, what each sounds like, and who speaks, by their place in the conversation."""

    stretches: list[Atom]
    vectors: list[Floats]
    speakers: list[int]


class Told(msgspec.Struct, frozen=True):
    """The share of speech given to the wrong one under the best assignment, and how many speakers were found."""

    wrong: float
    found: int


class Conversation:
    """Made of some people's speech; the same each time."""

    def __init__(self, speech: Sequence[Samples], seed: int) -> None:
        self._speech = speech
        self._random = np.random.default_rng(seed)
        self._at = [int(self._random.uniform(0, 20)) * RATE for _ in speech]
        self._speaker = 0

    def utterances(self, encoder: VoiceEncoder) -> Iterator[Heard]:
        """One after another."""
        for _ in range(UTTERANCES):
            yield self._utterance(encoder)

    def _utterance(self, encoder: VoiceEncoder) -> Heard:
        pcm: list[Samples] = []
        stretches: list[Atom] = []
        speakers: list[int] = []
        end = 0
        for _ in range(self._random.integers(1, 4)):
            if self._random.random() < 0.5:
                self._speaker = (self._speaker + 1) % len(self._speech)
            for _ in range(self._random.integers(1, 4)):
                said = self._said(int(np.clip(self._random.lognormal(0.35, 0.75), 0.3, 6) * RATE))
                pause = np.zeros(int(self._random.uniform(0.1, 0.4) * RATE), np.int16)
                stretches.append(Atom(len(stretches), len(stretches) + 1, end, end + len(said)))
                speakers.append(self._speaker)
                pcm += [said, pause]
                end += len(said) + len(pause)
        whole = np.concatenate(pcm)
        spans = [heard_span(stretch, 0, len(whole)) for stretch in stretches]
        vectors = [encoder.voice(whole[first:last], WINDOWS).vector for first, last in spans]
        return Heard(stretches, vectors, speakers)

    def _said(self, samples: int) -> Samples:
        speech = self._speech[self._speaker]
        if self._at[self._speaker] + samples > len(speech):
            self._at[self._speaker] = 0
        first = self._at[self._speaker]
        self._at[self._speaker] += samples
        return speech[first : first + samples]


def told(heard: Sequence[Heard]) -> Told:
    """Whose each stretch is taken for, and whose it is."""
    diarizer = Diarizer(Roster())
    numbers: list[int] = []
    for one in heard:
        labels = diarizer.label(one.stretches, one.vectors)
        numbers = [labels.merged.get(number, number) for number in [*numbers, *labels.numbers]]
    speakers = [speaker for one in heard for speaker in one.speakers]
    stretches = [stretch for one in heard for stretch in one.stretches]
    error = diarization_error(_turns(stretches, speakers), _turns(stretches, numbers))
    return Told(error.rate, error.speakers)


def _turns(stretches: Sequence[Atom], speakers: Sequence[int]) -> list[SpeakerTurn]:
    """The stretches one after another."""
    ends = np.cumsum([stretch.seconds for stretch in stretches])
    return [
        SpeakerTurn(end - stretch.seconds, end, str(speaker))
        for end, stretch, speaker in zip(ends, stretches, speakers, strict=True)
    ]


def rows(encoder: VoiceEncoder, everybody: Sequence[Person]) -> Iterator[list[object]]:
    """Of each side, channel and number of speakers."""
    for side in ("calibration", "held out"):
        some = [one for one in everybody if one.side == side]
        for channel in (AS_RECORDED, TELEPHONE):
            speech = {one.name: CHANNELS[channel](_all_of(one)) for one in some}
            for count in (1, 2):
                groups = list(combinations(speech, count))
                if not groups:
                    continue
                results = [
                    told(list(Conversation([speech[name] for name in group], seed).utterances(encoder)))
                    for seed, group in enumerate(groups)
                ]
                wrong = [one.wrong for one in results]
                as_many = sum(one.found == count for one in results)
                yield [
                    side,
                    channel,
                    count,
                    len(groups),
                    f"{np.mean(wrong):.1%}",
                    f"{max(wrong):.1%}",
                    f"{as_many} of {len(groups)}",
                    max(one.found for one in results),
                ]


def _all_of(person: Person) -> Samples:
    return person.heard if person.enrol is None else np.concatenate([person.heard, person.enrol])


def main() -> None:
    """Hear everybody, print the report and write it."""
    everybody = [one for one in people() if one.kind == "talk" and len(_all_of(one)) >= ENOUGH]
    head = ["side", "channel", "speakers", "conversations", "wrong", "at most", "as many found", "most found"]
    report = "\n".join(
        [
            "# Speakers told apart\n",
            *machine(),
            f"\nConversations of {UTTERANCES} utterances put together from recordings of "
            f'{", ".join(one.name for one in everybody)}; "wrong" is the share of speech given to the wrong one.\n',
            table(head, rows(VoiceEncoder.load(), everybody)),
        ]
    )
    print(report)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report)


if __name__ == "__main__":
    main()
