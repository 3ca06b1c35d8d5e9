"""The transcript as a client keeps it, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from engine.wire.messages import Segment

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


class Transcript:
    """Segments by id, in the order of their times. Bounded by what the server sends in one session."""

    def __init__(self) -> None:
        self._segments: dict[str, Segment] = {}
        self._printed: dict[str, str] = {}
        self.interim: tuple[Segment, ...] = ()

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

    def settled(self, *, all: bool = False) -> list[Segment]:
        """Segments not returned before in this form that will hardly change: not the last, unless `all`."""
        segments = self.segments if all else self.segments[:-1]
        fresh = [segment for segment in segments if self._printed.get(segment.id) != segment.text]
        self._printed.update({segment.id: segment.text for segment in fresh})
        return fresh

    def tail(self, lines: int) -> RenderableType:
        """What a terminal with room for about `lines` lines should show, and the open utterance, dimmed."""
        shown = [*(styled(segment) for segment in self.segments[-lines:])]
        shown += [styled(segment, dim=True) for segment in self.interim]
        return Group(*shown)


def styled(segment: Segment, *, dim: bool = False) -> Text:
    """`00:03.2  SPEAKER_00  Text`, with a colour for each speaker."""
    colour = _COLOURS[segment.speaker_id % len(_COLOURS)]
    name = "you" if segment.is_user else segment.speaker
    return Text.assemble(
        (f"{clock(segment.start)}  ", "dim"),
        (f"{name}  ", f"bold {colour}"),
        (segment.text.strip(), "dim italic" if dim else ""),
    )


def plain(segments: Sequence[Segment], *, timestamps: bool = True) -> Iterator[str]:
    """One line a segment."""
    for segment in segments:
        name = "you" if segment.is_user else segment.speaker
        span = f"[{clock(segment.start)} - {clock(segment.end)}] {name}: " if timestamps else ""
        yield span + segment.text.strip()


def clock(seconds: float) -> str:
    """`mm:ss.t`, with hours in front when there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:" if hours else "") + f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
