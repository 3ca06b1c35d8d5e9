"""Which conversation an answer rests on, where the model that gave it does not say.

An answer that repeats what was asked rests on nothing: only words that the question has not count as found. Of these,
and of all the answer's words, half at least must be in what was shown of one conversation.
Known doubt: an answer in another language than the conversation shares few words with it and stays without citation.
"""

from collections.abc import Mapping

from engine.conversation.extract import FUNCTION_WORDS
from engine.conversation.llm.sift import words_of

__all__ = ["rests_on"]

SHARE = 0.5
FEWEST = 2
"""Words that answer and conversation have in common, but for those that every text has."""


def rests_on(answer: str, question: str, shown: Mapping[str, str]) -> str | None:
    """The id of that of the texts `shown`, by the ids of their conversations, that has most of `answer`'s words.

    None when none has enough of them; of two that have as many, the one that was shown first.
    """
    said = _words(answer)
    new = said - _words(question)
    best, most = None, FEWEST - 1
    for id, text in shown.items():
        there = _words(text)
        common, found = len(said & there), len(new & there)
        if found and found >= SHARE * len(new) and common >= SHARE * len(said) and common > most:
            best, most = id, common
    return best


def _words(text: str) -> set[str]:
    return {word for word in words_of(text) if word not in FUNCTION_WORDS}
