"""What one could put into a calendar: a day, and mostly a time, that was stated or agreed."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import msgspec

from engine.conversation.extract._english import ACCEPTS, FILLERS, FUNCTION_WORDS, TASK_VERBS
from engine.conversation.extract._lexicon import EVENT_NOUNS
from engine.conversation.extract.acts import act_of
from engine.conversation.extract.drafts import content_words
from engine.conversation.extract.modality import bound
from engine.conversation.extract.utterances import WORD, Utterance
from engine.conversation.extract.when import When
from engine.conversation.structured import DEFAULT_EVENT_MINUTES, Event, Transcript

WHOLE_DAY = 24 * 60
REACH = 3

_ARRANGES = re.compile(
    r"\b(?:see you|let's (?:meet|talk|see|do|put|book)|meet(?:ing)?|come (?:to|over|back)|same time|works"
    r"|is fine|is good|how about"
    r"|what about|shall we|does that work|moves? to|moved to|is on|will be on|are coming|we're coming"
    r"|it's on|starts at|will be at)\b"
)
_MEETS = re.compile(r"\b(?:see you|let's (?:meet|talk|do)|meet(?:ing)?)\b")
_AGREES = re.compile(r"\b(?:works|is fine|is good|is perfect|it is|i'm in|sounds good|that's good|then)\b")
_LASTS = re.compile(
    r"\b(?:takes?|lasts?|for)(?: about)? (?P<count>an|half an|one|two|three|fifteen|twenty|thirty"
    r"|forty-five|sixty|ninety|[0-9]+)"
    r" (?P<unit>minutes?|hours?)\b"
)
_MINUTES = {"an": 1.0, "half an": 0.5, "one": 1, "two": 2, "three": 3, "fifteen": 15, "twenty": 20, "thirty": 30,
            "forty-five": 45, "sixty": 60, "ninety": 90}  # fmt: skip
_DISAGREES = re.compile(r"\b(?:but|can't|not|don't|won't|bad|busy|no)\b|\?")
_DEADLINE = re.compile(
    r"\b(?:by|before|until|due|deadline|no later than|from|since|starting|end of)\s*(?:the )?$"
)


class Proposal(msgspec.Struct, kw_only=True):
    """An event that was spoken of; `agreed` once it was stated as a fact or accepted.

    `rough`: its time was only called the same as this one's.
    """

    title: str
    when: When
    at: int
    agreed: bool
    sentence: str
    minutes: int | None = None
    rough: bool = False


def events(said: Sequence[Utterance], transcript: Transcript) -> tuple[Event, ...]:
    """Events in the order in which they came up, one for each start."""
    began = transcript.started_at.astimezone(transcript.time_zone).time().replace(second=0, microsecond=0)
    proposals: list[Proposal] = []
    for i, utterance in enumerate(said):
        _hear(proposals, utterance, said[max(i - REACH, 0) : i], began)
    found: dict[datetime, Event] = {}
    for proposal in proposals:
        if proposal.agreed:
            event = _event(proposal, transcript.time_zone)
            found.setdefault(event.start, event)
    return tuple(found.values())


def _hear(proposals: list[Proposal], utterance: Utterance, before: Sequence[Utterance], began: time) -> None:
    small = utterance.text.lower().replace("’", "'")
    times = [
        when for when in utterance.times if not when.vague and (not when.dayless or _MEETS.search(small))
    ]
    last = proposals[-1] if proposals and utterance.index - proposals[-1].at <= 2 else None
    if last is not None and not last.agreed:
        _answer(last, small, times, utterance.index)
    for number, binds in enumerate(bound(utterance.parts)):
        part = utterance.parts[number]
        here = [when for when in times if part.start <= when.start < part.end]
        if not binds or not here or _DEADLINE.search(small[: here[0].start]):
            continue
        proposal = _proposal(utterance, number, here[0], before, last, began)
        if proposal is not None:
            _keep(proposals, proposal)
    lasts = _LASTS.search(small)
    if lasts is not None and proposals and utterance.index - proposals[-1].at <= 2:
        proposals[-1].minutes = _minutes(lasts)


def _keep(proposals: list[Proposal], proposal: Proposal) -> None:
    """One for each day and time; the time of day completes a day named before."""
    for other in proposals:
        if other.when.day != proposal.when.day:
            continue
        open_time = other.when.clock is None or other.rough
        if open_time or proposal.when.clock in (None, other.when.clock):
            other.when, other.rough = (proposal.when, proposal.rough) if open_time else (other.when, False)
            other.agreed = other.agreed or proposal.agreed
            return
    proposals.append(proposal)


def _answer(last: Proposal, small: str, times: Sequence[When], at: int) -> None:
    """A yes agrees to what was proposed; another day with it moves it."""
    moved = [
        when for when in times if when.day != last.when.day or (when.clock and when.clock != last.when.clock)
    ]
    if moved:
        last.when = msgspec.structs.replace(moved[-1], clock=moved[-1].clock or last.when.clock)
        last.at = at
        last.agreed = _AGREES.search(small) is not None
    elif not _DISAGREES.search(small) and (times or ACCEPTS.match(small) or _AGREES.search(small)):
        last.agreed = True


def _proposal(
    utterance: Utterance,
    number: int,
    when: When,
    before: Sequence[Utterance],
    last: Proposal | None,
    began: time,
) -> Proposal | None:
    parts = utterance.parts
    part = parts[number]
    same = [p for p in parts if p.sentence == part.sentence]
    sentence = " ".join(p.text for p in same)
    arranged = _ARRANGES.search(sentence.lower()) is not None
    rough = when.clock is None and "same time" in sentence.lower()
    if rough:
        when = msgspec.structs.replace(when, clock=began)
    elsewhere = any(
        p is not part and p.start <= other.start < p.end for p in same for other in utterance.times
    )
    noun = event_title(part.text) or ("" if elsewhere else event_title(sentence))
    if when.clock is None and (not noun or act_of(part, number) is not None):
        return None
    asks_only = (
        when.clock is not None
        and part.stop.startswith("?")
        and not content_words(part.text[: when.start - part.start])
    )
    if not noun and (arranged or asks_only):
        texts = [earlier.text for earlier in before] + [utterance.text[: part.start]]
        noun = next((found for text in reversed(texts) if (found := event_title(text))), "")
        noun = noun or (last.title if last is not None else "Appointment")
    if not noun:
        return None
    asked = any(p.stop.startswith("?") for p in parts if part.sentence <= p.sentence <= part.sentence + 1)
    return Proposal(
        title=noun, when=when, at=utterance.index, agreed=not asked, sentence=utterance.text, rough=rough
    )


def event_title(text: str) -> str:
    """The noun of an event with the words that belong to it, capitalised; empty without one.

    Many of these nouns are verbs, too: what has neither a determiner nor another noun before it is none, unless the
    clause begins with it and its verb follows.
    """
    words = WORD.findall(text)
    for i, word in enumerate(words):
        if word.lower().removesuffix("'s") not in EVENT_NOUNS:
            continue
        before = words[i - 1].lower() if i else ""
        before = "" if before in FILLERS else before
        follows = words[i + 1].lower() if i + 1 < len(words) else ""
        if before in FUNCTION_WORDS and before not in _DETERMINERS:
            continue
        if (not before and follows in _OBJECTS) or (before in TASK_VERBS and follows in _OBJECTS):
            continue
        begin = i
        while begin > 0 and i - begin < 2 and words[begin - 1].lower() not in FUNCTION_WORDS | TASK_VERBS:
            begin -= 1
        end = i + 1
        while end < len(words) and words[end].lower() in EVENT_NOUNS:
            end += 1
        chosen = " ".join(words[begin:end])
        return chosen[:1].upper() + chosen[1:]
    return ""


_DETERMINERS = frozenset("the a an my our your his her their this that next another no for and one".split())  # noqa: SIM905
_OBJECTS = frozenset("you me him her it them us the my your our his that this with".split())  # noqa: SIM905


def _event(proposal: Proposal, zone: ZoneInfo) -> Event:
    when = proposal.when
    assert when.day is not None, "only days are proposed"
    start = datetime.combine(when.day, when.clock or time(0), tzinfo=zone).astimezone(UTC)
    minutes = proposal.minutes or (WHOLE_DAY if when.clock is None else DEFAULT_EVENT_MINUTES)
    return Event(title=proposal.title, description=proposal.sentence, start=start, duration=minutes)


def _minutes(match: re.Match[str]) -> int:
    count = _MINUTES.get(match["count"]) or float(match["count"])
    return round(count * (60 if match["unit"].startswith("hour") else 1))
