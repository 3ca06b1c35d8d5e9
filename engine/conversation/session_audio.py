"""The last of a session's audio, for those who listen to what was said in it a moment ago.

Operations: `run` beside the session, `between` any time; `close`.
Invariants: the session never waits for it. Bounded: see `engine.conversation.turns.RecentAudio`.
Cost: one wake-up and one copy each second.
"""

from engine.conversation.turns import RecentAudio, Samples
from engine.listen.ports import Followed
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["SessionAudio"]

RUN = SAMPLE_RATE


class SessionAudio:
    """Of one session, from its beginning."""

    def __init__(self, session: Followed) -> None:
        self._tap = session.tap("voices", lossless=False, keep=RUN)
        self._recent = RecentAudio()

    async def run(self) -> None:
        """Keep the last of the audio, until no more follows."""
        while not self._tap.over:
            await self._tap.wait(RUN)
            self._take_over()

    def between(self, start: int, end: int) -> Samples | None:
        """See `RecentAudio.between`."""
        self._take_over()
        return self._recent.between(start, end)

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self._tap.close()

    def _take_over(self) -> None:
        if self._tap.behind:
            self._recent.add(self._tap.take(self._tap.behind))
