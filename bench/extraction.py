"""What the extractor without a key finds in labelled conversations.

Run `python -m bench extraction`. The labels are described in `bench/conversations/README.md`; of the held-out half only
totals are printed. `--show NAME` prints what is missed and invented in one conversation of the tuning half.

An action item that was found matches a label when the one who is to do it is right and the words of the two, without
function words and endings, overlap with a Dice coefficient (2 × common / both) of at least 0.5; each matches once, the
most similar first. A due date is right when the label has none and none was found, or the local days are equal, and
the minutes when the label says a time. Events match when their start does and the titles share a word.
"""

import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from engine.conversation.extract import extract
from engine.conversation.structured import ActionItem, Event, Extraction, Transcript
from engine.wire.messages import Segment, speaker_label

CONVERSATIONS = Path(__file__).parent / "conversations"
HALVES = ("tuning", "held_out")
ENOUGH = 0.5
PRECISION, RECALL, DUE = 0.8, 0.7, 0.8
"""What the held-out half must reach."""

SECONDS_A_WORD = 0.35


class LabelledItem(msgspec.Struct, frozen=True):
    """`due`: a local day, a day and time, or None (a union that msgspec does not decode)."""

    text: str
    who: tuple[int, ...]
    due: Any = None


class LabelledEvent(msgspec.Struct, frozen=True):
    """`start`: a local day, or a day and time; `duration` in minutes."""

    title: str
    start: Any
    duration: int | None = None


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    kind: str
    start: datetime
    time_zone: str
    owner: str
    category: tuple[str, ...]
    people: tuple[str, ...]
    topics: tuple[str, ...]
    entities: tuple[str, ...]
    memories: tuple[str, ...]
    speakers: tuple[str, ...]
    transcript: str
    action_items: tuple[LabelledItem, ...] = ()
    events: tuple[LabelledEvent, ...] = ()


class Score(msgspec.Struct):
    """Counts over conversations."""

    conversations: int = 0
    found: int = 0
    labelled: int = 0
    matched: int = 0
    due_right: int = 0
    dated: int = 0
    dated_right: int = 0
    events_found: int = 0
    events_labelled: int = 0
    events_matched: int = 0
    categories_right: int = 0
    seconds: float = 0.0

    @property
    def precision(self) -> float:
        """Of what was found, the share that is labelled."""
        return self.matched / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Of what is labelled, the share that was found."""
        return self.matched / self.labelled if self.labelled else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.found + self.labelled
        return 2 * self.matched / both if both else 1.0

    @property
    def due(self) -> float:
        """Of what matched, the share whose due date is right, "none" included."""
        return self.due_right / self.matched if self.matched else 1.0


def load(path: Path) -> Labelled:
    """The labelled conversation in a file."""
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Labelled)


def transcript_of(labelled: Labelled) -> Transcript:
    """As the server would have kept it."""
    zone = ZoneInfo(labelled.time_zone)
    people = {f"p{i}": name for i, name in enumerate(labelled.speakers) if name not in ("", "owner")}
    return Transcript(
        segments=tuple(_segments(labelled, people)),
        started_at=labelled.start.replace(tzinfo=zone).astimezone(UTC),
        time_zone=zone,
        owner_name=labelled.owner,
        people=people,
    )


def _segments(labelled: Labelled, people: dict[str, str]) -> Iterable[Segment]:
    for i, line in enumerate(labelled.transcript.strip().splitlines()):
        clock, speaker, text = line.split(" ", 2)
        minutes, seconds = clock.split(":")
        start = int(minutes) * 60 + int(seconds)
        person = f"p{speaker}"
        yield Segment(
            id=str(i),
            text=text,
            speaker=speaker_label(int(speaker)),
            is_user=labelled.speakers[int(speaker)] == "owner",
            person_id=person if person in people else None,
            start=start,
            end=start + len(text.split()) * SECONDS_A_WORD,
        )


FUNCTION_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        a an the to of for in on at by with from and or but so my your his her its our their me you him them us i we he
        she it they this that these those is are was were be been will would can could do does did have has had about up
        out off as if then than also too not no don't just again some any all there here back
        """,
    )
)


def stems(text: str) -> set[str]:
    """The content words of a text without their endings."""
    words = re.findall(r"[a-z0-9']+", text.lower())
    return {
        re.sub(r"(?:'s|'|ies|ing|ed|es|s|e|y)$", "", word) or word
        for word in words
        if word not in FUNCTION_WORDS
    }


def dice(a: set[str], b: set[str]) -> float:
    """2 × common / both."""
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0


def pairs(found: Sequence[ActionItem], labels: Sequence[LabelledItem]) -> list[tuple[int, int]]:
    """Which found item matches which label, the most similar first."""
    similar = sorted(
        (
            (dice(stems(item.description), stems(label.text)), i, j)
            for i, item in enumerate(found)
            for j, label in enumerate(labels)
            if item.speaker in [speaker_label(who) for who in label.who]
        ),
        reverse=True,
    )
    chosen: list[tuple[int, int]] = []
    for similarity, i, j in similar:
        if similarity >= ENOUGH and all(i != other and j != label for other, label in chosen):
            chosen.append((i, j))
    return chosen


def same_time(moment: datetime | None, label: object, zone: ZoneInfo) -> bool:
    """Whether a moment is the labelled local day, and minute if the label has one."""
    if moment is None or label is None:
        return moment is None and label is None
    local = moment.astimezone(zone)
    if isinstance(label, datetime):
        return local.replace(tzinfo=None, second=0, microsecond=0) == label
    return local.date() == label


def count(score: Score, labelled: Labelled, found: Extraction) -> None:
    """Add one conversation."""
    zone = ZoneInfo(labelled.time_zone)
    items = found.structured.action_items
    matches = pairs(items, labelled.action_items)
    score.conversations += 1
    score.found += len(items)
    score.labelled += len(labelled.action_items)
    score.matched += len(matches)
    for i, j in matches:
        right = same_time(items[i].due_at, labelled.action_items[j].due, zone)
        score.due_right += right
        if labelled.action_items[j].due is not None:
            score.dated += 1
            score.dated_right += right
    score.events_found += len(found.structured.events)
    score.events_labelled += len(labelled.events)
    score.events_matched += matched_events(found.structured.events, labelled, zone)
    score.categories_right += found.structured.category in labelled.category


def matched_events(found: Sequence[Event], labelled: Labelled, zone: ZoneInfo) -> int:
    """How many labelled events were found."""
    return sum(
        any(
            same_time(event.start, label.start, zone) and stems(event.title) & stems(label.title)
            for event in found
        )
        for label in labelled.events
    )


def score_half(half: str, extractor: Callable[[Transcript], Extraction] = extract) -> Score:
    """Score every conversation of a half."""
    score = Score()
    for path in sorted((CONVERSATIONS / half).glob("*.toml")):
        labelled = load(path)
        transcript = transcript_of(labelled)
        began = time.thread_time()
        found = extractor(transcript)
        score.seconds += time.thread_time() - began
        count(score, labelled, found)
    return score


def show(name: str) -> None:
    """What was found in a conversation of the tuning half, and what was not."""
    labelled = load(CONVERSATIONS / HALVES[0] / f"{name}.toml")
    zone = ZoneInfo(labelled.time_zone)
    found = extract(transcript_of(labelled))
    items, labels = found.structured.action_items, labelled.action_items
    matches = dict(pairs(items, labels))
    print(f"\n== {name} ({labelled.kind}): {found.structured.emoji} {found.structured.title}"
          f" [{found.structured.category}]\n{found.structured.overview}")  # fmt: skip
    for i, item in enumerate(items):
        label = labels[matches[i]] if i in matches else None
        right = label is not None and same_time(item.due_at, label.due, zone)
        sign = "+" if right else "~" if label else "!"
        due = item.due_at.astimezone(zone).strftime("%a %d %H:%M") if item.due_at else ""
        print(f"{sign} {item.speaker} {item.description} | {due} {'' if right else label or ''}")
    for j, label in enumerate(labels):
        if j not in matches.values():
            print(f"- {label.who} {label.text} | {label.due or ''}")
    for event in found.structured.events:
        print(f"E {event.title} | {event.start.astimezone(zone):%Y-%m-%d %H:%M} {event.duration} min")
    print("L", [(event.title, str(event.start)) for event in labelled.events])
    print("M", [memory.content for memory in found.memories], labelled.memories)
    print("S", found.people, found.topics, found.entities, [str(day) for day in found.dates], found.emotions)


def main() -> int:
    """Print both halves; 1 when the held-out one falls short."""
    if "--show" in sys.argv:
        for name in sys.argv[sys.argv.index("--show") + 1 :]:
            show(name)
        return 0
    extract(transcript_of(load(next(CONVERSATIONS.glob("tuning/*.toml")))))  # compiles patterns
    print("half      conv. items prec.  recall F1     due    due (dated)  events     category  ms/conv.")
    for half in HALVES:
        s = score_half(half)
        print(
            f"{half:9s} {s.conversations:5d} {s.labelled:5d} {s.precision:.3f}  {s.recall:.3f}  {s.f1:.3f}  {s.due:.3f}"
            f"  {s.dated_right:3d} of {s.dated:3d}   {s.events_matched}/{s.events_found}/{s.events_labelled}"
            f"      {s.categories_right:2d} of {s.conversations}  {s.seconds / s.conversations * 1000:.1f}"
        )
    print("events: matched / found / labelled. due (dated): of matched labels that have a date.")
    short = [
        f"{name} {value:.3f} instead of {target}"
        for name, value, target in (
            ("precision", s.precision, PRECISION),
            ("recall", s.recall, RECALL),
            ("due", s.due, DUE),
        )
        if value < target
    ]
    if short:
        print(f"The held-out half falls short: {', '.join(short)}.")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
