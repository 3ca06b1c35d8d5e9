"""Durable facts about the owner, said by the owner in the first person and put into the third."""

import re
from collections.abc import Sequence

from engine.conversation.extract._english import ACCEPTS
from engine.conversation.extract.modality import bound
from engine.conversation.extract.utterances import Utterance
from engine.conversation.structured import MAX_MEMORIES, MAX_MEMORY_WORDS, Memory

# Strongest first: what a person is, then what they have, do and like, then what they plan.
_FACTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:i'm|i am)(?: still| also)? (?:allergic to|diabetic|vegan|vegetarian|pregnant|self-employed"
        r"|retired|deaf|blind"
        r"|(?:afraid|terrified|scared) of)\b.*",
        r"(?:i|we) (?:live|grew up|was born|were born) (?:in|on|near|at) .+",
        r"(?:i|we)(?:'ve| have)? work(?:ed)? (?:at|for|as|in|from|on) .+",
        r"(?:i'm|i am) (?:a|an) (?!bit|little|lot|couple|fan|big)[a-z]+.*",
        r"(?:i'm|i am|we're|we are) (?:getting married|getting divorced|expecting|moving|buying"
        r"|training for|learning"
        r"|studying|renovating|working on|writing)\b.+",
        r"i (?:speak|play the|play|own|drive|don't eat|don't drink|can't eat|collect) .+",
        r"(?:i|we) have (?:a|an|two|three|four|five) (?:kids?|child|children|sons?|daughters?|dogs?|cats?"
        r"|brothers?|sisters?"
        r"|house|shop|company|allergy)\b.*",
        r"my (?:wife|husband|son|daughter|partner|girlfriend|boyfriend|mother|father|sister|brother|dog"
        r"|cat|birthday|lease)"
        r"(?:'s| is| has| works| lives| ends)\b.*",
        r"(?:i'm|i am) off .+",
        r"i (?:really )?(?:love|hate|prefer|can't stand|always wanted to) .+",
        r"(?:i want to|i'd like to|i would like to|i always wanted to) (?:open|start|become|move|learn"
        r"|run|write|study|build"
        r"|retire|found|live) .+",
    )
)
_TAGGED = re.compile(
    r"you(?:'re| are)(?: still| also)? (?P<fact>(?:allergic to|self-employed|vegan|vegetarian|diabetic"
    r"|afraid of|grinding)"
    r"[^?]*?)(?:, (?:right|aren't you|correct|yes))?\?",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"\b(?:right now|today|tonight|tomorrow|yesterday|this week|at the moment|stuck|in the car|(?:ing"
    r"|ed) (?:it|this|that|them)|bit)\b",
    re.IGNORECASE,
)


def memories(said: Sequence[Utterance], owner: str) -> tuple[Memory, ...]:
    """At most two facts, the strongest first."""
    name = owner or "The user"
    found: list[tuple[int, str]] = []
    for i, utterance in enumerate(said):
        if utterance.is_user:
            found += _stated(utterance, name)
            continue
        tagged = _TAGGED.search(utterance.text)
        answer = said[i + 1] if i + 1 < len(said) else None
        if tagged and answer is not None and answer.is_user and ACCEPTS.match(answer.text.lower()):
            found.append((0, _fitting(f"{name} is {tagged['fact']}")))
    contents = dict.fromkeys(content for _, content in sorted(found, key=lambda pair: pair[0]) if content)
    return tuple(Memory(content=content) for content in list(contents)[:MAX_MEMORIES])


def _stated(utterance: Utterance, name: str) -> list[tuple[int, str]]:
    parts = utterance.parts
    binding = bound(parts)
    found: list[tuple[int, str]] = []
    for clause, binds in zip(parts, binding, strict=True):
        text = clause.text.replace("’", "'")
        if not binds or clause.stop.startswith("?") or _PASSING.search(text):
            continue
        for rank, pattern in enumerate(_FACTS):
            if pattern.fullmatch(text):
                found.append((rank, _fitting(in_third_person(text, name))))
                break
    return found


def _fitting(text: str) -> str:
    """Empty when it is too long: half a fact may say the opposite."""
    text = text.strip(" ,.;")
    return text if len(text.split()) <= MAX_MEMORY_WORDS else ""


_CHANGES = (
    (r"\bi'm\b|\bi am\b", "{name} is"),
    (r"\bi've\b|\bi have\b", "{name} has"),
    (r"\bi'd\b", "{name} would"),
    (r"\bi'll\b", "{name} will"),
    (r"\bi (don't|can't|always|used|was|grew|worked|want to)\b", r"{name} \1"),
    (r"\bi (?:really )?(\w+?)(?=\b)", r"{name} \1"),
    (r"\bwe're\b|\bwe are\b", "{name} and family are"),
    (r"\bwe have\b", "{name} and family have"),
    (r"\bwe (\w+)\b", r"{name} and family \1"),
    (r"^my\b", "{name}'s"),
    (r"\bmy\b", "their"),
    (r"\bme\b", "them"),
    (r"\bour\b", "their"),
)
_BARE = re.compile(r"(?<=\b)(?P<verb>live|work|speak|play|own|drive|collect|love|hate|prefer|want)(?= |$)")


def in_third_person(text: str, name: str) -> str:
    """ "I'm allergic to nuts" as "Maya is allergic to nuts"."""
    for pattern, replacement in _CHANGES:
        text = re.sub(pattern, replacement.replace("{name}", name), text, flags=re.IGNORECASE)
    text = re.sub(rf"^{re.escape(name)} don't ", f"{name} doesn't ", text)
    text = re.sub(rf"^({re.escape(name)}) {_BARE.pattern}", lambda m: f"{m[1]} {m['verb']}s", text)
    return text[:1].upper() + text[1:]
