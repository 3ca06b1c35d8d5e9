"""What the process measures, in Prometheus' terms, with its own registry.

Counters and histograms are fed where things happen. Gauges are not counted up and down: each is a function
given to `watch`, read when somebody scrapes, so that a gauge cannot drift from what is alive. So are the counters
that something else keeps already, which thus are counted once.

Every label has a fixed set of values; anything else is counted under `other`. A user's id is never a label, unless an
operator asks for it (`webhook.endpoint_metrics`).
A call costs about a microsecond; what is on the path of each result (`Latency`) a third of that. Not thread-safe
beyond what prometheus-client is: call from the loop.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from engine._latencies import Latencies, Latency
from engine.wire import CODEC_RATES

__all__ = ["CONTENT_TYPE", "GAUGES", "TOTALS", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"

GAUGES: Mapping[str, str] = MappingProxyType(
    {
        "connections_active": "Live listen sessions.",
        "capacity_ratio": "Live sessions over the configured limit; scale on this.",
        "ring_fill_ratio": "Unread audio over the ring's size, of the fullest live session.",
        "stt_lag_seconds": "Audio received and not yet transcribed, of the session furthest behind.",
        "journal_pending_records": "Records in journals that are not in the database yet.",
        "database_writable": "1 when the last check could write to the database.",
        "jobs_waiting": "Jobs to be done or being done, of all processes.",
        "jobs_failed": "Jobs that were given up and are kept with their error, of all processes.",
        "webhook_deliveries_waiting": "Deliveries to webhooks that wait or are being made, of all processes.",
        "recording_tracks": "Sessions (channels, of calls) that are recorded now.",
        "recording_kept_seconds": "Audio that was recorded since the process began.",
        "recording_lost_seconds": "Audio to be recorded that was lost: no room, or a disk that was too slow.",
        "ready": "1 when /readyz says so.",
        "draining": "1 from the stop signal on.",
        "lane_connections": "Connections in the native lane.",
        "lane_links": "Connections to speech-to-text services in the native lane.",
        "lane_load": "Thousandths of a core that the event loop uses; messages to services grow with it.",
        "lane_slots": "Connections that the native lane has room for; others come in by the HTTP server.",
    }
)
"""Names (without the prefix) that `watch` accepts, and what each says."""

TOTALS: Mapping[str, str] = MappingProxyType(
    {
        "lane_runs": "Native calls for the sockets of the lane that were ready.",
        "lane_waits": "System calls of the lane: epoll_wait.",
        "lane_receives": "System calls of the lane: recv.",
        "lane_sends": "System calls of the lane: sendmsg.",
        "lane_controls": "System calls of the lane: epoll_ctl.",
        "lane_settings": "System calls of the lane: setsockopt and timerfd_settime.",
        "lane_overdue": "Sockets looked at because what should have gathered had not come in time.",
        "lane_sat_out": "Times a client was left alone for a moment, because it flooded the server.",
        "lane_bytes_in": "Bytes received by the lane.",
        "lane_bytes_copied": "Bytes the lane copied in user space, but for decoded samples.",
        "lane_messages": "Messages received by the lane.",
        "lane_decoded": "Messages of these that the lane decoded, without Python.",
        "lane_vendor_messages": "Messages of these that came from speech-to-text services.",
        "lane_vendor_frames": "Messages of audio that the lane sent to services, without Python.",
        "lane_vendor_samples": "Samples in these.",
    }
)
"""The same for counters that are kept elsewhere; `_total` is added to their names."""

REJECTIONS = frozenset(
    (
        # a limit or the state of the server
        "capacity", "user_sessions", "connect_rate", "draining", "starting", "unplaced",
        # who the client is
        "auth", "auth_expired", "auth_timeout", "uid",
        # a parameter that cannot be served
        "codec", "sample_rate", "channels", "language", "stt_service", "conversation_timeout",
    )
)  # fmt: skip
STAGES: Mapping[str, str] = MappingProxyType(
    {
        "receive": "from the lane's turning to a packet's socket to decoding it",
        "decode": "decoding a packet into the session's ring",
        "queue": "from the arrival of a segment's last word to its being given to speech-to-text",
        "vendor": "from there to the final result that holds the word",
        "merge": "from there to the segment's being in the journal",
        "send": "from there to the client's socket having taken it",
    }
)
"""Where the time of a segment goes, in order; README has the fine print."""
JOBS = frozenset(
    ("process", "erase", "index", "describe_photo", "move_photos", "erase_blobs", "summarise", "learn")
)
JOB_OUTCOMES = frozenset(
    ("completed", "discarded", "gone", "empty", "disabled", "erased", "moved", "retried", "failed")
)
VENDORS = frozenset(("dg-nova-3", "dg-nova-2", "soniox-stt-rt", "speechmatics-rt", "vosk", "local-whisper"))
VENDOR_FAILURES = frozenset(("connect", "closed", "timeout", "rejected", "overloaded", "error"))

_LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
_STAGE = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_JOB = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_STALL = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class _Watched(Collector):
    """Turns the watched functions into gauges and counters at scrape time."""

    def __init__(self) -> None:
        self.sources: dict[str, Callable[[], float]] = {}

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        for name, source in self.sources.items():
            if name in GAUGES:
                yield GaugeMetricFamily(f"listen_{name}", GAUGES[name], value=source())
            else:
                yield CounterMetricFamily(f"listen_{name}", TOTALS[name], value=source())


class Metrics:
    """The metrics of one server. Methods named after what happened; see each name's help text in /metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._watched = _Watched()
        self.registry.register(self._watched)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._connected = self._counter("connections", "WebSockets accepted, refused ones among them.")
        self._rejected = self._counter("connections_rejected", "Connections refused.", "reason")
        self._failed = self._counter("session_errors", "Sessions ended by a fault of the server (1011).")
        self._audio = self._counter("audio_in_seconds", "Audio received and decoded.", "codec")
        self._gated = self._counter(
            "audio_gated_seconds", "Audio kept from speech-to-text services because nobody spoke."
        )
        self._decode_errors = self._counter("decode_errors", "Packets that could not be decoded.", "codec")
        self._lost = self._counter("audio_lost_samples", "Samples at 16 kHz lost; must stay 0.")
        self._vendor_failures = self._counter(
            "vendor_failures", "Failures of a speech-to-text service.", "vendor", "reason"
        )
        self._failovers = self._counter(
            "vendor_failover", "Sessions that went on with another service.", "from", "to"
        )
        self._replayed = self._counter(
            "replayed_audio_seconds", "Audio given to a service again because another had failed."
        )
        self.segment_latency = Latency(_LATENCY)
        self._latencies(
            "segment_latency_seconds",
            "From the end of a word's audio to its segment being sent.",
            {"": self.segment_latency},
        )
        self._stages = {stage: Latency(_STAGE) for stage in STAGES}
        each = "; ".join(f"{stage}: {text}" for stage, text in STAGES.items())
        text = f"Time in one stage of the live path, once for each final result. {each}."
        self._latencies("stage_latency_seconds", text, self._stages, "stage")
        self._jobs = self._histogram(
            "job_seconds", "Jobs done, among them conversations processed.", _JOB, "kind", "outcome"
        )
        self._stall = self._histogram("loop_stall_seconds", "How late the event loop woke a timer.", _STALL)

        text = "For how long a full pass of Python's cycle collector held the event loop."
        self._garbage = self._histogram("garbage_collection_seconds", text, _STALL)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"listen_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"listen_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _latencies(self, name: str, text: str, series: Mapping[str, Latency], label: str = "") -> None:
        self.registry.register(Latencies(f"listen_{name}", text, label, series))

    def watch(self, **sources: Callable[[], float]) -> None:
        """Read these gauges and counters at scrape time, replacing earlier sources of the same names.

        Raises ValueError for a name that is neither in `GAUGES` nor in `TOTALS`.
        """
        known = (*GAUGES, *TOTALS)
        for name in sources:
            if name not in known:
                raise ValueError(f"gauge {name!r} is not known: use one of {', '.join(known)}")
        self._watched.sources |= sources

    def connected(self) -> None:
        """A WebSocket came to a listen route; it may still be refused."""
        self._connected.inc()

    def rejected(self, reason: str | None) -> None:
        """A connection was refused. `reason`: one of `REJECTIONS`, which holds parameter names too."""
        self._rejected.labels(_bounded(reason, REJECTIONS)).inc()

    def session_failed(self) -> None:
        """A session ended by a fault of ours."""
        self._failed.inc()

    def audio_in(self, codec: str, seconds: float) -> None:
        """So much audio was received and decoded."""
        self._audio.labels(_bounded(codec, CODEC_RATES)).inc(seconds)

    def audio_gated(self, seconds: float) -> None:
        """The silence gate kept so much from a vendor; its share is this over `audio_in_seconds`."""
        self._gated.inc(seconds)

    def decode_errors(self, codec: str, packets: int = 1) -> None:
        """So many packets were not the codec."""
        self._decode_errors.labels(_bounded(codec, CODEC_RATES)).inc(packets)

    def lost_samples(self, samples: int) -> None:
        """So many samples were never transcribed."""
        self._lost.inc(samples)

    def stage(self, name: str) -> Latency:
        """The series of one of `STAGES`, to be looked up once and observed in often. Raises KeyError for others."""
        return self._stages[name]

    def vendor_failures(self, vendor: str, reason: str) -> None:
        """`vendor` as in `STT_SERVICE_MODELS`; `reason`: one of `VENDOR_FAILURES`."""
        self._vendor_failures.labels(_bounded(vendor, VENDORS), _bounded(reason, VENDOR_FAILURES)).inc()

    def vendor_failover(self, before: str, after: str, replayed_seconds: float) -> None:
        """A session went on with another vendor, which was given this much audio again."""
        self._failovers.labels(_bounded(before, VENDORS), _bounded(after, VENDORS)).inc()
        self._replayed.inc(replayed_seconds)

    def job(self, kind: str, outcome: str, seconds: float) -> None:
        """A job was done, failed or is tried again."""
        self._jobs.labels(_bounded(kind, JOBS), _bounded(outcome, JOB_OUTCOMES)).observe(seconds)

    def loop_stall(self, seconds: float) -> None:
        """The loop woke so much later than it wanted to."""
        self._stall.observe(seconds)

    def garbage_collected(self, seconds: float) -> None:
        """A full pass of Python's cycle collector held the loop for so long."""
        self._garbage.observe(seconds)

    def expose(self) -> bytes:
        """The registry in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)


def _bounded(value: str | None, accepted: Collection[str]) -> str:
    return value if value is not None and value in accepted else OTHER
