"""A single action item in the making, and how its phrase is read."""

import re
from collections.abc import Sequence

import msgspec

from engine.conversation.extract._english import FUNCTION_WORDS, GENERIC_VERBS, NEED_COMPLEMENT, PRONOUNS
from engine.conversation.extract.acts import Act
from engine.conversation.extract.frames import Kind
from engine.conversation.extract.utterances import WORD, Clause, Utterance
from engine.conversation.extract.when import When

_SAME = 0.5
_PARTICLES = frozenset(
    ("up", "out", "in", "off", "back", "down", "over", "to", "with", "for", "about", "of", "care", "at")
)
_BEFORE_THAT = re.compile(r"\b(?:before that|by then|that day|for that)\b")


class Draft(msgspec.Struct, kw_only=True):
    """`phrase` begins with the verb and has no days in it; `doer` is a speaker's label, None while nobody took it.

    `at` is the last utterance that touched it, `accepted` whether its doer agreed. `read_content` are
    the content words of `read_phrase`, kept because drafts are compared often.
    """

    kind: Kind
    strong: bool
    phrase: str
    by: Utterance
    doer: str | None
    at: int
    when: When | None = None
    dropped: bool = False
    accepted: bool = False
    guessed: bool = False
    read_phrase: str = ""
    read_content: frozenset[str] = frozenset()

    @property
    def verb(self) -> str:
        """The first word of the phrase."""
        return self.phrase.split()[0].lower() if self.phrase else ""

    @property
    def content(self) -> frozenset[str]:
        """Its words that mean something, without endings."""
        if self.read_phrase != self.phrase:
            self.read_phrase, self.read_content = self.phrase, content_words(self.phrase)
        return self.read_content

    @property
    def says_nothing(self) -> bool:
        """Whether it only points at what was said before: "do it", "have that to you", "will finish"."""
        objects = content_words(" ".join(self.phrase.split()[1:]))
        if self.phrase.lower().startswith("take care of"):
            objects -= {"care"}
        words = self.phrase.lower().split()
        return not objects and (self.verb in GENERIC_VERBS or any(word in PRONOUNS for word in words[1:]))

    @property
    def needs_more(self) -> bool:
        """Whether its verb alone is no task and nothing follows it."""
        return self.verb in NEED_COMPLEMENT and not content_words(" ".join(self.phrase.split()[1:]))

    def same_as(self, other: "Draft", *, strictly: bool = False) -> bool:
        """Whether both may be the same thing to do; `strictly` when much was said between them."""
        mine, theirs = self.content, other.content
        numbers = [{word for word in words if word.isdigit()} for words in (mine, theirs)]
        if not mine or not theirs or (all(numbers) and numbers[0] != numbers[1]):
            return False
        common = mine & theirs
        alike = 2 * len(common) / (len(mine) + len(theirs)) >= _SAME and bool(common - {stem(self.verb)})
        return alike and len(common) > 1 if strictly else alike or mine <= theirs or theirs <= mine


def content_words(text: str) -> frozenset[str]:
    """Stems of the words that are neither function words nor pronouns."""
    words = (word.lower().replace("’", "'") for word in WORD.findall(text))
    return frozenset(stem(word) for word in words if word not in FUNCTION_WORDS and word not in PRONOUNS)


def stem(word: str) -> str:
    """A word without its ending; short words keep theirs."""
    word = word.removesuffix("'s")
    return re.sub(r"(?:ies|ing|ed|es|s|e|y)$", "", word) if len(word) > 4 else word.removesuffix("s")


def object_pronoun(phrase: str) -> re.Match[str] | None:
    """The pronoun that is the object of the phrase's verb."""
    words = list(WORD.finditer(phrase))
    for match in words[1:4]:
        word = match[0].lower()
        if word in PRONOUNS and not (_owns(phrase, match)):
            return _MATCH.match(phrase, match.start())
        if word not in _PARTICLES and word not in ("you", "me"):
            return None
    return None


_MATCH = re.compile(r"[\w'’]+")


def _owns(phrase: str, match: re.Match[str]) -> bool:
    """Whether a noun follows: "this form", "her bag"."""
    following = WORD.match(phrase, match.end() + 1)
    return (
        match[0].lower() not in ("it", "him", "mine", "yours")
        and following is not None
        and following[0].lower() not in FUNCTION_WORDS
    )


def phrase_of(act: Act, times: Sequence[When]) -> str:
    """The act's phrase without the days in it."""
    phrase, base = act.phrase, act.end - len(act.phrase)
    for when in reversed(times):
        if base <= when.start < act.end:
            before = phrase[: max(when.start - base, 0)]
            particle = _NO_IN.match(phrase, when.start - base) and before.rstrip().endswith((" in", " over"))
            before = before if particle else _PREPOSITION.sub("", before)
            phrase = f"{before.rstrip()} {phrase[when.end - base :].lstrip()}"
    return trim(phrase)


_NO_IN = re.compile(
    r"(?:to(?:day|morrow|night)|this|next|by|on|first|later|right|mon|tue|wed|thu|fri|sat|sun)", re.IGNORECASE
)
_PREPOSITION = re.compile(
    r"(?: (?:by|on|at|for|until|till|before|around|about|from|starting|sometime|like|in|over|during|of))+[ ]*$",
    re.IGNORECASE,
)


_TAIL = re.compile(
    r"(?:[ ,]+(?:then|too|okay|ok|right|please|though|myself|again|as well|and|or|the|like"
    r"|so|i|latest|honestly|no later than|by|before|before that|around|sometime|maybe|this time"
    r"|at the latest|so that|as soon|by the way))+[ ,.]*$",
    re.IGNORECASE,
)


def trim(phrase: str) -> str:
    """Without what is left hanging where a day was taken out."""
    phrase = " ".join(phrase.split())
    phrase = _TAIL.sub("", _NEW_SENTENCE.sub("", _SUBORDINATE.sub("", phrase)))
    return re.sub(r"^(\w+ (?:\w+ )?)myself ", r"\1", phrase)


_SUBORDINATE = re.compile(
    r"(?<=\w\w)(?: (?:because|while|otherwise|unless|although|though|whereas|now) "
    r"|(?<! all)(?<! of) the ones? |(?: before| after| until) (?:somebody|someone|everybody|people|anyone) ).*$",
    re.IGNORECASE,
)
_NEW_SENTENCE = re.compile(
    r"(?<=\w)(?<! that)(?<! what)(?<! how)(?<! if)(?<! whether)(?<! of)(?<! to)(?<! for)(?<! with)(?<! in)"
    r"(?<! and)(?<! about)"
    r" (?:the|my|your|this|that|it) (?:\w+ )?(?:is|are|was|were|isn't|has been)\b.*$",
    re.IGNORECASE,
)


_CORRECTS = re.compile(r"^(?:no|sorry|actually|wait|i mean|or rather|make that|or better)$")


def _corrected(parts: Sequence[Clause], number: int, times: Sequence[When]) -> When | None:
    """ "On Thursday, no, Friday": the second."""
    if number + 2 >= len(parts) or not _CORRECTS.match(parts[number + 1].text.lower()):
        return None
    part = parts[number + 2]
    return next((when for when in times if part.start <= when.start < part.end), None)


def when_of(parts: Sequence[Clause], act: Act, times: Sequence[When], earlier: When | None) -> When | None:
    """The day in the act's clause, else in a piece next to it that has nothing of its own to say.

    `earlier` is the day last spoken of, which "before that" points at.
    """
    clause = parts[act.clause]
    inside = [when for when in times if clause.start <= when.start < clause.end]
    after = [when for when in inside if when.start >= act.start]
    if inside:
        return _corrected(parts, act.clause, times) or (after or inside)[0]
    for number in (act.clause + 1, act.clause + 2, act.clause - 1):
        if not 0 <= number < len(parts):
            continue
        part = parts[number]
        here = [when for when in times if part.start <= when.start < part.end]
        if not here:
            continue
        rest = part.text
        for when in reversed(here):
            rest = f"{rest[: when.start - part.start]} {rest[when.end - part.start :]}"
        same = part.sentence == clause.sentence
        if not content_words(rest) - {"latest"} and (
            same or (number > act.clause and not part.stop.startswith("?"))
        ):
            return here[0]
    if any(_BEFORE_THAT.search(part.text.lower()) for part in parts[max(act.clause - 1, 0) : act.clause + 1]):
        return earlier
    return None


def refined(earlier: When | None, later: When) -> When:
    """A time of day alone keeps the day that was agreed."""
    if later.dayless and earlier is not None:
        return msgspec.structs.replace(earlier, clock=later.clock)
    return later
