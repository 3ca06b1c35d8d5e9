"""A summary of a day by rules, for where no language model is: real sentences, chosen, never made up.

Headline and overview come from what is kept of the conversations. Questions, decisions and insights are sentences
that were said, in English only: those with a turn of phrase that gives them away. Pure.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from engine.conversation.day_summary.document import (
    DEFAULT_HEADLINE,
    HIGHLIGHT_EMOJI,
    MOST_FINDINGS,
    MOST_HIGHLIGHTS,
    Decision,
    Highlight,
    Insight,
    Question,
)
from engine.conversation.day_summary.material import Day, Told
from engine.conversation.extract.summary import LONGEST, finished
from engine.conversation.llm.sift import shortened, similar
from engine.transcript.sentences import sentences

__all__ = ["Findings", "by_rules", "counted", "heaviest"]

HEADLINE_WORDS = 12
HIGHLIGHT_CHARACTERS = 300
OVERVIEW_CHARACTERS = 900
SHORTEST, SHORTEST_QUESTION = 5, 4
"""Words of a sentence that says something by itself."""

_DECIDED = re.compile(
    r"\b(?:(?:we|i)(?:'ve| have)? (?:decided|agreed|settled on|chose)\b|let's go (?:with|for)\b"
    r"|(?:we|i)(?:'ll| will|'re going to|'m going to) go (?:with|for)\b|(?:we're|i'm) going with\b"
    r"|(?:it's|that's|so it's) (?:decided|settled|agreed|a deal)\b|the decision is\b)",
    re.IGNORECASE,
)
_UNDECIDED = re.compile(
    r"\b(?:haven't|hasn't|have not|not|never|if|should|could|would|until|before|unless|whether|once|when|almost)\b",
    re.IGNORECASE,
)
_TOLD = re.compile(
    r"\b(?:it turns out|turns out|did you know|i (?:just |only )?(?:learned|learnt|found out)|apparently"
    r"|the (?:trick|key|secret|reason|point|rule of thumb|difference) (?:is|was|between)|studies (?:show|say)"
    r"|research (?:shows|says)|the best (?:way|time) to|is because|that's why|as a rule)\b",
    re.IGNORECASE,
)
_OPEN = re.compile(
    r"\b(?:we still (?:need|have) to (?:decide|find out|figure out)|i (?:still )?wonder (?:if|whether|how|why|what)"
    r"|open question|still (?:not clear|unclear|undecided)|(?:haven't|have not) decided)\b",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"\b(?:don't know|not (?:quite |really )?sure|no idea|have to (?:check|ask|look|think)|let me (?:check|ask|think)"
    r"|we'll see|good question|hard to say|can't say|who knows|get back to you|find out)\b",
    re.IGNORECASE,
)


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a day, besides what stands in the database about it. `emoji` None: nothing fits."""

    headline: str
    overview: str
    emoji: str | None = None
    highlights: tuple[Highlight, ...] = ()
    questions: tuple[Question, ...] = ()
    decisions: tuple[Decision, ...] = ()
    insights: tuple[Insight, ...] = ()


class _Sentence(msgspec.Struct, frozen=True):
    """A sentence, where its speaker's turn begins among the conversation's segments, and its conversation's id."""

    text: str
    turn: int
    conversation: str


def by_rules(day: Day) -> Findings:
    """What can be said of a day without a model."""
    told = heaviest(day.conversations, MOST_HIGHLIGHTS)
    english = [one for one in _by_weight(day.conversations) if _is_english(one.language)]
    questions = _different(s for one in english for s in _questions(one))
    decisions = _different(s for one in english for s in _sentences(one, _is_decision))
    insights = _different(s for one in english for s in _sentences(one, _is_insight))
    return Findings(
        headline=_headline(told),
        overview=_overview(day, told),
        highlights=tuple(_highlight(one) for one in told),
        questions=tuple(Question(question=s.text, conversation_id=s.conversation) for s in questions),
        decisions=tuple(Decision(decision=s.text, conversation_id=s.conversation) for s in decisions),
        insights=tuple(Insight(insight=s.text, conversation_id=s.conversation) for s in insights),
    )


def counted(day: Day) -> str:
    """The sentence that is true of every day."""
    count = day.stats.total_conversations
    return f"You had {count} conversation{'' if count == 1 else 's'} today."


def heaviest(conversations: Sequence[Told], most: int) -> list[Told]:
    """Those that were most of the day and have a title, in the order of the day."""
    titled = [one for one in _by_weight(conversations) if one.structured.title]
    kept = {one.id for one in titled[:most]}
    return [one for one in conversations if one.id in kept]


def _by_weight(conversations: Sequence[Told]) -> list[Told]:
    return sorted(conversations, key=lambda one: -one.weight)


def _is_english(language: str) -> bool:
    return language.lower().split("-")[0] in ("en", "multi", "auto")


def _headline(told: Sequence[Told]) -> str:
    titles = [one.structured.title for one in _by_weight(told)]
    for most in (3, 2, 1):
        chosen = titles[:most]
        text = " and ".join([", ".join(chosen[:-1]), chosen[-1]] if len(chosen) > 1 else chosen)
        if text and len(text.split()) <= HEADLINE_WORDS:
            return text
    return DEFAULT_HEADLINE


def _overview(day: Day, told: Sequence[Told]) -> str:
    overviews = [one.structured.overview for one in told if one.structured.overview]
    share = OVERVIEW_CHARACTERS // max(len(overviews), 1)
    return " ".join([counted(day), *(shortened(text, share) for text in overviews)])


def _highlight(one: Told) -> Highlight:
    return Highlight(
        topic=one.structured.title,
        emoji=one.structured.emoji or HIGHLIGHT_EMOJI,
        summary=shortened(one.structured.overview or one.structured.title, HIGHLIGHT_CHARACTERS),
        conversation_ids=(one.id,),
    )


def _different(found: Iterable[_Sentence]) -> list[_Sentence]:
    """The first few that do not say the same."""
    kept: list[_Sentence] = []
    for sentence in found:
        if len(kept) == MOST_FINDINGS:
            break
        if not any(similar(sentence.text, other.text) for other in kept):
            kept.append(sentence)
    return kept


def _sentences(one: Told, wanted: Callable[[str], bool]) -> Iterator[_Sentence]:
    for turn, segment in enumerate(one.segments):
        for text in sentences(segment.text):
            if len(text.split()) <= LONGEST and wanted(text.replace("’", "'")):
                yield _Sentence(finished(text), turn, one.id)


def _is_decision(text: str) -> bool:
    found = _DECIDED.search(text)
    words = len(text.split())
    return bool(
        found
        and words >= SHORTEST
        and not text.endswith("?")
        and not _UNDECIDED.search(text[: found.start()])
    )


def _is_insight(text: str) -> bool:
    return len(text.split()) > SHORTEST and not text.endswith("?") and _TOLD.search(text) is not None


def _questions(one: Told) -> Iterator[_Sentence]:
    """What was left open: said to be so, asked and met with no answer, or asked last of all."""
    for sentence in _sentences(one, _is_question):
        if not sentence.text.endswith("?") or _is_unanswered(one, sentence.turn):
            yield sentence


def _is_question(text: str) -> bool:
    return len(text.split()) >= SHORTEST_QUESTION and (text.endswith("?") or _OPEN.search(text) is not None)


def _is_unanswered(one: Told, turn: int) -> bool:
    asker = one.segments[turn].speaker
    replies = (later.text for later in one.segments[turn + 1 :] if later.speaker != asker)
    reply = next(replies, None)
    if reply is None:
        return len({segment.speaker for segment in one.segments}) > 1
    return _NO_ANSWER.search(reply.replace("’", "'")) is not None
