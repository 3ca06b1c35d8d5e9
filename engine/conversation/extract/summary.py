"""An overview of real sentences, by TextRank.

Sentences are nodes, the cosine of their tf-idf vectors the weight between two; the rank is the stationary distribution
of a walk over them (Mihalcea and Tarau, 2004). Of the best ones those are kept that do not repeat another, in the order
in which they were said. Works on any language that is written with spaces.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.conversation.extract._english import FILLERS, FUNCTION_WORDS
from engine.conversation.extract.utterances import WORD, Utterance, clauses
from engine.transcript.sentences import ENDERS, sentences

MOST_RANKED = 400
"""Sentences that are compared with each other; of a longer transcript the longest ones."""

DAMPING = 0.85
ROUNDS = 30
LONGEST = 30
SHORTEST = 5
"""Words of a sentence fit for an overview."""

WORDS_A_SENTENCE = 80
"""One sentence of overview for so many words said."""

MOST = 4
REPEATS = 0.5

Matrix = NDArray[np.float64]


def overview(said: Sequence[Utterance]) -> str:
    """One to four sentences; all there is when little was said, empty when nothing was."""
    found = candidates(said)
    if not found:
        return " ".join(finished(utterance.text) for utterance in said)[:300]
    total = sum(len(utterance.text.split()) for utterance in said)
    wanted = min(MOST, max(1, round(total / WORDS_A_SENTENCE)))
    return " ".join(finished(sentence) for sentence in ranked(found, wanted))


def candidates(said: Sequence[Utterance]) -> list[str]:
    """Sentences of a fit length; run-on speech is cut into clauses that are put together up to that length."""
    found: list[str] = []
    for utterance in said:
        for sentence in sentences(utterance.text):
            pieces = [sentence] if len(sentence.split()) <= LONGEST else _packed(sentence)
            found += [piece for piece in pieces if len(piece.split()) >= SHORTEST and not piece.endswith("?")]
    if len(found) > MOST_RANKED:
        longest = set(sorted(range(len(found)), key=lambda i: -len(found[i]))[:MOST_RANKED])
        found = [sentence for i, sentence in enumerate(found) if i in longest]
    return found


def _packed(sentence: str) -> list[str]:
    """A run-on sentence as pieces of whole clauses."""
    pieces: list[str] = []
    begin = 0
    for clause in clauses(sentence):
        if len(sentence[begin : clause.end].split()) > LONGEST and clause.start > begin:
            pieces.append(sentence[begin : clause.start].strip())
            begin = clause.start
    pieces.append(sentence[begin:].strip())
    return [" ".join(piece.split()[: 2 * LONGEST]) for piece in pieces if piece]


def ranked(found: Sequence[str], wanted: int) -> list[str]:
    """The `wanted` most central sentences, none like another, in their order."""
    vectors = tf_idf(found)
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, 0.0)
    rank = text_rank(similar)
    chosen: list[int] = []
    for i in np.argsort(-rank, kind="stable"):
        if len(chosen) == wanted:
            break
        if all(similar[i, j] < REPEATS for j in chosen):
            chosen.append(int(i))
    return [found[i] for i in sorted(chosen)]


def tf_idf(found: Sequence[str]) -> Matrix:
    """One row of unit length for each sentence; rows of nothing but function words are zero."""
    words = [[word for word in WORD.findall(text.lower()) if word not in FUNCTION_WORDS] for text in found]
    documents = Counter(word for sentence in words for word in set(sentence))
    column = {word: i for i, word in enumerate(documents)}
    matrix = np.zeros((len(found), max(len(column), 1)))
    for row, sentence in enumerate(words):
        for word in sentence:
            matrix[row, column[word]] += np.log(1 + len(found) / documents[word])
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: Matrix = np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0)
    return unit


def text_rank(similar: Matrix) -> Matrix:
    """The rank of each node of a symmetric graph without loops; sums to at most one."""
    count = len(similar)
    sums = similar.sum(axis=0)
    walk = np.divide(similar, sums, out=np.zeros_like(similar), where=sums > 0)
    rank = np.full(count, 1 / count)
    for _ in range(ROUNDS):
        rank = (1 - DAMPING) / count + DAMPING * (walk @ rank)
    return rank


def finished(sentence: str) -> str:
    """Without leading fillers, capitalised and with an end."""
    words = sentence.split()
    while len(words) > SHORTEST and words[0].lower().strip(",.!") in FILLERS:
        words.pop(0)
    text = re.sub(r"\bi(?=\b|')", "I", " ".join(words)).rstrip(" ,;:")
    text = text[:1].upper() + text[1:]
    return text if text[-1:] in ENDERS else f"{text}."
