"""Whose voice it is, among those who are known; nobody's is an answer. Pure functions.

An utterance is given to the person it is most similar to if three things hold: there is speech enough, the similarity
reaches a threshold, and it is ahead of the second-best by a margin (the voices of one family on one telephone line are
alike; a name that is a coin toss is worse than none). What was compared is kept with the decision, so that whoever asks
why can be told.

Of several speakers who were told apart a person is at most one (`at_most_one`): whose voice is most like theirs. Voices
as like to within the margin may be one that was split, and keep the name both. Whom somebody has named wins over
another voice that said less; whoever names one who said little says that they are the person, too.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec.structs import replace

from engine.speaker.embedding import Floats, Voice, similarity

__all__ = [
    "LEAST_SECONDS",
    "MARGIN",
    "OWNER",
    "THRESHOLD",
    "Decision",
    "Known",
    "Rules",
    "Spoken",
    "at_most_one",
    "decide",
]

OWNER = "user"
"""The id of the user among those they know, as on the wire."""

LEAST_SECONDS = 2.5
"""Less speech says too little: at 1.6 s the similarities of one voice and of two overlap."""

THRESHOLD = 0.84
"""The least at which none of the calibration side's strangers is named, over five channels (`python -m bench speaker`;
`bench/report/speaker.md`). It is dear: of 3 s windows of those who are known 92 % reach it as recorded, 65 % by
telephone, 15 % with noise at 15 dB. 0.78, at which 1 in 1,000 windows of those strangers is named, and 93 % of one's
own by telephone, was tried: of the strangers held out it named 6 of 593 windows, most of them one person's, and 5 of
347 of 5 s."""
MARGIN = 0.03

Verdict = Literal["match", "too_short", "nobody_known", "too_different", "too_close", "outdone", "assigned"]
"""Why: somebody was recognised; less than `least_seconds`; nobody to compare with; nobody reaches the threshold; the
runner-up is within the margin; another speaker's voice is more like `best`'s by more than the margin, or somebody has
said that they are `best`; somebody has said so, whatever the voice."""


class Known(msgspec.Struct, frozen=True):
    """Somebody whose voice is known: the mean direction of what was enrolled of them."""

    id: str
    vector: Floats


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """When a voice is somebody's; the defaults were calibrated by `python -m bench speaker`."""

    threshold: float = THRESHOLD
    margin: float = MARGIN
    least_seconds: float = LEAST_SECONDS


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who spoke (None: unknown) and what it was decided by. Scores are similarities, 0 … 1; None without anybody.

    `best` and `runner_up` are ids; `seconds` of speech were heard. None where no voice decided. `better`: the label of
    the speaker who is `best` rather than this one, of one who is `outdone`.
    """

    person: str | None
    verdict: Verdict
    best: str | None = None
    score: float | None = None
    runner_up: str | None = None
    runner_up_score: float | None = None
    threshold: float | None = None
    margin: float | None = None
    seconds: float = 0.0
    better: str | None = None


def decide(voice: Voice, known: Sequence[Known], rules: Rules) -> Decision:
    """Who of `known` it is, if anybody."""
    ranked = sorted(((similarity(voice.vector, one.vector), one.id) for one in known), reverse=True)
    verdict: Verdict = "match"
    if not ranked:
        verdict = "nobody_known"
    elif voice.seconds < rules.least_seconds:
        verdict = "too_short"
    elif ranked[0][0] < rules.threshold:
        verdict = "too_different"
    elif len(ranked) > 1 and ranked[0][0] - ranked[1][0] < rules.margin:
        verdict = "too_close"
    score, best = ranked[0] if ranked else (None, None)
    second, runner_up = ranked[1] if len(ranked) > 1 else (None, None)
    return Decision(
        person=best if verdict == "match" else None,
        verdict=verdict,
        best=best,
        score=None if score is None else round(score, 4),
        runner_up=runner_up,
        runner_up_score=None if second is None else round(second, 4),
        threshold=rules.threshold,
        margin=rules.margin,
        seconds=round(voice.seconds, 2),
    )


class Spoken(msgspec.Struct, frozen=True):
    """What there is of one speaker: so many seconds; `voice` is what was heard of it, perhaps nothing."""

    seconds: float
    voice: Voice


NOBODY_NAMED: Mapping[str, str] = MappingProxyType({})
NOTHING_SPOKEN: Mapping[str, Spoken] = MappingProxyType({})


def at_most_one(
    decisions: Mapping[str, Decision],
    rules: Rules,
    by_hand: Mapping[str, str] = NOBODY_NAMED,
    spoken: Mapping[str, Spoken] = NOTHING_SPOKEN,
) -> dict[str, Decision]:
    """What was decided of speakers who were told apart, by label, without names that are another speaker's.

    `by_hand`: the persons whom somebody has said speakers are, by label; it takes what they have `spoken` to tell
    whether another voice is another. Who was `outdone` before is looked at anew, so that the name is theirs again once
    nobody is better.
    """
    claims = {
        label: (one.best, one.score)
        for label, one in decisions.items()
        if one.verdict in ("match", "outdone") and one.best is not None and one.score is not None
    }
    better = {
        label: named
        for named, whom in by_hand.items()
        for label, (person, _) in claims.items()
        if person == whom and label != named and _wins(spoken.get(named), spoken.get(label), rules)
    }
    ahead: dict[str, tuple[float, str]] = {}
    for label, (person, score) in claims.items():
        if label not in better:
            ahead[person] = max(ahead.get(person, (score, label)), (score, label), key=lambda one: one[0])
    for label, (person, score) in claims.items():
        if label not in better and ahead[person][0] - score > rules.margin:
            better[label] = ahead[person][1]
    weighed = dict(decisions)
    for label, (person, _) in claims.items():
        who, verdict = (None, "outdone") if label in better else (person, "match")
        weighed[label] = replace(decisions[label], person=who, verdict=verdict, better=better.get(label))
    return weighed


def _wins(named: Spoken | None, other: Spoken | None, rules: Rules) -> bool:
    """Whether one whom somebody has named is surely not the other, and said more."""
    if named is None or other is None or named.seconds <= other.seconds:
        return False
    enough = min(named.voice.seconds, other.voice.seconds) >= rules.least_seconds
    return enough and similarity(named.voice.vector, other.voice.vector) < rules.threshold
