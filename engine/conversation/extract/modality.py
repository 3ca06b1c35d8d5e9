"""Whether a clause is meant: not what somebody else said, not a condition, not what follows from one."""

import re
from collections.abc import Sequence

from engine.conversation.extract._english import FIRST_PERSON_FRAME, POLITE_IF, SAYING, words
from engine.conversation.extract.utterances import Clause


def bound(clauses: Sequence[Clause]) -> list[bool]:
    """Which clauses bind their speaker: those that are neither reported nor hypothetical."""
    binding = [True] * len(clauses)
    for i, clause in enumerate(clauses):
        text = clause.text.lower()
        if clause.link == "if" and polite_request(clauses, i):
            continue
        condition = clause.link in ("if", "unless", "whether") and not POLITE_IF.match(_condition(clauses, i))
        if condition or _SUPPOSES.match(text):
            _unbind(clauses, binding, i)
        if text.endswith("so that") or (text.endswith(" so") and not clause.stop):
            binding[i + 1 : i + 2] = [False] * len(binding[i + 1 : i + 2])
        if _DOUBTS.search(text) and i + 1 < len(clauses) and clauses[i + 1].sentence == clause.sentence:
            binding[i + 1] = False
        if i and _REPORTED_AFTER.match(text) and clauses[i - 1].sentence == clause.sentence:
            binding[i - 1] = False
        if _reports(text):
            binding[i] = False
            for j in _following(clauses, i):
                binding[j] = False
    return binding


def _condition(clauses: Sequence[Clause], i: int) -> str:
    """A condition with what a run-on transcript may have cut from it."""
    return " ".join(("if", clauses[i].text.lower(), *(c.text.lower() for c in clauses[i + 1 : i + 2])))


def _unbind(clauses: Sequence[Clause], binding: list[bool], i: int) -> None:
    """A condition makes what follows it and what it follows hypothetical, within the sentence."""
    binding[i] = False
    for j in _following(clauses, i):
        binding[j] = False
    before = i - 1
    if (
        before >= 0
        and clauses[i].link != "whether"
        and clauses[before].sentence == clauses[i].sentence
        and not clauses[before].stop
    ):
        binding[before] = False


def _following(clauses: Sequence[Clause], i: int) -> list[int]:
    """The clauses a report or a condition reaches: the sentence's, or without punctuation the next one."""
    same = [j for j in range(i + 1, len(clauses)) if clauses[j].sentence == clauses[i].sentence]
    run_on = len(same) > 3 and not any(clauses[j].stop for j in same[:-1])
    return [j for j in (same[:2] if run_on else same) if clauses[j].link not in ("so", "but")]


def _reports(text: str) -> bool:
    """Whether the clause says what somebody else said, or what the speaker said earlier."""
    match = SAYING.search(text)
    if match is None or FIRST_PERSON_FRAME.search(text):
        return False
    before = text[: match.start()].split()
    if match[0].endswith((" like", "goes", " says", " said")):
        return True
    if not before:
        return match[0] in ("quote", "said", "says")
    if before[-1] in _NOT_A_SUBJECT:
        return False
    mine = before[0] in ("i", "i'll", "we", "i've", "i'd", "i'm")
    return not mine or match[0] in ("said", "told", "promised", "swore")


_NOT_A_SUBJECT = words("before_no_report")
_SUPPOSES = re.compile(r"(?:suppose|imagine|let's say|say you|what if)\b")
_DOUBTS = re.compile(
    r"\b(?:i (?:don't|do not) (?:think|believe|know|suppose)|i doubt|not sure(?: if)?)$|^(?:maybe|perhaps)$"
)
_REPORTED_AFTER = re.compile(
    r"(?:is what )?(?:he|she|they)(?: always| just)? (?:said|says|told|keeps? saying)\b"
)


def polite_request(parts: Sequence[Clause], number: int) -> bool:
    """Whether a condition only asks: "it would be great if you could", "I'd appreciate it if you"."""
    before = " ".join(part.text.lower() for part in parts[max(number - 1, 0) : number])
    asks = re.match(r"you (?:could|can|would)\b", parts[number].text.lower())
    return asks is not None and _WOULD_BE_NICE.search(before) is not None


_WOULD_BE_NICE = re.compile(
    r"\b(?:would|'d|'ll|will) (?:be|really be) (?:great|good|nice|lovely|helpful|perfect|wonderful"
    r"|amazing|awesome)"
    r"|appreciate|grateful|would help|'d help"
)
