"""The turns of phrase by which people commit themselves and ask others, each with what it does and how surely."""

import re
from enum import Enum

from engine.conversation.extract._english import ADVERBS


class Kind(Enum):
    """What an act is; who is to do it follows from it."""

    COMMITMENT = "the speaker does it"
    REQUEST = "someone else does it"
    OFFER = "the speaker does it if asked"
    NEED = "someone else gives it to the speaker"
    DELIVERY = "the speaker gives it"
    QUESTION = "somebody asks whether it was done"


ADVERB = rf"(?:(?:{'|'.join(sorted(ADVERBS))}) )*"
VERB = r"(?P<verb>[a-z][a-z'-]*)"

_ALSO = r"(?: (?:also|still|really|just|do|definitely|seriously))*"
_MUST = r"(?:need to|have to|got to|gotta|must|better)"

# `~` stands for a space, adverbs and the verb. A frame that is not strong needs somebody to take it up, or a day.
_PATTERNS: tuple[tuple[Kind, bool, str], ...] = (
    (Kind.COMMITMENT, True, r"(?:i'll|i will|i shall|i'm going to|i am going to|i'm gonna|i am gonna)~"),
    (Kind.COMMITMENT, True, r"(?P<we>we'll|we will|we're going to|we are going to|we're gonna)~"),
    (Kind.COMMITMENT, True, rf"i(?:'ve| have)?{_ALSO} {_MUST}~"),
    (Kind.COMMITMENT, True, rf"(?P<we>we)(?:'ve)?{_ALSO} {_MUST}~"),
    (Kind.COMMITMENT, True, r"(?:i'd better|i had better|i should|i promise to|i plan to|i'm to)~"),
    (Kind.COMMITMENT, True, r"(?:i'm|i am) supposed to~"),
    (Kind.COMMITMENT, True, r"(?:i'll|i will|i'm going to) have to~"),
    (Kind.COMMITMENT, True, r"let me~"),
    (Kind.COMMITMENT, True, r"(?:please )?(?:somebody )?remind me to~"),
    (Kind.REQUEST, True, r"your (?:homework|task|job|assignment)(?: for [a-z ]+)? is to~"),
    (Kind.REQUEST, False, r"(?:somebody|someone|one of (?:us|you)) (?:has to|needs to|should|must|could)~"),
    (Kind.REQUEST, False, r"(?:please )?(?P<verb>let) (?:me|us) know"),
    (Kind.REQUEST, True, r"(?:can|could|would|will) (?:you|one of you|somebody|someone)(?: mind)?~"),
    (Kind.REQUEST, True, r"(?:please )?(?:don't|do not|never) forget to~"),
    (Kind.REQUEST, True, r"(?:please )?(?:remember to|make sure to|make sure you|make sure that you)~"),
    (
        Kind.REQUEST,
        True,
        rf"i(?:'d| would|'ll| will)?{_ALSO} (?:need|want|like) (?:you|you all|everyone|everybody|one of you) to~",
    ),
    (Kind.REQUEST, True, rf"you(?:'ll|'ve| will)?{_ALSO} (?:need to|have to|got to|gotta|must)~"),
    (Kind.REQUEST, False, r"you(?:'d| would) (?:need to|have to)~"),
    (Kind.REQUEST, False, r"(?:maybe )?you (?:should|could|can|might want to|better|ought to)~"),
    (Kind.QUESTION, False, r"(?:did|have) you(?: already| ever)?~"),
    (Kind.REQUEST, False, r"(?:why don't you|how about you)~"),
    (Kind.OFFER, False, r"i (?:can|could)~"),
    (Kind.OFFER, False, r"(?:should|shall) (?:i|we)~"),
    (Kind.OFFER, False, r"(?:do you |would you )?(?:want|like) me to~"),
    (Kind.OFFER, False, r"(?:i'm|i'd be) happy to~"),
    (Kind.DELIVERY, True, r"you(?:'ll| will)? (?P<verb>get|have|receive)"),
    (Kind.NEED, False, rf"i(?:'ll| will|'m going to| am going to)?{_ALSO} (?P<verb>need)(?! to\b)"),
)

_TRY = r"(?:try (?:and|to) |be sure to |go ahead and )?"
FRAMES = tuple(
    (kind, strong, re.compile(pattern.replace("~", f" {ADVERB}{_TRY}{VERB}")))
    for kind, strong, pattern in _PATTERNS
)
