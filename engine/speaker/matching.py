"""Whose voice it is, among those who are known; nobody's is an answer. Pure functions.

An utterance is given to the person it is most similar to if three things hold: there is speech enough, the similarity
reaches a threshold, and it is ahead of the second-best by a margin (the voices of one family on one telephone line are
alike; a name that is a coin toss is worse than none). What was compared is kept with the decision, so that whoever asks
why can be told.

Of several speakers who were told apart a person is at most one (`at_most_one`): whose voice is most like theirs. Voices
as like to within the margin may be one that was split, and keep the name both.
"""

from collections.abc import Mapping, Sequence
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
runner-up is within the margin; another speaker's voice is more like `best`'s by more than the margin; somebody has said
so, whatever the voice."""


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


def at_most_one(decisions: Mapping[str, Decision], rules: Rules) -> dict[str, Decision]:
    """What was decided of speakers who were told apart, by label, without names that are another speaker's.

    Who was `outdone` before is looked at anew, so that the name is theirs again once nobody is better.
    """
    bests: dict[str, tuple[float, str]] = {}
    for label, decision in decisions.items():
        if (
            decision.verdict in ("match", "outdone")
            and decision.best is not None
            and decision.score is not None
        ):
            ahead = (decision.score, label)
            bests[decision.best] = max(bests.get(decision.best, ahead), ahead, key=lambda one: one[0])
    return {label: _against(decision, bests, rules) for label, decision in decisions.items()}


def _against(decision: Decision, bests: Mapping[str, tuple[float, str]], rules: Rules) -> Decision:
    """The decision, given whose voice is most like each person's."""
    if decision.verdict not in ("match", "outdone") or decision.best is None or decision.score is None:
        return decision
    score, label = bests[decision.best]
    if score - decision.score > rules.margin:
        return replace(decision, person=None, verdict="outdone", better=label)
    return replace(decision, person=decision.best, verdict="match", better=None)
