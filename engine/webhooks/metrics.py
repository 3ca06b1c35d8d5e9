"""What delivery measures. Labels have fixed values, and no URL is ever one; the status route says more to each user.

For operators who ask for it (`webhook.endpoint_metrics`) requests and bytes are also counted by user and endpoint, of
so many endpoints: those that come later are counted together, without a user.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from engine.webhooks.triggers import TRIGGERS

__all__ = ["DeliveryMetrics"]

OUTCOMES = frozenset(
    ("1xx", "2xx", "3xx", "4xx", "5xx", "address", "dns", "connect", "tls", "timeout", "broken", "spool")
)
OTHERS = "other"
BY_ENDPOINT = (
    ("listen_webhook_endpoint_requests", "Requests to one endpoint."),
    ("listen_webhook_endpoint_sent_bytes", "Bytes of bodies sent to one endpoint."),
)
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class DeliveryMetrics:
    """Fed by `Delivery`. `endpoints`: so many are counted one by one."""

    def __init__(self, registry: CollectorRegistry, endpoints: int = 0) -> None:
        self._by_endpoint = _ByEndpoint(endpoints) if endpoints else None
        if self._by_endpoint is not None:
            registry.register(self._by_endpoint)
        self._requests = Counter(
            "listen_webhook_requests",
            "Requests to endpoints, by what came of each.",
            ("trigger", "to", "outcome"),
            registry=registry,
        )
        self._bytes = Counter(
            "listen_webhook_sent_bytes", "Bytes of bodies sent.", ("trigger", "to"), registry=registry
        )
        self._ended = Counter(
            "listen_webhook_deliveries",
            "Deliveries that ended: delivered, dead (tried often enough), dropped (too old).",
            ("trigger", "to", "state"),
            registry=registry,
        )
        self._disabled = Counter(
            "listen_webhook_disabled",
            "Endpoints turned off because they failed.",
            ("trigger",),
            registry=registry,
        )
        self._seconds = Histogram(
            "listen_webhook_seconds",
            "From a request's beginning to its answer, or to its failing.",
            ("trigger",),
            buckets=_SECONDS,
            registry=registry,
        )

    def requested(self, uid: str, trigger: str, name: str, outcome: str, size: int, seconds: float) -> None:
        """A request was made. `outcome`: as `Attempt.outcome`."""
        if self._by_endpoint is not None:
            self._by_endpoint.requested((uid, name, trigger), size)
        trigger, to = _trigger(trigger), _to(name)
        self._requests.labels(trigger, to, outcome if outcome in OUTCOMES else "other").inc()
        self._bytes.labels(trigger, to).inc(size)
        self._seconds.labels(trigger).observe(seconds)

    def ended(self, trigger: str, name: str, state: str, count: int = 1) -> None:
        """Deliveries have ended."""
        self._ended.labels(_trigger(trigger), _to(name), state).inc(count)

    def disabled(self, trigger: str) -> None:
        """An endpoint was turned off."""
        self._disabled.labels(_trigger(trigger)).inc()


class _ByEndpoint(Collector):
    """Requests and bytes of the first `most` endpoints that were sent to, and of all others together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[tuple[str, str, str], list[int]] = {}

    def requested(self, endpoint: tuple[str, str, str], size: int) -> None:
        """A request to an endpoint: user, name, trigger."""
        if endpoint not in self._counts and len(self._counts) >= self._most:
            endpoint = ("", OTHERS, OTHERS)
        counts = self._counts.setdefault(endpoint, [0, 0])
        counts[0] += 1
        counts[1] += size

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See `Collector`."""
        for place, (name, text) in enumerate(BY_ENDPOINT):
            family = CounterMetricFamily(name, text, labels=("uid", "endpoint", "trigger"))
            for endpoint, counts in self._counts.items():
                family.add_metric(endpoint, counts[place])
            yield family


def _trigger(trigger: str) -> str:
    return trigger if trigger in TRIGGERS else "other"


def _to(name: str) -> str:
    """Users' own endpoints, or those of apps."""
    return "app" if name.startswith("app:") else "developer"
