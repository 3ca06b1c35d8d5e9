"""From a model's notes to what is kept: every value by itself, against the transcript it is said to come from."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from engine.conversation.llm.ask import Unusable
from engine.conversation.llm.prompts import (
    MODEL_MEMORY_CATEGORIES,
    NotedEvent,
    NotedItem,
    NotedMemory,
    Notes,
    Summary,
)
from engine.conversation.llm.sift import Sift, similar, words_of
from engine.conversation.structured import (
    CATEGORIES,
    DEFAULT_EMOJI,
    DEFAULT_EVENT_MINUTES,
    MAX_ACTION_ITEM_WORDS,
    MAX_MEMORIES,
    MAX_MEMORY_WORDS,
    MAX_TITLE_WORDS,
    ActionItem,
    Event,
    Extraction,
    Memory,
    Structured,
    Transcript,
)

__all__ = ["Reader"]

MAX_ITEMS = 30
MAX_NAMES = 20
TITLE = 100
LINE = 200
OVERVIEW = 2000
EMOTIONS = 400
NAME = 80
MAX_MINUTES = 7 * 24 * 60
WORTH_KEEPING_WORDS = 100
"""A conversation of more words is kept whatever the model thinks of it."""

T = TypeVar("T", ActionItem, Event, Memory)


class Reader:
    """Reads answers about one transcript; `sift.doubts` counts what was wrong with all of them."""

    def __init__(self, transcript: Transcript) -> None:
        self.sift = Sift(transcript.started_at, transcript.time_zone)
        self._transcript = transcript
        self._lines = range(1, len(transcript.segments) + 1)
        self._speakers = _labels(transcript)
        self._users = {segment.speaker for segment in transcript.segments if segment.is_user}
        texts = [segment.text for segment in transcript.segments]
        self._said = frozenset(
            words_of(" ".join([*texts, transcript.owner_name, *transcript.people.values()]))
        )
        self._words = sum(len(text.split()) for text in texts)

    def notes(self, answer: dict[str, Any], *, whole: bool) -> Extraction:
        """What an answer of the shape of `Notes` says of the `whole` or a part; the title is empty for nothing.

        Raises `Unusable` when it does not say what the conversation was about.
        """
        said = self.sift.record(answer, Notes.__struct_fields__)
        if said.get("worth_keeping") is False and (self._words <= WORTH_KEEPING_WORDS or not whole):
            return Extraction(structured=Structured())
        head = self._head(said)
        structured = msgspec.structs.replace(
            head,
            action_items=unlike(self._items(said), self.sift),
            events=unlike(self._events(said), self.sift),
        )
        return Extraction(
            structured=structured,
            memories=unlike(self._memories(said), self.sift)[:MAX_MEMORIES],
            people=self.sift.spoken_of(self._names(said, "people"), self._said),
            topics=tuple(name.lower() for name in self._names(said, "topics")),
            entities=self.sift.spoken_of(self._names(said, "entities"), self._said),
            dates=self._dates(said),
            emotions=self.sift.text(said.get("emotions"), characters=EMOTIONS),
        )

    def summary(self, answer: dict[str, Any], items: int) -> tuple[Structured, str, set[int]]:
        """Title and so on, emotions, and which of `items` (from 0) an answer of the shape of `Summary` gives up."""
        said = self.sift.record(answer, Summary.__struct_fields__)
        gone = {
            number - 1
            for number in self.sift.items(said.get("superseded"), items)
            if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= items
        }
        return self._head(said), self.sift.text(said.get("emotions"), characters=EMOTIONS), gone

    def _head(self, said: dict[str, Any]) -> Structured:
        title = self.sift.text(said.get("title"), characters=TITLE, words=MAX_TITLE_WORDS)
        overview = self.sift.text(said.get("overview"), characters=OVERVIEW)
        if not title or not overview:
            raise Unusable("missing", "title and overview must be texts that are not empty.")
        return Structured(
            title=title,
            overview=overview,
            emoji=self.sift.emoji(said.get("emoji"), DEFAULT_EMOJI),
            category=self.sift.choice(said.get("category"), CATEGORIES, "other"),
        )

    def _items(self, said: dict[str, Any]) -> Iterable[ActionItem]:
        for item in self.sift.records(said.get("action_items"), NotedItem.__struct_fields__, MAX_ITEMS):
            text = self.sift.text(item.get("description"), characters=LINE, words=MAX_ACTION_ITEM_WORDS)
            if text and self.sift.grounded(item.get("lines"), self._lines):
                speaker = self._speaker(item.get("speaker"))
                yield ActionItem(
                    description=text,
                    completed=self.sift.flag(item.get("completed", False)),
                    due_at=self.sift.moment(item.get("due")),
                    speaker=speaker,
                    is_user=speaker in self._users,
                )

    def _events(self, said: dict[str, Any]) -> Iterable[Event]:
        for event in self.sift.records(said.get("events"), NotedEvent.__struct_fields__, MAX_ITEMS):
            title = self.sift.text(event.get("title"), characters=TITLE, words=MAX_TITLE_WORDS)
            start: datetime | None = self.sift.moment(event.get("start"))
            if title and start and self.sift.grounded(event.get("lines"), self._lines):
                minutes = event.get("minutes", DEFAULT_EVENT_MINUTES)
                yield Event(
                    title=title,
                    description=self.sift.text(event.get("description"), characters=LINE),
                    start=start,
                    duration=self.sift.number(minutes, 1, MAX_MINUTES, DEFAULT_EVENT_MINUTES),
                )

    def _memories(self, said: dict[str, Any]) -> Iterable[Memory]:
        for memory in self.sift.records(said.get("memories"), NotedMemory.__struct_fields__, MAX_ITEMS):
            text = self.sift.text(memory.get("content"), characters=LINE)
            category = self.sift.choice(memory.get("category"), MODEL_MEMORY_CATEGORIES, "system")
            if len(text.split()) > MAX_MEMORY_WORDS:
                self.sift.doubts["too_long"] += 1  # a fact cut in the middle may say the opposite
            elif text:
                yield Memory(content=text, category=category)

    def _names(self, said: dict[str, Any], field: str) -> list[str]:
        return self.sift.texts(said.get(field), MAX_NAMES, NAME)

    def _dates(self, said: dict[str, Any]) -> tuple[date, ...]:
        moments = [self.sift.moment(day) for day in self.sift.items(said.get("dates"), MAX_NAMES)]
        zone = self._transcript.time_zone
        return tuple(sorted({moment.astimezone(zone).date() for moment in moments if moment}))

    def _speaker(self, said: object) -> str | None:
        if said is None or said == "":
            return None
        label = self._speakers.get(said.strip().casefold()) if isinstance(said, str) else None
        self.sift.doubts["invented"] += label is None
        return label


def unlike(found: Iterable[T], sift: Sift) -> tuple[T, ...]:
    """Those that do not say what an earlier one says."""
    kept: list[T] = []
    for one in found:
        if any(_same(one, other) for other in kept):
            sift.doubts["duplicate"] += 1
        else:
            kept.append(one)
    return tuple(kept)


def _same(one: ActionItem | Event | Memory, other: ActionItem | Event | Memory) -> bool:
    if isinstance(one, Event) and isinstance(other, Event):
        return one.start == other.start and similar(one.title, other.title)
    if isinstance(one, ActionItem) and isinstance(other, ActionItem):
        return one.speaker == other.speaker and similar(one.description, other.description)
    return isinstance(one, Memory) and isinstance(other, Memory) and similar(one.content, other.content)


def _labels(transcript: Transcript) -> dict[str, str]:
    """Labels by label, and by the name of who it is."""
    labels: dict[str, str] = {}
    for segment in transcript.segments:
        name = (
            transcript.owner_name if segment.is_user else transcript.people.get(segment.person_id or "", "")
        )
        labels |= {known.casefold(): segment.speaker for known in (name, segment.speaker) if known}
    return labels
