"""When somebody spoke last, on one timeline of audio and then on the clock.

Operations: `came` with each packet, `spoken` and `activity` with what a vendor found; asked for `silence`, `waiting`
and how long ago a sample came.
Invariants: audio that nobody has transcribed yet may be speech; it is never counted as silence.
Bounded: it keeps five values. Not for several tasks: called between two awaits.
"""

import trio

from engine.audio.intake import Intake
from engine.audio.ring import Ring
from engine.listen.backlog import Backlog
from engine.stt.vendor import SAMPLE_RATE, Activity

UNHEARD_TOLERANCE = SAMPLE_RATE
"""Audio the vendor has not read counts as possible speech from this many samples on (vendors read in chunks)."""

Silence = tuple[int, int]
"""Samples: speech ended, speech began again."""


class Speech:
    """Of one `Pipeline`."""

    def __init__(self, ring: Ring, backlog: Backlog | None) -> None:
        """Without a `backlog` nobody here transcribes: the client says when there is speech."""
        self.intake: Intake | None = None
        self.at_the_door = False
        self._ring = ring
        self._backlog = backlog
        self._audio_at: float | None = None
        self._last: int | None = None
        self._end = 0
        self._speaking = False

    # What happens

    def came(self) -> None:
        """Audio is here, past the intake."""
        self._audio_at = trio.current_time()

    def heard_elsewhere(self) -> None:
        """The client, which transcribes by itself, heard speech just now."""
        self._last = self._ring.write_position
        self.came()

    def spoken(self, began: int, until: int) -> Silence | None:
        """Speech from sample `began` to sample `until`, or still going on there. Returns the silence it broke."""
        broken = None if self._last is None or began <= self._last else (self._last, began)
        self._last = max(self._last or 0, until)
        return broken

    def activity(self, activity: Activity) -> Silence | None:
        """A vendor heard that somebody began to speak, or stopped. Returns the silence that was broken."""
        if activity.speaking or not self._speaking:
            broken = self.spoken(activity.position, activity.position)
        else:
            broken = self.spoken(self._last or 0, activity.position)
        if not activity.speaking:
            self._end = max(self._end, activity.position)
        self._speaking = activity.speaking
        return broken

    def interrupted(self) -> None:
        """The vendor that said somebody speaks is gone."""
        self._speaking = False

    def forget(self) -> None:
        """A new conversation begins: the silence in it has not been broken yet."""
        self._last = None

    # What is known

    @property
    def last_audio_at(self) -> float | None:
        """When the last audio came, on Trio's clock; None before any."""
        quiet = self._quiet_for()
        return None if quiet is None else trio.current_time() - quiet

    @property
    def waiting(self) -> bool:
        """Whether received audio may hold speech that no final result covers yet."""
        backlog = self._backlog
        if backlog is None:
            return False
        return (
            self.at_the_door
            or self._speaking
            or self._end > backlog.covered
            or backlog.unread > UNHEARD_TOLERANCE
        )

    def silence(self) -> float | None:
        """Seconds of silence since the end of the last speech; None before any.

        On the audio's timeline and then the clock's. What nobody has transcribed yet may be speech: until it is,
        only what was is known to be silent.
        """
        if self._last is None:
            return None
        if self._backlog is not None and self._backlog.waiting:
            return max(0, self._backlog.covered - self._last) / SAMPLE_RATE
        return self.since()

    def since(self) -> float | None:
        """Seconds since the end of the last speech that is known; None before any."""
        return None if self._last is None else self.age(min(self._last, self._ring.write_position))

    def age(self, position: int) -> float:
        """Seconds since sample `position` was received, for audio that comes in real time."""
        quiet = self._quiet_for()
        return 0.0 if quiet is None else (self._ring.write_position - position) / SAMPLE_RATE + quiet

    def _quiet_for(self) -> float | None:
        """Seconds since the last audio came; None before any."""
        quiet = self.intake.quiet_for() if self.intake is not None else None
        if self._audio_at is None:
            return quiet
        fed = trio.current_time() - self._audio_at
        return fed if quiet is None else min(quiet, fed)
