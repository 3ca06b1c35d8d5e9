"""The extractor that asks a small model, of less than some billion parameters.

Such a model can say what a few lines were about, in a shape that its server forces on it. Asked for more at once it
makes things up, and of who promised what and by when it knows less than rules do. So it is asked for an overview, and
rules read everything else. Of what it says those sentences are kept that speak of what was said: most of their words
are in the transcript. Where none is left the rules have the word.

A conversation that does not fit the model's context is represented by its central sentences, which rules find.
Known doubt: a sentence that puts words that were said together wrongly is not noticed.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.conversation.extract import FUNCTION_WORDS
from engine.conversation.llm.ask import Unusable, ask
from engine.conversation.llm.metrics import LlmMeter, NoMeter
from engine.conversation.llm.port import Llm, LlmAnswerError, Message
from engine.conversation.llm.schema import answer_schema
from engine.conversation.llm.sift import Sift, words_of
from engine.conversation.llm.windows import estimate_tokens
from engine.conversation.structured import Extraction, Extractor, Transcript
from engine.transcript.sentences import ENDERS, sentences

__all__ = ["ShortExtractor"]

OVERVIEW = 240
"""Characters."""
ANSWER_TOKENS = 192
BESIDE = 64
"""Tokens of the question beside what was said."""
SAID = 0.75
"""Of the words of a sentence, but for those that every text has, so many must have been said."""


class Gist(msgspec.Struct):
    """What is asked for. The length is for the server, which forces it."""

    overview: Annotated[str, Meta(max_length=OVERVIEW)]


GIST = answer_schema(Gist)


class ShortExtractor:
    """Implements `Extractor` on an `Llm` that is small, and on `plain`, which needs none."""

    def __init__(self, llm: Llm, plain: Extractor, *, meter: LlmMeter | None = None) -> None:
        self._llm = llm
        self._plain = plain
        self._meter = meter or NoMeter()

    async def extract(self, transcript: Transcript) -> Extraction:
        """See `Extractor.extract`. Raises `LlmError`, but for an answer of no use: then rules have the word."""
        found = await self._plain.extract(transcript)
        if not found.structured.title:
            return found
        text = _spoken(transcript)
        if estimate_tokens(text) > self._llm.context_tokens - ANSWER_TOKENS - BESIDE:
            text = found.structured.overview
        gist = _Gist(transcript)
        try:
            overview = await ask(
                self._llm,
                _messages(text),
                GIST,
                gist.read,
                asks=1,
                doubts=gist.sift.doubts,
                max_tokens=ANSWER_TOKENS,
            )
        except LlmAnswerError:
            overview = found.structured.overview
        doubts = +gist.sift.doubts
        for reason, count in doubts.items():
            self._meter.distrusted(reason, count)
        told = ", ".join(f"{reason} {count}" for reason, count in sorted(doubts.items()))
        notices = (f"Of the model's answer this was repaired or dropped: {told}.",) if doubts else ()
        return msgspec.structs.replace(
            found,
            structured=msgspec.structs.replace(found.structured, overview=overview),
            notices=(*found.notices, *notices),
        )


def _spoken(transcript: Transcript) -> str:
    """What was said, a line a segment, without the numbers and times that mislead a small model."""
    names: dict[str, str] = {}
    lines = []
    for segment in transcript.segments:
        name = (
            transcript.owner_name if segment.is_user else transcript.people.get(segment.person_id or "", "")
        )
        who = name or names.setdefault(segment.speaker, f"Speaker {len(names) + 1}")
        if said := " ".join(segment.text.split()):
            lines.append(f"{who}: {said}")
    return "\n".join(lines)


def _messages(said: str) -> list[Message]:
    return [Message("user", f"Summarize this conversation in one or two sentences:\n\n{said}")]


class _Gist:
    """Reads the answer about one transcript; `sift.doubts` counts what was wrong with it."""

    def __init__(self, transcript: Transcript) -> None:
        self.sift = Sift(transcript.started_at, transcript.time_zone)
        texts = [segment.text for segment in transcript.segments]
        names = [transcript.owner_name, *transcript.people.values()]
        self._said = frozenset(words_of(" ".join([*texts, *names])))

    def read(self, answer: dict[str, Any]) -> str:
        """What of the overview is about what was said. Raises `Unusable` when that is nothing."""
        said = self.sift.record(answer, Gist.__struct_fields__)
        overview = said.get("overview")
        found = sentences(self.sift.text(overview, characters=OVERVIEW))
        if isinstance(overview, str) and len(overview) >= OVERVIEW and overview.rstrip()[-1:] not in ENDERS:
            found = found[:-1]  # cut for its length
        kept = self._kept(found)
        if not kept:
            raise Unusable("invented", "It is not about what was said.")
        return " ".join(kept)

    def _kept(self, found: list[str]) -> list[str]:
        """The sentences about what was said, each once."""
        different = list(dict.fromkeys(found))
        kept = [sentence for sentence in different if self._grounded(sentence)]
        self.sift.doubts["invented"] += len(different) - len(kept)
        return kept

    def _grounded(self, text: str) -> bool:
        words = [word for word in words_of(text) if word not in FUNCTION_WORDS]
        return bool(words) and sum(word in self._said for word in words) >= SAID * len(words)
