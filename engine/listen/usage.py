"""What a session used, in portions that add up to its ledger."""

from engine.listen.pipeline import PipelineStatistics
from engine.listen.ports import SessionUsage


class UsageMeter:
    """Gives what came since the last reading, so that the sum of all readings is the session's total."""

    def __init__(self) -> None:
        self._last = SessionUsage()

    def read(self, pipeline: PipelineStatistics, segments: int) -> SessionUsage:
        """The portion since the last reading. `segments` may shrink when merging swallows one."""
        portion, self._last = self._portion(pipeline, segments)
        return portion

    def peek(self, pipeline: PipelineStatistics, segments: int) -> SessionUsage:
        """What `read` would give."""
        return self._portion(pipeline, segments)[0]

    def _portion(self, pipeline: PipelineStatistics, segments: int) -> tuple[SessionUsage, SessionUsage]:
        """Since the last reading, and in all."""
        total = SessionUsage(
            sessions=1,
            audio_samples=pipeline.ledger.decoded + pipeline.ledger.concealed,
            speech_samples=pipeline.ledger.final,
            words=pipeline.words,
            segments=segments,
            vendor_samples=pipeline.vendor_samples,
        )
        last = self._last
        portion = SessionUsage(
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
        return portion, total
