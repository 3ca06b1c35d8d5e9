"""What a pronoun stands for: the last noun phrase that fits it in number and kind."""

import re
from collections.abc import Iterable, Sequence

from engine.conversation.extract._english import FUNCTION_WORDS, KIN, TASK_VERBS, words
from engine.conversation.extract._time_words import ORDINALS

_DETERMINERS = (
    "the|a|an|new|my|your|his|her|our|their|this|that|these|those|some|another|two|three|four|five|six|ten"
    "|twenty|fifty"
    r"|hundred|[0-9]+"
)
_PHRASE = re.compile(rf"\b(?=(?P<det>{_DETERMINERS}) (?P<rest>[\w'’-]+(?: [\w'’-]+){{0,3}}))", re.IGNORECASE)
_TOPIC = re.compile(
    r"(?:^|[.?!] )(?:(?:and|so|okay|oh|then|right)[, ]+)*(?P<topic>[\w'’-]+(?: [\w'’-]+){0,3}?)"
    r" (?:is|isn't|are|aren't|was|were|has|have|had|needs?|closes|wants?|starts?)\b",
    re.IGNORECASE,
)
_ATTACHED = "to|of|in|for|from|at|on|with|into|by|about|under|behind"
_ENDS = words("phrase_ends")
_PEOPLE = frozenset(("him", "her"))
_PLURAL = frozenset(("them", "those", "these"))


def noun_phrases(text: str) -> list[str]:
    """The noun phrases of a text with a determiner, and the subjects of its sentences, in order."""
    found: list[tuple[int, str]] = []
    for match in _PHRASE.finditer(text):
        words: list[str] = []
        for word in match["rest"].split():
            small = word.lower()
            if small in FUNCTION_WORDS or small in _ENDS or (words and _is_verb(words[-1].lower(), small)):
                break
            words.append(word)
        if words:
            found.append((match.start(), " ".join((match["det"], *words))))
    for match in _TOPIC.finditer(text):
        topic = match["topic"]
        if topic.lower().split()[0] not in FUNCTION_WORDS and topic.lower().split()[-1] not in FUNCTION_WORDS:
            found.append((match.start("topic"), topic))
    return [
        phrase
        for _, phrase in sorted(found)
        if _TIMES.isdisjoint(words := phrase.lower().split())
        and not (words[1:] and set(words[1:]) <= _DATES)
        and words[-1] not in _ADJECTIVES
    ]


def _is_verb(noun: str, word: str) -> bool:
    """Whether a word after a noun looks like a verb of it."""
    return (
        word.endswith("ed")
        or word in _THIRD_PERSON
        or (noun.endswith("s") and not noun.endswith("ss") and word in TASK_VERBS)
    )


_THIRD_PERSON = words("third_person_verbs")
_DATES = frozenset(" ".join(ORDINALS).split())
_ADJECTIVES = words("adjectives")
_AMOUNTS = frozenset(("ten", "twenty", "thirty", "forty", "fifty", "hundred"))
_TIMES = words("time_nouns")


def antecedent(pronoun: str, before: Sequence[str], names: Iterable[str] = ()) -> str:
    """What `pronoun` stands for in the texts before it, the nearest last; empty when nothing fits."""
    small = pronoun.lower()
    for text in reversed(before):
        phrases = [phrase for phrase in noun_phrases(text) if _fits(small, phrase)]
        if small in _PLURAL | {"some"} and not phrases:
            phrases = [phrase for phrase in _bare_plurals(text) if _fits(small, phrase)]
        if small in _PEOPLE:
            phrases += [name for name in names if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)]
        if phrases:
            main = [
                phrase
                for phrase in phrases
                if not re.search(rf"\b(?:{_ATTACHED}) {re.escape(phrase)}", text, re.IGNORECASE)
            ]
            phrase = _with_attachment((main or phrases)[-1], text)
            first = phrase.split()[0]
            return phrase[:1].lower() + phrase[1:] if first.lower() in FUNCTION_WORDS else phrase
    return ""


def _with_attachment(phrase: str, text: str) -> str:
    """The phrase and what "of", "for", "from" or "about" adds to it: "the key for the storage room"."""
    at = text.lower().rfind(phrase.lower())
    match = _ATTACHMENT.match(text[at + len(phrase) :]) if at >= 0 else None
    if match is None:
        return phrase
    added = []
    for word in match["noun"].split():
        if word.lower() in FUNCTION_WORDS | _ENDS | _TIMES | _ADJECTIVES:
            break
        added.append(word)
    if not added or added[0].lower() in _DATES:
        return phrase
    return f"{phrase}{match[0][: match.start('noun') - match.start()]}{' '.join(added)}"


_ATTACHMENT = re.compile(
    r" (?:of|for|from|about) (?:(?:the|a|my|your|our|his|her|their) )?(?P<noun>[\w'’-]+(?: [\w'’-]+)?)"
)
_PLURAL_NOUN = re.compile(r"(?:(?<=[.?!,] )|^|(?<= ))(?P<noun>(?:[\w'’-]+ )?[\w'’-]{3,}[^s\W]s)\b")


def _bare_plurals(text: str) -> list[str]:
    """Plurals that need no determiner: "new shoes", "permission slips"."""
    found = []
    for match in _PLURAL_NOUN.finditer(text):
        words = [word for word in match["noun"].split() if word.lower() not in FUNCTION_WORDS | TASK_VERBS]
        if words and not {word.lower() for word in words} & (_TIMES | _THIRD_PERSON | _ENDS | _ADJECTIVES):
            found.append(" ".join(words))
    return found


def _fits(pronoun: str, phrase: str) -> bool:
    head = phrase.lower().split()[-1]
    person = head in KIN or head.removesuffix("s") in KIN
    plural = (head.endswith("s") and not head.endswith("ss")) or head == "people"
    if pronoun in _PEOPLE:
        return (person and not plural) or (phrase.istitle() and " " not in phrase)
    if pronoun == "some":
        return not person
    if pronoun == "one":
        return not person and not plural and phrase.lower().startswith(("a ", "an ", "another "))
    if pronoun in _PLURAL:
        return plural
    if pronoun in ("mine", "yours"):
        return not person
    return not person and (not plural or phrase.lower().split()[0] in _AMOUNTS)
