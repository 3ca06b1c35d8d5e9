"""What `listen stream` shows while it runs: live on a terminal, plain lines elsewhere, or JSON."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn

from engine.cli.transcript import Transcript, clock
from engine.wire.messages import Event, InterimSegments, Segment, SegmentsDeleted, ServiceStatus

if TYPE_CHECKING:
    from engine.cli.sending import Sent
    from engine.client import Message

REDRAW = 0.1
"""Seconds between two drawings of the progress bar."""

# Steps of every session, of no interest while it goes well.
_ROUTINE = frozenset(
    {"initiating", "in_progress_conversations_processing", "stt_initiating", "ready", "flushed"}
)


class View(Protocol):
    """Shows what arrives. `message` is called after the transcript was brought up to date."""

    def __enter__(self) -> View: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def message(self, message: Message, offset: float) -> None:
        """A message came; `offset` is how far the conversation's time is ahead of the recording's."""

    def progress(self) -> None:
        """More audio was sent."""

    def finish(self, summary: dict[str, object]) -> None:
        """The stream is over: print what is left."""


class _Quiet:
    def __enter__(self) -> View:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to take down."""

    def message(self, message: Message, offset: float) -> None:
        """See View."""

    def progress(self) -> None:
        """See View."""

    def finish(self, summary: dict[str, object]) -> None:
        """See View."""


class JsonView(_Quiet):
    """One JSON object a line, each with `sent` (s of audio) and `wall` (s since the first sample)."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent

    def message(self, message: Message, offset: float) -> None:
        """See View."""
        if isinstance(message, tuple):
            segments = [self._segment(segment, offset) for segment in message]
            self._line("segments", {"segments": segments})
        elif isinstance(message, Event):
            self._line("event", {"event": msgspec.to_builtins(message)})
        else:
            self._line("event", {"event": message.fields})

    def finish(self, summary: dict[str, object]) -> None:
        """See View."""
        self._line("done", summary)

    def _segment(self, segment: Segment, offset: float) -> dict[str, object]:
        latency = self._sent.latency(segment.end - offset)
        fields: dict[str, object] = msgspec.to_builtins(segment)
        return fields | {"latency_ms": None if latency is None else round(latency * 1000)}

    def _line(self, kind: str, content: dict[str, object]) -> None:
        times = {"sent": round(self._sent.position, 3), "wall": round(self._sent.wall(), 3)}
        print(json.dumps({"type": kind, **times, **content}, ensure_ascii=False), flush=True)


class PlainView(_Quiet):
    """For pipes and files: a line a segment once the next one has begun, and again if it changed after all.

    Trouble goes to standard error.
    """

    def __init__(self, transcript: Transcript, errors: Console) -> None:
        self._transcript = transcript
        self._errors = errors

    def message(self, message: Message, offset: float) -> None:
        """See View."""
        for line in self._transcript.plain(self._transcript.settled()):
            print(line, flush=True)
        trouble(message, self._errors)

    def finish(self, summary: dict[str, object]) -> None:
        """See View."""
        for line in self._transcript.plain(self._transcript.settled(all=True)):
            print(line, flush=True)


class LiveView(_Quiet):
    """The transcript as it grows above a progress bar; the whole transcript when it is over."""

    def __init__(self, transcript: Transcript, sent: Sent, seconds: float, console: Console) -> None:
        self._transcript = transcript
        self._sent = sent
        self._console = console
        self._bar = Progress(
            BarColumn(), TextColumn("{task.description}"), console=console, auto_refresh=False
        )
        self._task = self._bar.add_task("connecting", total=seconds)
        self._seconds = seconds
        self._drawn = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> View:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def message(self, message: Message, offset: float) -> None:
        """See View."""
        trouble(message, self._live.console)
        self._refresh()

    def progress(self) -> None:
        """See View."""
        now = time.monotonic()
        if now - self._drawn >= REDRAW:
            self._drawn = now
            self._refresh()

    def finish(self, summary: dict[str, object]) -> None:
        """See View."""
        for segment in self._transcript.segments:
            self._console.print(self._transcript.styled(segment))

    def _refresh(self) -> None:
        state = "waiting for the last words" if self._sent.complete else "sending"
        label = f"{clock(self._sent.position)} / {clock(self._seconds)}  {state}"
        self._bar.update(self._task, completed=self._sent.position, description=label)
        room = max(3, self._console.height - 4)
        self._live.update(Group(self._transcript.tail(room), self._bar), refresh=True)


def trouble(message: Message, console: Console) -> None:
    """Say it when the service is not well."""
    if isinstance(message, ServiceStatus) and message.status not in _ROUTINE:
        text = f": {message.status_text}" if message.status_text else ""
        console.print(f"{message.status}{text}", style="yellow", markup=False, highlight=False)


def apply(message: Message, transcript: Transcript) -> None:
    """Bring the transcript up to date."""
    if isinstance(message, tuple):
        transcript.update(message)
    elif isinstance(message, SegmentsDeleted):
        transcript.delete(message.segment_ids)
    elif isinstance(message, InterimSegments):
        transcript.interim = message.segments
