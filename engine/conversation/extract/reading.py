"""The acts of an utterance that bind somebody."""

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from engine.conversation.extract._english import TASK_VERBS
from engine.conversation.extract.acts import Act, act_of
from engine.conversation.extract.frames import Kind
from engine.conversation.extract.modality import bound
from engine.conversation.extract.utterances import Utterance
from engine.conversation.extract.when import When

_ADDRESS_WORDS = 3
"""Words of a piece that may only call somebody or say "okay"."""

_EXAMPLE = re.compile(r"for (?:example|instance)")


def acts_of(utterance: Utterance, names: frozenset[str]) -> list[Act]:
    """The acts that bind somebody. One more verb after a comma continues the act before it."""
    parts, times = utterance.parts, utterance.times
    binding = bound(parts)
    punctuated = any(part.stop for part in parts)
    found: list[Act] = []
    for i, part in enumerate(parts):
        act = act_of(part, i, names) if binding[i] else None
        if act is None or (i + 1 < len(parts) and _EXAMPLE.match(parts[i + 1].text.lower())):
            continue
        if act.kind is Kind.REQUEST and part.link == "if":
            act = replace(act, strong=True)
        if act.bare and punctuated and not part.text.lower().startswith("please"):
            last = found[-1] if found else None
            before = [p for p in parts[:i] if p.sentence == part.sentence]
            if last is not None and parts[last.clause].sentence == part.sentence:
                act = replace(act, kind=last.kind, strong=last.strong, plural=last.plural)
            elif any(len(p.words) > _ADDRESS_WORDS for p in before) and not part.link:
                continue
        found.extend(_parts_with_days(act, times))
    return found


def _parts_with_days(act: Act, times: Sequence[When]) -> list[Act]:
    """ "Print it today and post it tomorrow" is two acts; without two days it may well be one."""
    base = act.end - len(act.phrase)
    for match in re.finditer(r" and (?=(\w+) )", act.phrase):
        cut = base + match.start()
        days = [when.start < cut for when in times if base <= when.start < act.end]
        if match[1].lower() in TASK_VERBS and True in days and False in days:
            first = replace(act, phrase=act.phrase[: match.start()], end=cut)
            second = replace(act, phrase=act.phrase[match.end() :], start=base + match.end())
            return [first, second]
    return [act]


def addressed(utterance: Utterance, number: int, labels: Mapping[str, str]) -> str | None:
    """The label of who is called by name in the sentence of a clause, or just before it; None for nobody."""
    parts = utterance.parts
    for i, part in sorted(enumerate(parts), key=lambda pair: pair[0] != number):
        if part.sentence != parts[number].sentence and not (i < number and len(part.words) <= 2):
            continue
        for word in part.words[:1] + part.words[-1:]:
            label = labels.get(word)
            if label is not None and label != utterance.speaker:
                return label
    return None


def called(name: str) -> str:
    """How somebody is called: the first name, or the last after a title; empty for no name."""
    words = name.lower().replace(".", "").split()
    if not words:
        return ""
    return words[-1] if words[0] in ("mr", "mrs", "ms", "dr", "professor", "uncle", "aunt") else words[0]
