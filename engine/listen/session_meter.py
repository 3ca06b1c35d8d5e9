"""Counting what one session uses."""

import trio

from engine.listen.channels import CallAudio
from engine.listen.pipeline import Pipeline
from engine.listen.ports import Conversations
from engine.listen.session import Session
from engine.listen.usage import UsageMeter
from engine.metrics import Metrics
from engine.stt.vendor import SAMPLE_RATE
from engine.wire.messages import FreemiumThresholdReached

__all__ = ["FREEMIUM_THRESHOLD", "SessionMeter"]

FREEMIUM_THRESHOLD = 180.0
"""Seconds of audio left of the quota at which the client is told."""


class SessionMeter:
    """Usage and metrics of one session, read every so often and once more at its end.

    `remaining_seconds`: audio that the user's quota had left when the session began; None without a quota.
    """

    def __init__(
        self,
        session: Session,
        pipeline: Pipeline | CallAudio,
        conversations: Conversations,
        metrics: Metrics,
        remaining_seconds: float | None = None,
    ) -> None:
        self._session = session
        self._pipeline = pipeline
        self._conversations = conversations
        self._metrics = metrics
        self._usage = UsageMeter()
        self._rejected = 0
        self._lost = 0
        self._gated = 0
        self._remaining = remaining_seconds

    async def run(self, interval: float) -> None:
        """Read for as long as the session lives."""
        self._use_up(0.0)
        while True:
            await trio.sleep(interval)
            self.read()

    def note(self) -> None:
        """Words are being kept: so is what they cost, though it is counted only when a portion is over."""
        usage = self._usage.peek(self._pipeline.usage(self._session.segments))
        self._conversations.using(self._session, usage)

    def read(self, *, over: bool = False) -> None:
        """Count what came since the last reading; before there is a journal for it, nothing until all is `over`."""
        if not (self._session.joined or over):
            return
        statistics = self._pipeline.statistics()
        usage = self._usage.read(self._pipeline.usage(self._session.segments))
        codec = self._session.parameters.codec
        self._metrics.audio_in(codec, usage.audio_samples / SAMPLE_RATE)
        rejected = statistics.ledger.packets_rejected
        self._metrics.decode_errors(codec, rejected - self._rejected)
        self._rejected = rejected
        self._metrics.lost_samples(statistics.ledger.lost - self._lost)
        self._lost = statistics.ledger.lost
        self._metrics.audio_gated((statistics.ledger.gated - self._gated) / SAMPLE_RATE)
        self._gated = statistics.ledger.gated
        if self._session.joined:
            self._conversations.used(self._session, usage)
        self._use_up(usage.audio_samples / SAMPLE_RATE)

    def _use_up(self, seconds: float) -> None:
        """Take off what was heard; once little is left, the client is told so, once."""
        if self._remaining is None:
            return
        self._remaining = max(0.0, self._remaining - seconds)
        if self._remaining <= FREEMIUM_THRESHOLD:
            self._session.notify(FreemiumThresholdReached(remaining_seconds=int(self._remaining)))
            self._remaining = None
