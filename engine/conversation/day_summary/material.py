"""A day as it is summarised from: the conversations worth telling of, and what stands in the database about them."""

from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from engine.conversation.day_summary.document import DayActionItem, Place, Stats
from engine.conversation.given import segments_of_text
from engine.conversation.structured import Structured
from engine.moments import instant
from engine.store.whole import Whole
from engine.wire.messages import Segment

__all__ = ["Day", "Told"]

MINUTE = 60_000_000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation of the day. `began`: local time, HH:MM. `minutes`: how long it was."""

    id: str
    began: str
    minutes: float
    language: str
    structured: Structured
    segments: Sequence[Segment]
    to_do: int

    @property
    def weight(self) -> float:
        """How much of the day it was: its minutes, and what came of it."""
        return 1.0 + self.minutes + 5.0 * self.to_do + 5.0 * len(self.structured.events)


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A local day of one user with something in it. `people`: names by person id."""

    on: date
    conversations: Sequence[Told]
    stats: Stats
    action_items: tuple[DayActionItem, ...] = ()
    locations: tuple[Place, ...] = ()
    language: str = "en"
    owner_name: str = ""
    people: Mapping[str, str] = {}

    @classmethod
    def of(
        cls,
        day: date,
        wholes: Sequence[Whole],
        zone: ZoneInfo,
        *,
        language: str,
        owner_name: str,
        people: Mapping[str, str],
    ) -> "Day | None":
        """The day, of its conversations in time order; None where nothing was said in any that may be read."""
        spoken = [(whole, said) for whole in wholes if not whole.row.is_locked and (said := _said(whole))]
        if not spoken:
            return None
        items = tuple(item for whole, _ in spoken for item in _action_items(whole))
        minutes = sum(_minutes(whole) for whole, _ in spoken)
        return cls(
            on=day,
            conversations=[_told(whole, said, zone, language) for whole, said in spoken],
            stats=Stats(
                total_conversations=len(spoken),
                total_duration_minutes=round(minutes),
                action_items_count=len(items),
            ),
            action_items=items,
            locations=tuple(place for whole, _ in spoken if (place := _place(whole, zone)) is not None),
            language=language,
            owner_name=owner_name,
            people=people,
        )


def _said(whole: Whole) -> Sequence[Segment]:
    return [
        segment
        for segment in (*whole.segments,) or segments_of_text(whole.row.external_data)
        if segment.text.strip()
    ]


def _minutes(whole: Whole) -> float:
    return max(whole.row.finished_at - whole.row.started_at, 0) / MINUTE


def _told(whole: Whole, said: Sequence[Segment], zone: ZoneInfo, language: str) -> Told:
    row = whole.row
    return Told(
        id=row.id,
        began=_clock(row.started_at, zone),
        minutes=_minutes(whole),
        language=row.language or language,
        structured=msgspec.convert(row.structured, Structured),
        segments=said,
        to_do=len(whole.action_items),
    )


def _action_items(whole: Whole) -> list[DayActionItem]:
    return [
        DayActionItem(
            description=item.description,
            priority="medium" if item.completed else "high",
            completed=item.completed,
            source_conversation_id=whole.row.id,
        )
        for item in whole.action_items
    ]


def _place(whole: Whole, zone: ZoneInfo) -> Place | None:
    where = whole.row.geolocation or {}
    latitude, longitude = where.get("latitude"), where.get("longitude")
    if latitude is None or longitude is None:
        return None
    return Place(
        latitude=latitude,
        longitude=longitude,
        address=where.get("address"),
        conversation_id=whole.row.id,
        time=_clock(whole.row.started_at, zone),
    )


def _clock(moment: int, zone: ZoneInfo) -> str:
    return f"{instant(moment).astimezone(zone):%H:%M}"
