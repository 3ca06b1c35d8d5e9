"""Spoken English: the word lists of `english.toml`, which says what each is, and turns of phrase."""

import re
import tomllib
from importlib.resources import files

_DATA = tomllib.loads(files(__package__).joinpath("english.toml").read_text(encoding="utf-8"))


def words(name: str) -> frozenset[str]:
    """The words of a list of `english.toml`."""
    return frozenset(_DATA["words"][name].split())


def grouped(table: str) -> dict[str, frozenset[str]]:
    """The word lists of a table of `english.toml` by their names."""
    return {name: frozenset(text.split()) for name, text in _DATA[table].items()}


FUNCTION_WORDS = words("function_words")

FILLERS = words("fillers")

ADVERBS = words("adverbs")

TASK_VERBS = words("task_verbs")

LOOSE_IMPERATIVES = words("loose_imperatives")

NOT_TASKS = words("not_tasks")

ON_THE_SPOT = words("on_the_spot")

SAYING = re.compile(
    r"\b(?:(?:i'm|i was|he's|he was|she's|she was|they were|it's|we were) like|he goes|she goes|said|says"
    r"|saying|say|told|tells?|telling|tell|promised|promises|asked|asks|wrote|writes|thinks?|thought|quote"
    r"|claims?|claimed|insists?|insisted|mentioned|announced|swore|warned|suggested|believed|believes"
    r"|hopes?|hoped)\b"
)
FIRST_PERSON_FRAME = re.compile(
    r"\bi(?:'m| am)? (?:promise|swear|think|guess|bet|suppose|believe|know|sure|mean|hope|reckon|figure"
    r"|decided)\b"
)

ACCEPTS = re.compile(
    r"^(?:(?:um|uh|oh|well|hmm|and|so|haha|ha|ugh|nice|great|perfect|lovely|brilliant)[, ]+)*"
    r"(?:yes|yeah|yep|yup|sure|ok|okay|of course|will do|absolutely|no problem|fine|got it|alright"
    r"|all right|i will"
    r"|i can(?: do that|[.,]|$)|go ahead|you got it|deal|sounds good|good idea|great idea|definitely"
    r"|certainly|happy to|works|perfect|great"
    r"|understood|gladly|thanks|thank you|please do|right|oh yes|lovely|i won't forget|true|do it|do that)\b"
)
REFUSES = re.compile(
    r"^(?:(?:um|uh|oh|well|hmm|haha|ha|sorry|actually)[, ]+)*"
    r"(?:no(?! problem|w)|nope|nah|i can't|can't|i'd rather not|don't bother|not really|unfortunately"
    r"|absolutely not"
    r"|no need|never mind|let's not|i don't think so|not this|no way|i wouldn't|maybe|perhaps"
    r"|let me think|we'll see"
    r"|i might|i'm not sure|let's wait|let's decide|someday)\b"
)
IDIOMS = re.compile(
    r"(?:let you go|leave (?:it|that) (?:with|to)|leave you|leave it there|catch you|catch up"
    r"|give you (?:that|an example|a hint)|call it\b|make it (?:quick|short|up)"
    r"|put it (?:this|that|like|differently)|take (?:that|it) as|take your word|take (?:a|the) (?:seat"
    r"|break|bet|nap|shower|risk)"
    r"|(?:keep|bear) (?:that|it|this) in mind|get (?:started|going|the door|back to work|there|used to"
    r"|ready|better|old|well|out"
    r"|over|lost|sick|fired|married|this|up|some sleep|some rest)|turn (?:out|into|around|left|right)"
    r"|give (?:it|that) a (?:try|go|shot|thought)"
    r"|buy that|take (?:over|care(?! of)|your time|it easy|me|note|this|a look at this)|give (?:me|us"
    r"|you) (?:a|an|one|five|some) (?:second|minute"
    r"|moment|break|hand|hint|example|idea|sense|update|call me)?$|give (?:me|us) (?:a|an) (?:second|sec"
    r"|minute|moment|break|hand|example"
    r"|idea|sense|update)|do (?:my|your|our) best|do (?:anything|whatever|fine|well|the talking)"
    r"|pay attention|pay for it|start (?:with|by)|show you"
    r"|tell you|ask you|read (?:you|it out|this)|check (?:this|it|that) out|try (?:it|this|that|my best)$"
    r"|watch (?:out|this|it)$|put (?:up|him"
    r" down)|run (?:out|into)|make (?:a note|sense|do|fun|it\b(?! to)|a difference|mistakes|friends"
    r"|money)|note to self|share (?:my|your) screen"
    r"|talk (?:to you|soon|later)|speak (?:to you|soon|later)|play it|meet you|work (?:hard|out"
    r"|on myself)|open up|close (?:the|that) (?:door|window)"
    r"|open (?:the|that|a) (?:door|window)|walk (?:us|me|you) through|let (?:him|her|it|them) (?:be|go))\b"
)
"""Said of no task, whatever the verb looks like."""

WITHDRAWN = re.compile(
    r"\b(?:never ?mind|forget (?:it|that|about)|scratch that|don't bother|no need|skip (?:it|that)"
    r"|drop (?:it|that)"
    r"|not any ?more|on second thought|cancel that|actually,? no|no,? wait|let's not|let's (?:wait"
    r"|see)(?= and see|[.,]|$)|let's wait|leave it(?! with| to)|strike that|i take that"
    r" back|that's cancelled|that's canceled)\b"
)
POLITE_IF = re.compile(
    r"^if (?:that's|that is|it's|it is|this is)? ?(?:ok(?:ay)?|all right|alright|fine|possible|you (?:can"
    r"|could|don't mind"
    r"|want|like|have time|get a chance)|there's time|i can|i may|anything)\b"
)


GENERIC_VERBS = words("generic_verbs")

PRONOUNS = words("pronouns")

NEED_COMPLEMENT = words("need_complement")

KIN = words("kin")

NO_VERBS = words("no_verbs")

FOR_WHOM = re.compile(r"\b(?:me|us|your|my|our)\b")
PROMISED_BY = re.compile(
    r"\b(?:by|before|until|within)(?: the)? ?$|\b(?:finish|deliver|ship|complete|release|send)\b"
)
"""A day after this is a deadline, not when one meets."""

# In answers.

DONE_NOW = re.compile(
    r"^(?:here you go|here(?:'s| is| it is)|yes,? it's|one moment|(?:of course|sure)[,.]? (?:so|here)\b)"
)
"""Done on the spot."""

PROMISES = re.compile(
    r"\b(?:i will(?= i will|[.,!]|$)|will do|i won't forget|consider it done"
    r"|i'll (?:take care of|handle|see to|sort out|own) (?:it|that|this)|i'm on it|leave (?:it"
    r"|that) (?:with|to) me"
    r"|i(?:'ve)? got (?:it|this|that one)|i(?:'ll| can) take (?:it|that|this|care of it)(?: one)?(?=[.,!]|$))"
)
"""Takes up what was asked, without saying what."""

DUE = re.compile(
    r"\b(?:due|deadline|needs?|wants?|closes|expires?|runs? out|lapses|ends)\b"
    r"|^(?:(?:so|and|like|but|yes|it's|it has to be|that's|i need (?:it|that|them|those)) )*"
    r"(?:by|before|until|no later than)\b"
)
"""Dates what was just said."""

COMES = re.compile(
    r"\b(?:coming|come|comes|visit|party|dinner|meeting|opening|birthday|wedding|session|barbecue|picnic)\b"
)
"""Somebody comes at the day that is named."""

DONE = re.compile(
    r"\b(?:i(?:'ve)? (?:already )?(?:did|done) (?:it|that)"
    r"|i already did|(?:it's|that's) (?:already )?done|already did)\b"
)
"""It needs no doing any more."""

REPORT_BACK = re.compile(
    r"(?:let (?:you|me|us) know|get back to (?:you|me)|keep (?:you|me) posted|tell you|have (?:it|that) )\b",
    re.IGNORECASE,
)
"""Ends a task, is none of its own."""

POLITE_YES = re.compile(
    r"(?:yeah|yes|true|right|great|perfect|lovely|thanks)\b(?!,? (?:i will|sure|ok|good idea|please|will do))"
)
"""May only mean that one listens."""

DEFINITE = re.compile(r"\b(?:me|us|our|my|your|the|it|that|them|those|this)\b", re.IGNORECASE)
"""Points at something both know."""

HANDS_OVER = frozenset(
    ("bring", "buy", "email", "forward", "get", "give", "lend", "mail", "order", "send", "share", "text")
)
"""Verbs that may answer each other: what one asks to be sent the other brings."""

SAYS_MORE = re.compile(r"\b(?:i'll|i will|i'm going|we'll|he|she|they|i'm)\b")
"""More than an answer."""

MEANS = re.compile(r"[\W]*(?:i mean|no,? wait)\b")
"""What came before was not meant."""

BAD_DAY = re.compile(r"\b(?:no|not|can't|bad|busy|don't|doesn't|won't)\b|\bi have\b|\bi'm in\b")
"""Not on that day."""
