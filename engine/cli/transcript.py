"""The transcript as a client keeps it, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from engine.wire.messages import Segment

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


class Transcript:
    """Segments by id, in the order of their times. Bounded by what the server sends in one session.

    `names`: of people the user knows, by id, as far as somebody has looked them up.
    """

    def __init__(self) -> None:
        self._segments: dict[str, Segment] = {}
        self._printed: dict[str, tuple[str, str]] = {}
        self.interim: tuple[Segment, ...] = ()
        self.names: dict[str, str] = {}

    def update(self, segments: Iterable[Segment]) -> None:
        """Add new segments and replace changed ones."""
        for segment in segments:
            self._segments[segment.id] = segment
        self.interim = ()

    def delete(self, ids: Iterable[str]) -> None:
        """Forget segments that the server merged into others."""
        for id in ids:
            self._segments.pop(id, None)

    @property
    def segments(self) -> list[Segment]:
        """All of them, by time."""
        return sorted(self._segments.values(), key=lambda segment: (segment.start, segment.end))

    @property
    def text(self) -> str:
        """The words alone."""
        return " ".join(segment.text.strip() for segment in self.segments)

    @property
    def unnamed(self) -> set[str]:
        """The people who speak and whose names are not known here."""
        people = {segment.person_id for segment in self._segments.values() if segment.person_id is not None}
        return people - self.names.keys()

    @property
    def decided(self) -> bool:
        """Whether no segment waits for its speaker's voice to be compared."""
        return all(segment.speech_profile_processed for segment in self._segments.values())

    def speaker(self, segment: Segment) -> str:
        """Who speaks in it, for the user to read: `you`, a person's name, or a number."""
        if segment.is_user:
            return "you"
        return self.names.get(segment.person_id or "", segment.speaker)

    def settled(self, *, all: bool = False) -> list[Segment]:
        """Segments not returned before in this form that will hardly change: not the last, unless `all`."""
        segments = self.segments if all else self.segments[:-1]
        forms = {segment.id: (self.speaker(segment), segment.text) for segment in segments}
        fresh = [segment for segment in segments if self._printed.get(segment.id) != forms[segment.id]]
        self._printed.update(forms)
        return fresh

    def tail(self, lines: int) -> RenderableType:
        """What a terminal with room for about `lines` lines should show, and the open utterance, dimmed."""
        shown = [*(self.styled(segment) for segment in self.segments[-lines:])]
        shown += [self.styled(segment, dim=True) for segment in self.interim]
        return Group(*shown)

    def styled(self, segment: Segment, *, dim: bool = False) -> Text:
        """`00:03.2  SPEAKER_00  Text`, with a colour for each speaker."""
        colour = _COLOURS[segment.speaker_id % len(_COLOURS)]
        return Text.assemble(
            (f"{clock(segment.start)}  ", "dim"),
            (f"{self.speaker(segment)}  ", f"bold {colour}"),
            (segment.text.strip(), "dim italic" if dim else ""),
        )

    def plain(self, segments: Iterable[Segment], *, timestamps: bool = True) -> Iterator[str]:
        """One line a segment."""
        for segment in segments:
            who = self.speaker(segment)
            span = f"[{clock(segment.start)} - {clock(segment.end)}] {who}: " if timestamps else ""
            yield span + segment.text.strip()


def clock(seconds: float) -> str:
    """`mm:ss.t`, with hours in front when there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:" if hours else "") + f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
