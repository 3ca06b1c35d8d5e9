"""What a session used, in portions that add up to its ledger."""

from engine.listen.ports import SessionUsage


class UsageMeter:
    """Gives what came since the last reading, so that the sum of all readings is the session's total."""

    def __init__(self) -> None:
        self._last = SessionUsage()

    def read(self, total: SessionUsage) -> SessionUsage:
        """The portion since the last reading. `segments` may shrink when merging swallows one."""
        portion, self._last = self.peek(total), total
        return portion

    def peek(self, total: SessionUsage) -> SessionUsage:
        """What `read` would give."""
        last = self._last
        return SessionUsage(
            sessions=total.sessions - last.sessions,
            audio_samples=total.audio_samples - last.audio_samples,
            speech_samples=total.speech_samples - last.speech_samples,
            words=total.words - last.words,
            segments=total.segments - last.segments,
            vendor_samples={
                name: samples - last.vendor_samples.get(name, 0)
                for name, samples in total.vendor_samples.items()
            },
        )
