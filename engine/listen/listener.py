"""What a pipeline tells of its audio, and whom."""

from collections.abc import Sequence
from typing import Protocol

from engine.stt.vendor import Vendor, VendorError
from engine.transcript.words import Word


class Listener(Protocol):
    """Who is told what the pipeline finds. Called between two awaits: must not block."""

    def on_ready(self, vendor: Vendor) -> None:
        """The vendor takes audio."""
        ...

    def on_words(self, words: Sequence[Word], vendor: Vendor) -> None:
        """Final words, in order, each sample of whose time has not been covered before."""
        ...

    def on_interim(self, words: Sequence[Word], vendor: Vendor) -> None:
        """The open utterance so far."""
        ...

    def on_same_speaker(self, gone: int, kept: int) -> None:
        """The speakers of two numbers are one: whose words had the number `gone` is `kept`."""
        ...

    def on_lag(self, seconds: float) -> None:
        """Transcription is this far behind; 0 when it has caught up."""
        ...

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        """A try to connect, or a stream, failed."""
        ...

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        """Another vendor goes on, `replayed` samples back from what had been read."""
        ...

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        """Transcription stopped; the audio is kept. Told once until `on_recovered`."""
        ...

    def on_recovered(self, vendor: Vendor) -> None:
        """Transcription goes on, with `vendor`."""
        ...

    def on_silence(self, ended: int, began: int) -> None:
        """Between samples `ended` and `began` nobody spoke."""
        ...

    def on_progress(self) -> None:
        """Speech began or ended, or silence went on: the sample timeline moved."""
        ...
