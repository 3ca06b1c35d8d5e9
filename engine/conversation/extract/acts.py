"""What a clause does: commit its speaker, ask another, offer, suggest, or none of these.

Only the first and second person bind anybody here: "he'll send it" is news, "I'll send it" a commitment. What is
hypothetical ("if I had", "I'd"), past ("I was going to"), reported ("she said you must") or refused ("I won't") is no
act. A strong act is one by itself; a weak one counts only once somebody takes it up.
"""

import re
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from engine.conversation.extract._english import (
    FILLERS,
    FUNCTION_WORDS,
    GENERIC_VERBS,
    IDIOMS,
    LOOSE_IMPERATIVES,
    NO_VERBS,
    NOT_TASKS,
    ON_THE_SPOT,
    TASK_VERBS,
)
from engine.conversation.extract.frames import ADVERB, FRAMES, VERB, Kind
from engine.conversation.extract.utterances import WORD, Clause


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """`phrase` begins with the verb, at `start` of the utterance.

    `plural`: said of "us". `bare`: an order without a subject, or one more verb after a comma. `generic`: said of
    "you", which may mean anybody. `dated`: only a day makes it more than a description ("you return it by Monday").
    """

    kind: Kind
    strong: bool
    phrase: str
    start: int
    end: int
    clause: int
    plural: bool = False
    bare: bool = False
    generic: bool = False
    dated: bool = False


_PROGRESSIVE = re.compile(r"i(?:'m| am|'ll be| will be)~(?P<verb>[a-z]+ing)\b".replace("~", f" {ADVERB}"))
_APPOINTMENTS = LOOSE_IMPERATIVES | {"visit", "study", "teach", "travel", "learn"}
"""What one is doing on a day is in the calendar, not on a list."""

_WHO = re.compile(
    r"who(?:'s going to|'ll| will| can| could| wants to| is going to| would|'s| is)?~(?P<verb>[a-z]+)".replace(
        "~", f" {ADVERB}"
    )
)
_YOU_DO = re.compile(rf"you {ADVERB}{VERB}")
_IMPERATIVE = re.compile(
    rf"(?:please )?{ADVERB}(?:all of you |everybody |everyone |you all |both of you )?{ADVERB}{VERB}"
)
_FORGET_THING = re.compile(r"(?:please )?(?:don't|do not) forget(?: about)? (?P<verb>the|your|my|our)")
_WHAT_I_NEED = re.compile(r"what i(?: do| really| still)? (?:need|have) to (?P<verb>\w+) is")
_STATEMENT = re.compile(
    r"\b(?:is|are|was|were|has|had|will|would|isn't|wasn't|looks?|seems?|works?|did|does)\b"
)
_GO_TASK = re.compile(r"(?:go and |go |come )(?P<verb>(?!ing)[a-z]+?)(?:p?ing)?\b")
_HAVE_READY = re.compile(r"have\b.{2,60}\b(?:ready|done|finished|sent|to you|for you|by)\b")
_LOOK_TASK = re.compile(
    r"(?:look (?:for|into|up|after|at)|see (?:if|whether|to it)|manage to|end up|come up with)\b"
)
_AT_ONCE = re.compile(
    r"\b(?:right now|for a (?:second|moment|minute)|one moment|page \w+|this down"
    r"|your (?:hands?|phones?|books?|eyes|mouth|seats?))\b|\bnow$"
)


def act_of(clause: Clause, number: int, names: frozenset[str] = frozenset()) -> Act | None:
    """The act of a clause that is neither reported nor hypothetical; None when there is none.

    `names` are those of the participants, in small letters.
    """
    text = clause.text.lower().replace("’", "'")
    if len(text) != len(clause.text):
        return None
    if names and (match := _assigned(names).match(text)) is not None and match["verb"] in TASK_VERBS:
        return _act(clause, number, Kind.REQUEST, True, match.start("verb"), False)
    begin = _begin(text, names)
    if clause.link == "so" and text.startswith("i can", begin):
        return None
    for kind, strong, frame in FRAMES:
        match = frame.match(text, begin)
        if match and kind is Kind.REQUEST and _CHOICE.match(text, begin):
            return None
        if match and kind is Kind.COMMITMENT and _ROUTINE.search(text):
            return None
        if match and _is_task(text, match.start("verb"), kind):
            return _framed(clause, number, kind, strong, match)
    return _other_act(clause, number, text, begin)


@lru_cache(maxsize=64)
def _assigned(names: frozenset[str]) -> re.Pattern[str]:
    """A participant as the subject: "Tom to send the deck", "Tom will send it"."""
    called = "|".join(re.escape(name) for name in sorted(names))
    return re.compile(
        rf"(?:{called})(?:'ll| will|'s going to| is going to| has to| needs to| to) {ADVERB}{VERB}"
    )


def _framed(clause: Clause, number: int, kind: Kind, strong: bool, match: re.Match[str]) -> Act:
    """The act of a turn of phrase; a commitment to something that is not known as a task is a weak one."""
    verb = match["verb"]
    known = kind is not Kind.COMMITMENT or verb in TASK_VERBS | GENERIC_VERBS | NOT_TASKS
    sure = strong and known and not _only_said(match)
    act = _act(clause, number, kind, sure, match.start("verb"), bool(match.groupdict().get("we")))
    with_day = match[0].startswith("i can") or match[0].endswith("know")
    return replace(act, generic=match[0].startswith("you"), dated=with_day)


def _only_said(match: re.Match[str]) -> bool:
    """Advice to oneself ("I should") and what is done at once ("let me look") need a day to be more than that."""
    return match[0].startswith(("let me", "i should"))


def _other_act(clause: Clause, number: int, text: str, begin: int) -> Act | None:
    if (match := _WHO.match(text, begin)) is not None and match["verb"] in TASK_VERBS | {"do", "does"}:
        return _act(clause, number, Kind.REQUEST, False, match.start("verb"), False)
    if (match := _WHAT_I_NEED.match(text, begin)) is not None:
        phrase = f"{match['verb']}{clause.text[match.end() :]}"
        act = _act(clause, number, Kind.COMMITMENT, True, match.start("verb"), False)
        return replace(act, phrase=phrase)
    if (match := _PROGRESSIVE.match(text, begin)) is not None and _base(
        match["verb"]
    ) in TASK_VERBS - _APPOINTMENTS:
        act = _act(clause, number, Kind.COMMITMENT, False, match.start("verb"), False)
        rest = clause.text[match.end() :]
        return replace(act, phrase=f"{_base(match['verb'])}{rest}")
    if (match := _FORGET_THING.match(text, begin)) is not None:
        act = _act(clause, number, Kind.REQUEST, True, match.start("verb"), False)
        return replace(act, phrase=f"remember {act.phrase}")
    if (
        (match := _YOU_DO.match(text, begin)) is not None
        and match["verb"] in TASK_VERBS
        and clause.link in ("", "and")
    ):
        act = _act(clause, number, Kind.REQUEST, False, match.start("verb"), False)
        return replace(act, generic=True, dated=True)
    match = _IMPERATIVE.match(text, begin)
    if match is not None and match["verb"] in TASK_VERBS | {"do", "don't"} and clause.link != "if":
        return _imperative(clause, number, text, match)
    return None


def _imperative(clause: Clause, number: int, text: str, match: re.Match[str]) -> Act | None:
    """An order. Nouns that look like verbs are told by the verb that follows ("work is fine")."""
    verb_at = match.start("verb")
    rest = text[match.end() :].split()
    if match["verb"] == "don't" or not _is_task(text, verb_at, Kind.REQUEST):
        return None
    if clause.stop.startswith("?") or _STATEMENT.search(" ".join(rest[:4])) or not rest:
        return None
    for_whom = _FOR_US.search(text, verb_at) is not None
    act = _act(
        clause, number, Kind.REQUEST, for_whom or match["verb"] not in LOOSE_IMPERATIVES, verb_at, False
    )
    if match["verb"] == "do" and rest[0] not in ("it", "that", "this", "the", "your"):
        return None
    return replace(act, bare=True)


_ROUTINE = re.compile(
    r"\b(?:every (?:single )?(?:day|week|morning|night|year|month|time|weekend)|always|usually|often"
    r"|sometimes|all the time)\b"
)
_CHOICE = re.compile(r"(?:will|would|can|could) you .* or ")
_FOR_US = re.compile(r"\b(?:me|us|my|our)\b|^please\b")


def _act(clause: Clause, number: int, kind: Kind, strong: bool, verb_at: int, plural: bool) -> Act:
    return Act(
        kind=kind,
        strong=strong,
        phrase=clause.text[verb_at:],
        start=clause.start + verb_at,
        end=clause.end,
        clause=number,
        plural=plural,
    )


def _begin(text: str, names: frozenset[str]) -> int:
    """Where the clause begins once fillers and the name of who is spoken to are left out."""
    begin = 0
    for match in WORD.finditer(text):
        word = match[0]
        if word == "let" or (word not in FILLERS and word not in names):
            return match.start()
        if word in ("like", "look", "listen") and text[match.end() :].startswith(
            (" for", " at", " into", " to")
        ):
            return match.start()
        begin = match.end()
    return begin


def _is_task(text: str, verb_at: int, kind: Kind) -> bool:
    """Whether the verb at this place is something to do later."""
    match = WORD.match(text, verb_at)
    if match is None:
        return False
    verb, rest = match[0], text[verb_at:]
    if verb in NO_VERBS and kind is not Kind.NEED:
        return False
    if kind is Kind.NEED:
        return _DEFINITE.search(rest) is not None
    if kind is Kind.DELIVERY:
        return len(rest.split()) > 1
    if rest.startswith(("let me know", "let us know")):
        return True
    if _AT_ONCE.search(rest) or (kind is Kind.REQUEST and verb in ON_THE_SPOT):
        return False
    if IDIOMS.match(rest):
        return False
    if verb in NOT_TASKS:
        go = _GO_TASK.match(rest)
        return bool(
            _HAVE_READY.match(rest) or _LOOK_TASK.match(rest) or (go is not None and go["verb"] in TASK_VERBS)
        )
    if verb not in TASK_VERBS and not content_of(rest):
        return False
    return not (
        verb in ("tell", "ask", "give", "show")
        and rest.split()[1:3] in (["you", "what"], ["you", "something"])
    )


_DEFINITE = re.compile(r"need (?:all )?(?:your|the|those|these|that|it|them)\b|from you\b")


def content_of(rest: str) -> bool:
    """Whether anything with a meaning follows the verb."""
    return any(word not in FUNCTION_WORDS for word in WORD.findall(rest)[1:])


def _base(verb: str) -> str:
    """The base form of a present participle, if it is a task."""
    stem = verb.removesuffix("ing")
    for base in (stem, stem + "e", stem[:-1]):
        if base in TASK_VERBS:
            return base
    return verb
