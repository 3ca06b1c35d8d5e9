"""What a conversation is about: category, topics, people, entities, feelings, and a title of these."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from engine.conversation.extract._english import FUNCTION_WORDS, KIN, NOT_TASKS, words
from engine.conversation.extract._lexicon import CATEGORY_WORDS, EMOTION_WORDS
from engine.conversation.extract._time_words import MONTHS, NUMBERS, ORDINALS, WEEKDAYS
from engine.conversation.extract.antecedents import noun_phrases
from engine.conversation.extract.drafts import content_words
from engine.conversation.extract.utterances import WORD, Utterance
from engine.conversation.structured import MAX_TITLE_WORDS

TOPICS = 5
LEAST_CATEGORY = 2.0
"""Below this nothing is known well enough to name a category."""

_NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][\w'’-]+)(?: [A-Z][\w'’-]+)*")
_STARTS = re.compile(r"(?:^|[.?!] )(?P<name>[A-Z][a-z]+) (?:said|says|told|wants|asked|promised|starts)\b")
_PERSON_BEFORE = re.compile(
    r"(?:\b(?:ask|asked|tell|told|call|called|with|meet|hi|hey|hello|thanks|morning|mr\.?|mrs\.?|dr\.?"
    r"|uncle|aunt"
    r"|professor)) $",
    re.IGNORECASE,
)
_PERSON_AFTER = re.compile(
    r"^(?:,? (?:said|says|told|tells|wants|wanted|asked|promised|thinks|is going|is coming|was|will|has"
    r"|didn't|starts|hates|"
    r"wrote|called|and i)|'s (?:pull|dad|mom|mother|wife|husband|brother|sister|team))\b"
)
_NOT_NAMES = frozenset(
    {"I", "I'm", "I'll", "I'd", "I've", "Mr", "Mrs", "Ms", "Dr", "OK", "Okay", "ID", "TV", "Yes", "No"}
    | {day.capitalize() for day in WEEKDAYS}
    | {f"{day.capitalize()}s" for day in WEEKDAYS}
    | {
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
    }
    | {"December", "Christmas", "Easter", "Thanksgiving"}
)
_SPOKEN_NUMBERS = frozenset(" ".join((*ORDINALS, *NUMBERS)).split())
_NO_TOPICS = words("no_topics") | frozenset(MONTHS) | frozenset(WEEKDAYS) | _SPOKEN_NUMBERS


def category(said: Sequence[Utterance]) -> str:
    """The category whose words are said most, "other" when none is; a word said often counts less each time."""
    counts = Counter(word for utterance in said for word in WORD.findall(utterance.text.lower()))
    scores = {
        name: sum(counts[word] ** 0.5 for word in words if word in counts)
        for name, words in CATEGORY_WORDS.items()
    }
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= LEAST_CATEGORY else "other"


def topics(said: Sequence[Utterance], english: bool) -> tuple[str, ...]:
    """The things spoken of most, in small letters; those named by two words before single ones."""
    phrases = Counter(phrase for utterance in said for phrase in set(_things(utterance.text, english)))
    words = Counter(word for utterance in said for word in set(_content(utterance.text, english)))
    scores = {
        phrase: sum(words[word] for word in phrase.split()) / len(phrase.split()) ** 0.5 + count
        for phrase, count in phrases.items()
    }
    chosen: list[str] = []
    for phrase, _ in sorted(scores.items(), key=lambda item: (-item[1], item[0])):
        if not any(set(phrase.split()) & set(other.split()) for other in chosen):
            chosen.append(phrase)
        if len(chosen) == TOPICS:
            break
    return tuple(chosen)


def _things(text: str, english: bool) -> Iterable[str]:
    if not english:
        yield from _content(text, english)
        return
    for phrase in noun_phrases(text):
        words = [word for word in WORD.findall(phrase.lower()) if word not in FUNCTION_WORDS]
        words = [word.removesuffix("'s") for word in words if word not in _NO_TOPICS and not word.isdigit()]
        if words and len(words[-1]) > 2 and words[-1] not in KIN:
            yield " ".join(words[-2:])


def _content(text: str, english: bool) -> list[str]:
    shortest = 3 if english else 5
    return [
        word
        for word in WORD.findall(text.lower())
        if len(word) >= shortest
        and word not in FUNCTION_WORDS
        and word not in _NO_TOPICS
        and word not in NOT_TASKS
        and not word.isdigit()
    ]


def names(said: Sequence[Utterance], owner: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """People and other named things, the participants first; the owner is not among them."""
    people = list(
        dict.fromkeys(utterance.name for utterance in said if utterance.name and not utterance.is_user)
    )
    entities: list[str] = []
    for utterance in said:
        for match in _STARTS.finditer(utterance.text):
            if match["name"] not in _NOT_NAMES and match["name"].lower() not in FUNCTION_WORDS | KIN:
                people.append(match["name"])
        for match in _NAME.finditer(utterance.text):
            name = (
                " ".join(word for word in match[0].split() if word not in _NOT_NAMES)
                .removesuffix("'s")
                .removesuffix("’s")
            )
            if not name or name.lower() in FUNCTION_WORDS:
                continue
            person = (
                None
                if name.isupper()
                else _PERSON_AFTER.match(utterance.text[match.end() :]) or name in people
            )
            person = person or (
                " " not in name
                and not name.isupper()
                and _PERSON_BEFORE.search(utterance.text[: match.start()])
            )
            (people if person else entities).append(name)
    known = {name: None for name in people if name.lower() != owner.lower()}
    others = {name: None for name in entities if name not in known and name.lower() != owner.lower()}
    return tuple(known), tuple(others)


def feelings(said: Sequence[Utterance]) -> str:
    """A sentence on how the speakers felt; empty when too little shows."""
    counts = Counter(
        emotion
        for utterance in said
        for word in set(WORD.findall(utterance.text.lower()))
        for emotion, words in EMOTION_WORDS.items()
        if word in words
    )
    shown = [emotion for emotion, count in counts.most_common(2) if count >= 2]
    if not shown:
        return ""
    rest = f", at times {shown[1]}" if len(shown) > 1 else ""
    return f"The conversation was mostly {shown[0]}{rest}."


def title(about: Sequence[str], said: Sequence[Utterance]) -> str:
    """Up to three topics, and whom one talked to if that is a single known person; at most ten words."""
    if not about:
        return ""
    with_whom = {utterance.name for utterance in said if not utterance.is_user}
    partner = next(iter(with_whom)) if len(with_whom) == 1 else ""
    ending = f" with {partner}" if partner else ""
    for count in (3, 2, 1):
        chosen = about[:count]
        listed = chosen[0] if len(chosen) == 1 else f"{', '.join(chosen[:-1])} and {chosen[-1]}"
        text = f"{listed[:1].upper()}{listed[1:]}{ending}"
        if len(text.split()) <= MAX_TITLE_WORDS:
            return text
    return " ".join(about[0].split()[:MAX_TITLE_WORDS]).capitalize()


def headline(overview: str) -> str:
    """A title of the first words of the overview, for when nothing is spoken of twice; empty when it means nothing."""
    words = overview.split()[:MAX_TITLE_WORDS]
    return " ".join(words).rstrip(".,;:!?") if content_words(" ".join(words)) else ""
