"""What the pipeline reports of a session's audio: words go on record, and the client is told how it goes.

`Reports` is the pipeline's `Listener`; it keeps nothing but how far transcription was behind when last heard.
"""

from collections.abc import Callable, Sequence

from engine.listen.listener import Listener
from engine.listen.record import Record
from engine.metrics import Metrics
from engine.stt.vendor import SAMPLE_RATE, Fault, Vendor, VendorError
from engine.transcript.words import Word
from engine.wire.messages import Event, ServiceStatus

FAILURE_REASONS = {
    Fault.ELSEWHERE: "rejected",
    Fault.RETRY_AFTER: "overloaded",
    Fault.RETRY_NOW: "closed",
}
"""What a failure is called in the metrics."""


class Reports(Listener):
    """One session's `Listener`. Its methods are called between two awaits."""

    def __init__(
        self,
        record: Record,
        notify: Callable[[Event], None],
        ready: Callable[[], None],
        metrics: Metrics,
        *,
        interim_results: bool,
    ) -> None:
        """`ready` is called when a vendor takes audio; interim results are dropped unless the client wants them."""
        self.lag = 0.0
        self._record = record
        self._notify = notify
        self._ready = ready
        self._metrics = metrics
        self._interim_results = interim_results

    def on_ready(self, vendor: Vendor) -> None:
        """See `Listener`."""
        self._ready()

    def on_silence(self, ended: int, began: int) -> None:
        """See `Listener`."""
        self._record.silence_passed(ended, began)

    def on_words(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""
        self._record.words(words, vendor)

    def on_interim(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""
        if self._interim_results:
            self._record.interim(words, vendor)

    def on_same_speaker(self, gone: int, kept: int) -> None:
        """See `Listener`."""
        self._record.same_speaker(gone, kept)

    def on_lag(self, seconds: float) -> None:
        """See `Listener`."""
        was, self.lag = self.lag, seconds
        if seconds and not was:
            text = "More is being said than this server can transcribe at once; nothing is lost"
            self._notify(ServiceStatus(status="stt_lagging", status_text=text, lag_seconds=round(seconds, 1)))
        elif was and not seconds:
            self._notify(ServiceStatus(status="stt_caught_up"))

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""
        self._metrics.vendor_failures(vendor.name, FAILURE_REASONS[error.fault])

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        """See `Listener`."""
        self._metrics.vendor_failover(before.name, after.name, replayed / SAMPLE_RATE)

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""
        text = "Speech to text is interrupted; what is said is kept and will be transcribed"
        reason, provider = error.fault.value, vendor.provider
        self._notify(ServiceStatus("stt_degraded", text, provider=provider, retryable=True, reason=reason))

    def on_recovered(self, vendor: Vendor) -> None:
        """See `Listener`."""
        self._notify(ServiceStatus("stt_recovered", provider=vendor.provider))

    def on_progress(self) -> None:
        """See `Listener`."""
        self._record.heard()
