"""What is told of sessions, in the terms of `/metrics`: read when somebody scrapes, from what is counted anyway."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.audio_bytes import AudioBytes
from engine.webhooks.spool import Spool
from engine.webhooks.transcripts import Transcripts

__all__ = ["TellingCollector"]


class TellingCollector(Collector):
    """To be registered once per process."""

    def __init__(self, audio: AudioBytes, transcripts: Transcripts, spool: Spool) -> None:
        self._audio = audio
        self._transcripts = transcripts
        self._spool = spool

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`."""
        audio, transcripts = self._audio.statistics(), self._transcripts.statistics()
        spool = self._spool.statistics()
        gauges: dict[str, tuple[str, float]] = {
            "listen_webhook_sessions_heard": ("Sessions whose audio is cut for a webhook.", audio.heard),
            "listen_webhook_segments_waiting": ("Segments gathered for webhooks.", transcripts.waiting),
            "listen_webhook_spool_bytes": (
                "Audio on disk, to be delivered or sent again, of all processes.",
                spool.bytes,
            ),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value=value)
        lost = audio.lost_samples / SAMPLE_RATE
        counters: dict[str, tuple[str, float]] = {
            "listen_webhook_chunks": ("Chunks of audio cut for webhooks.", audio.chunks),
            "listen_webhook_audio_lost_seconds": ("Audio that was never cut for a webhook.", lost),
            "listen_webhook_segments_dropped": ("Segments never offered to webhooks.", transcripts.dropped),
            "listen_webhook_spool_dropped_bytes": ("Audio removed from a full spool.", spool.dropped_bytes),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value=value)
