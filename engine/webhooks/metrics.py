"""What delivery measures. Labels have fixed values: no user, endpoint or URL is one; the status route has those."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from engine.webhooks.triggers import TRIGGERS

__all__ = ["DeliveryMetrics"]

OUTCOMES = frozenset(
    ("1xx", "2xx", "3xx", "4xx", "5xx", "address", "dns", "connect", "tls", "timeout", "broken", "spool")
)
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class DeliveryMetrics:
    """Fed by `Delivery`."""

    def __init__(self, registry: CollectorRegistry) -> None:
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

    def requested(self, trigger: str, name: str, outcome: str, size: int, seconds: float) -> None:
        """A request was made. `outcome`: as `Attempt.outcome`."""
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


def _trigger(trigger: str) -> str:
    return trigger if trigger in TRIGGERS else "other"


def _to(name: str) -> str:
    """Users' own endpoints, or those of apps."""
    return "app" if name.startswith("app:") else "developer"
