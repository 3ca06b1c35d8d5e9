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
