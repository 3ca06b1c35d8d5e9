"""What is extracted from a conversation, and the port that extractors implement.

The shapes are those of the Omi backend's `structured`, memories and search metadata. Times are aware datetimes in
UTC; msgspec writes them as ISO 8601 with `Z`. Nothing here is checked against the transcript: an extractor answers
for that.
"""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal, Protocol, get_args
from zoneinfo import ZoneInfo

import msgspec

from engine.wire.messages import Segment

# fmt: off
Category = Literal[
    "personal", "education", "health", "finance", "legal", "philosophy", "spiritual", "science",
    "entrepreneurship", "parenting", "romantic", "travel", "inspiration", "technology", "business", "social",
    "work", "sports", "politics", "literature", "history", "architecture", "music", "weather", "news",
    "entertainment", "psychology", "real", "design", "family", "economics", "environment", "other",
]
# fmt: on
CATEGORIES: tuple[str, ...] = get_args(Category)
"""The categories clients know; everything else is shown as "other". "real" is real estate."""

DEFAULT_EMOJI = "🧠"
DEFAULT_EVENT_MINUTES = 30

MEMORY_CATEGORIES = ("interesting", "system", "manual")
MAX_MEMORIES = 2
MAX_MEMORY_WORDS = 15
MAX_ACTION_ITEM_WORDS = 15
MAX_TITLE_WORDS = 10


class ActionItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that someone in the conversation is to do.

    `speaker` is the label of who is to do it, None when that is nobody in the conversation or unknown; `is_user` is
    true when it is the owner. A due day without a time of day is due at its last minute, local time.
    """

    description: str
    completed: bool = False
    due_at: datetime | None = None
    speaker: str | None = None
    is_user: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something for the calendar; `duration` in minutes."""

    title: str
    description: str = ""
    start: datetime
    duration: int = DEFAULT_EVENT_MINUTES
    created: bool = False


class Structured(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation was about. An empty title means that there was nothing worth keeping."""

    title: str = ""
    overview: str = ""
    emoji: str = DEFAULT_EMOJI
    category: str = "other"
    action_items: tuple[ActionItem, ...] = ()
    events: tuple[Event, ...] = ()


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """A durable fact about the owner, of at most `MAX_MEMORY_WORDS` words; `category` one of `MEMORY_CATEGORIES`."""

    content: str
    category: str = "system"


class Extraction(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of a conversation besides its transcript.

    People, topics and entities are for search (people as they are called, topics in small letters); `dates` are the
    local days that were spoken of. `emotions` is a sentence or two on how the speakers felt, empty when nothing
    showed. `notices` are plain sentences for the reader of logs on what was left out and why.
    """

    structured: Structured
    memories: tuple[Memory, ...] = ()
    people: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    dates: tuple[date, ...] = ()
    emotions: str = ""
    notices: tuple[str, ...] = ()


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """A finished conversation as an extractor reads it.

    `started_at` is aware; segment times are seconds after it. `time_zone` is the owner's and decides what "tomorrow"
    means. `language` is a BCP 47 tag ("en", "pt-BR") or "multi". `people` has the names of known speakers by
    `person_id`; the owner's segments are those with `is_user`.
    """

    segments: tuple[Segment, ...]
    started_at: datetime
    time_zone: ZoneInfo
    language: str = "en"
    owner_name: str = ""
    people: Mapping[str, str] = MappingProxyType({})


class Extractor(Protocol):
    """Turns transcripts into what is kept of them."""

    async def extract(self, transcript: Transcript) -> Extraction:
        """Works off the loop or waits for a server; when cancelled nothing was kept and it may be called again.

        Raises what the implementation documents for a service that does not answer; a transcript never makes it
        fail: with nothing to extract, the title is empty.
        """
        ...
