"""A transcript as utterances, and utterances as clauses.

Transcripts of speech come with and without punctuation. A clause ends where a sentence or a comma ends, and also where
the next subject begins ("yeah i can do that | i need your passport numbers though"), so that run-on text is cut where a
writer would have put a full stop.
"""

import re

import msgspec

from engine.conversation.extract._english import FUNCTION_WORDS, TASK_VERBS, words
from engine.conversation.extract.pauses import Pause, no_pause
from engine.conversation.extract.when import When, find_times
from engine.conversation.structured import Transcript


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """What one speaker said in one breath.

    `name` is empty when nobody knows theirs. `parts` are its clauses, `times` the days and times in it that lie ahead;
    both are empty in other languages than English.
    """

    index: int
    speaker: str
    name: str
    is_user: bool
    text: str
    parts: tuple["Clause", ...] = ()
    times: tuple[When, ...] = ()


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One subject and what is said of it.

    `text` stands at `start` of the utterance; `link` is the conjunction it began with ("if", "because", "and" …), which
    is not part of the text. `sentence` numbers the sentences; `stop` is the punctuation after it,
    "" when there is none.
    """

    text: str
    start: int
    link: str
    sentence: int
    stop: str

    @property
    def end(self) -> int:
        """Where it ends in the utterance."""
        return self.start + len(self.text)

    @property
    def words(self) -> list[str]:
        """Its words in small letters."""
        return WORD.findall(self.text.lower().replace("’", "'"))


WORD = re.compile(r"[\w'’-]+")
_TOKEN = re.compile(r"[\w'’-]+|[.,?!;:…]+")

_SUBJECTS = words("subjects")
_SOMETIMES_SUBJECTS = frozenset(("you", "it", "that", "somebody", "someone"))
_FINITE = words("finite")
_AUXILIARIES = words("auxiliaries")
_CONJUNCTIONS = words("conjunctions")
_ALWAYS_CUT = frozenset(
    ("if", "because", "unless", "otherwise", "although", "though", "whereas", "whether", "but")
)
_INTERJECTIONS = frozenset(
    ("yeah", "okay", "ok", "oh", "um", "uh", "haha", "hmm", "please", "yes", "anyway", "actually")
)
_OPENERS = frozenset(("remember", "remind", "make", "don't", "let"))
_BEFORE_FINITE = frozenset(
    ("i", "you", "he", "she", "we", "they", "it", "that", "this", "who", "what", "there")
)
_ENDS = frozenset(".?!…")


def utterances(transcript: Transcript, pause: Pause = no_pause, *, english: bool = True) -> list[Utterance]:
    """One for each segment with text, in order; `pause` is called before each."""
    now = transcript.started_at.astimezone(transcript.time_zone)
    found: list[Utterance] = []
    for segment in transcript.segments:
        pause()
        text = " ".join(segment.text.split())
        if not text:
            continue
        name = (
            transcript.owner_name if segment.is_user else transcript.people.get(segment.person_id or "", "")
        )
        found.append(
            Utterance(
                index=len(found),
                speaker=segment.speaker,
                name=name,
                is_user=segment.is_user,
                text=text,
                parts=tuple(clauses(text)) if english else (),
                times=tuple(when for when in find_times(text, now) if not when.past) if english else (),
            )
        )
    return found


def clauses(text: str) -> list[Clause]:
    """The clauses of an utterance, in order."""
    tokens = list(_TOKEN.finditer(text))
    words = [token[0].lower().replace("’", "'") for token in tokens]
    starts = [i for i in range(len(words)) if _is_word(words[i]) and (i == 0 or _begins(words, i))]
    found: list[Clause] = []
    sentence = 0
    for n, first in enumerate(starts):
        stop_at = starts[n + 1] if n + 1 < len(starts) else len(words)
        last = stop_at
        while last > first and not _is_word(words[last - 1]):
            last -= 1
        link, begin = _link(words, first, last)
        stop = "".join(words[last:stop_at])
        start = tokens[begin].start() if begin < last else tokens[last - 1].end()
        end = tokens[last - 1].end()
        found.append(Clause(text=text[start:end], start=start, link=link, sentence=sentence, stop=stop))
        sentence += not _ENDS.isdisjoint(stop)
    return found


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] in "'’_-"


def _link(words: list[str], first: int, last: int) -> tuple[str, int]:
    """The conjunction that leads, and where the clause itself begins."""
    link = ""
    begin = first
    while (
        begin < last - 1
        and words[begin] in _CONJUNCTIONS
        and not (link and words[begin] in ("before", "after", "as"))
    ):
        if words[begin] in ("before", "after", "as", "once", "until", "till", "since") and not _subject(
            words, begin + 1
        ):
            break
        link = words[begin] if not link or words[begin] == "if" else link
        begin += 1
    return link, begin


def _subject(words: list[str], i: int) -> bool:
    if i >= len(words):
        return False
    if words[i] in _SUBJECTS:
        return True
    if i and words[i - 1] in ("let", "have", "make", "for", "with", "to"):
        return False
    if words[i] == "you" and i and words[i - 1] in _CONJUNCTIONS:
        following = words[i + 1] if i + 1 < len(words) else "to"
        return following in _FINITE or following not in FUNCTION_WORDS
    return words[i] in _SOMETIMES_SUBJECTS and i + 1 < len(words) and words[i + 1] in _FINITE


def _begins(words: list[str], i: int) -> bool:
    """Whether a clause begins at word `i` (not the first)."""
    word, before = words[i], words[i - 1]
    if not _is_word(before):
        return True
    if word in _ALWAYS_CUT:
        return True
    if word in _CONJUNCTIONS:
        return before not in _CONJUNCTIONS and _opens(words, i + 1)
    if before in _CONJUNCTIONS and _conjunction_began(words, i - 1):
        return False
    if word in _INTERJECTIONS:
        return (
            before not in _INTERJECTIONS
            and before not in ("that's", "it's", "is")
            and not (word == "please" and before in _SUBJECTS | {"you"})
        )
    if _question(words, i):
        return True
    if _speaks(words, i) or (word in ("who", "what", "where") and before in ("it", "that", "this", "them")):
        return True
    if _subject(words, i):
        return not _question(words, i - 1) and before not in ("what", "how", "sure")
    return word in _OPENERS and _opener(words, i)


def _conjunction_began(words: list[str], i: int) -> bool:
    return i == 0 or _begins(words, i) or words[i - 1] in _CONJUNCTIONS


def _opens(words: list[str], i: int) -> bool:
    """Whether what follows a conjunction is a clause of its own rather than another verb or noun."""
    if i >= len(words):
        return False
    if words[i - 1] == "so" and words[i] in TASK_VERBS:
        return True
    if words[i] in _CONJUNCTIONS or words[i] in _INTERJECTIONS:
        return _opens(words, i + 1) or words[i] == "please"
    named = i + 1 < len(words) and words[i + 1] in ("will", "needs", "has") and words[i] not in _AUXILIARIES
    return named or _subject(words, i) or _question(words, i) or (words[i] in _OPENERS and _opener(words, i))


def _speaks(words: list[str], i: int) -> bool:
    """ "my neighbour said", "the doctor thinks": what follows is reported, what came before is not."""
    if words[i] not in ("my", "your", "his", "her", "our", "their", "the"):
        return False
    return not _SPEAKING.isdisjoint(words[i + 2 : i + 4])


_SPEAKING = frozenset(("said", "says", "told", "thinks", "wants", "promised", "asked"))


def _question(words: list[str], i: int) -> bool:
    """An auxiliary before its subject: "can you", "should i"."""
    if words[i] not in _AUXILIARIES or i + 1 >= len(words):
        return False
    if i and words[i - 1] in _BEFORE_FINITE:
        return False
    return words[i + 1] in ("you", "i", "we", "he", "she", "they", "somebody", "someone", "one")


def _opener(words: list[str], i: int) -> bool:
    """Words that begin an order in the middle of run-on text."""
    following = words[i + 1] if i + 1 < len(words) else ""
    return (words[i], following) in _ORDERS


_ORDERS = frozenset(
    (
        ("remember", "to"),
        ("remind", "me"),
        ("make", "sure"),
        ("don't", "forget"),
        ("let", "me"),
        ("don't", "worry"),
        ("don't", "click"),
    )
)
