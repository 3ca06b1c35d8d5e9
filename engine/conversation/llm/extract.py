"""The extractor that asks a language model; long transcripts in parts that are then joined.

A transcript that fits the model's context is one question. A longer one is cut into windows (between lines), notes
are taken on each, and the notes are joined: items, events and names are put together here, title, overview and
category by the model from the parts' overviews, in as many steps as their length wants. The model also says which
action items were repeated or taken back in a later part. Windows are asked about one after the other: there is no
hurry, and others wait for turns.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from engine.conversation.llm.ask import ask
from engine.conversation.llm.metrics import LlmMeter, NoMeter
from engine.conversation.llm.port import Llm, LlmContextExceeded
from engine.conversation.llm.prompts import Notes, Summary, notes_messages, summary_messages
from engine.conversation.llm.reading import MAX_ITEMS, MAX_NAMES, Reader, unlike
from engine.conversation.llm.schema import answer_schema
from engine.conversation.llm.windows import Line, estimate_tokens, lines_of, windows_of
from engine.conversation.structured import MAX_MEMORIES, Extraction, Structured, Transcript

__all__ = ["LlmExtractor"]

NOTES = answer_schema(Notes)
SUMMARY = answer_schema(Summary)
SMALLEST_WINDOW = 256
"""Tokens; a context that leaves less for the transcript is too small for the questions themselves."""
HALVINGS = 3
"""Times windows are made half as long because the model's own count found them too long."""


class LlmExtractor:
    """Implements `Extractor` on an `Llm`. `asks`, `answer_tokens`: as in the configuration's [llm]."""

    def __init__(self, llm: Llm, *, asks: int, answer_tokens: int, meter: LlmMeter | None = None) -> None:
        self._llm = llm
        self._asks = asks
        self._answer_tokens = answer_tokens
        self._meter = meter or NoMeter()

    async def extract(self, transcript: Transcript) -> Extraction:
        """See `Extractor.extract`. Raises `LlmError`; `LlmAnswerError` when no answer could be used."""
        if not any(segment.text.strip() for segment in transcript.segments):
            return Extraction(structured=Structured())
        reader = Reader(transcript)
        try:
            found = await self._within_context(transcript, reader)
        finally:
            doubts = +reader.sift.doubts
            for reason, count in doubts.items():
                self._meter.distrusted(reason, count)
        told = ", ".join(f"{reason} {count}" for reason, count in sorted(doubts.items()))
        notices = (f"Of the model's answers this was repaired or dropped: {told}.",) if doubts else ()
        return msgspec.structs.replace(found, notices=notices)

    async def _within_context(self, transcript: Transcript, reader: Reader) -> Extraction:
        budget = self._budget(transcript)
        smallest = max(budget >> HALVINGS, SMALLEST_WINDOW)
        while True:
            try:
                return await self._within(transcript, reader, budget)
            except LlmContextExceeded:
                budget //= 2
                if budget < smallest:
                    raise

    def _budget(self, transcript: Transcript) -> int:
        """Tokens of transcript in one question."""
        asked = sum(
            estimate_tokens(str(message.content)) for message in notes_messages(transcript, (), 99, 99)
        )
        asked += estimate_tokens(msgspec.json.encode(NOTES.schema).decode())
        budget = self._llm.context_tokens - self._answer_tokens - asked
        if budget < SMALLEST_WINDOW:
            raise LlmContextExceeded(
                f"llm.context_tokens = {self._llm.context_tokens} leaves {max(budget, 0)} tokens for a transcript, "
                f"after {asked} for the question and {self._answer_tokens} for the answer (llm.answer_tokens); "
                f"at least {SMALLEST_WINDOW} are needed",
                "context_length",
            )
        return budget

    async def _within(self, transcript: Transcript, reader: Reader, budget: int) -> Extraction:
        windows = windows_of(lines_of(transcript), budget)
        parts = []
        for number, window in enumerate(windows, start=1):
            messages = notes_messages(transcript, window, number, len(windows))
            parts.append(
                await ask(
                    self._llm,
                    messages,
                    NOTES,
                    partial(reader.notes, whole=len(windows) == 1),
                    asks=self._asks,
                    doubts=reader.sift.doubts,
                    max_tokens=self._answer_tokens,
                )
            )
        kept = [part for part in parts if part.structured.title]
        if len(kept) < 2:
            return kept[0] if kept else parts[0]
        return await self._joined(transcript, reader, kept, budget)

    async def _joined(
        self, transcript: Transcript, reader: Reader, parts: Sequence[Extraction], budget: int
    ) -> Extraction:
        every = [item for part in parts for item in part.structured.action_items]
        items = unlike(every, reader.sift)[:MAX_ITEMS]
        notes = [_note(part.structured, part.emotions, budget) for part in parts]
        while sum(map(estimate_tokens, notes)) > budget:
            notes = await self._shortened(notes, reader, transcript.language, budget)
        listed = [f"{item.speaker or 'someone'}: {item.description}" for item in items]
        while listed and sum(map(estimate_tokens, [*notes, *listed])) > budget:
            listed.pop()
        head, emotions, gone = await self._summary(notes, listed, reader, transcript.language)
        events = unlike((event for part in parts for event in part.structured.events), reader.sift)
        memories = unlike((memory for part in parts for memory in part.memories), reader.sift)
        return Extraction(
            structured=msgspec.structs.replace(
                head,
                action_items=tuple(item for number, item in enumerate(items) if number not in gone),
                events=events[:MAX_ITEMS],
            ),
            memories=memories[:MAX_MEMORIES],
            people=_all(part.people for part in parts),
            topics=_all(part.topics for part in parts),
            entities=_all(part.entities for part in parts),
            dates=tuple(sorted({day for part in parts for day in part.dates})[:MAX_NAMES]),
            emotions=emotions,
        )

    async def _shortened(self, notes: Sequence[str], reader: Reader, language: str, budget: int) -> list[str]:
        """Fewer notes that say the same: each group that fits into one question becomes one."""
        shorter = []
        for group in windows_of([Line(0, note) for note in notes], budget):
            texts = [line.text for line in group]
            if len(texts) > 1:
                head, emotions, _ = await self._summary(texts, (), reader, language)
                texts = [_note(head, emotions, budget)]
            shorter += texts
        return shorter

    async def _summary(
        self, notes: Sequence[str], items: Sequence[str], reader: Reader, language: str
    ) -> tuple[Structured, str, set[int]]:
        return await ask(
            self._llm,
            summary_messages(notes, items, language),
            SUMMARY,
            lambda answer: reader.summary(answer, len(items)),
            asks=self._asks,
            doubts=reader.sift.doubts,
            max_tokens=self._answer_tokens,
        )


def _note(head: Structured, emotions: str, budget: int) -> str:
    # A third of what a question may hold, at a token a character: two and more always fit into one.
    return f"{head.title}. {head.overview} {emotions}"[: budget // 3]


def _all(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Each name once, as it was first written."""
    kept: dict[str, str] = {}
    for names in lists:
        for name in names:
            kept.setdefault(name.casefold(), name)
    return tuple(kept.values())[:MAX_NAMES]
