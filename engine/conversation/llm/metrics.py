"""What asking models costs and how it goes, in the terms of `/metrics`."""

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["CALLS", "DISTRUSTED", "OUTCOMES", "LlmMeter", "LlmMetrics", "NoMeter"]

CALLS = frozenset(("chat", "stream", "embeddings"))
OUTCOMES = frozenset(
    (
        "ok",
        # later it may work
        "connect", "timeout", "rate_limit", "overloaded", "cut", "broken", "busy",
        # it will not
        "auth", "quota", "refused", "context_length", "content_filter",
        # answers nobody could use; calls given up by who made them
        "unusable", "cancelled",
    )
)  # fmt: skip
DISTRUSTED = frozenset(
    (
        # of a whole answer
        "empty", "not_json", "wrong_shape",
        # repaired
        "fence", "prose", "truncated", "not_a_number", "repeated", "too_long",
        # of one item or field
        "wrong_type", "wrong_enum", "missing", "extra", "invented", "absurd_date", "absurd_number",
        "too_many", "duplicate",
    )
)  # fmt: skip

_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)


class LlmMeter(Protocol):
    """What a client of a model tells of its calls."""

    def finished(self, call: str, outcome: str, seconds: float) -> None:
        """A call of `CALLS` ended as one of `OUTCOMES`, all its retries counted as one."""
        ...

    def retried(self, outcome: str) -> None:
        """A try ended as `outcome` and is made again."""
        ...

    def tokens(self, prompt: int, completion: int) -> None:
        """The vendor counted so many tokens."""
        ...

    def distrusted(self, reason: str, count: int = 1) -> None:
        """So many things a model said were repaired or dropped, for one of `DISTRUSTED`."""
        ...


class NoMeter:
    """For who does not measure."""

    def finished(self, call: str, outcome: str, seconds: float) -> None:
        """Nothing is counted."""

    def retried(self, outcome: str) -> None:
        """Nothing is counted."""

    def tokens(self, prompt: int, completion: int) -> None:
        """Nothing is counted."""

    def distrusted(self, reason: str, count: int = 1) -> None:
        """Nothing is counted."""


class LlmMetrics:
    """The meter behind `/metrics`; registers its metrics with `registry`, once per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Histogram(
            "listen_llm_call_seconds",
            "Calls of language and embedding models, retries within.",
            ("call", "outcome"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._retries = Counter(
            "listen_llm_retries", "Tries of such calls that were made again.", ("outcome",), registry=registry
        )
        self._tokens = Counter(
            "listen_llm_tokens", "Tokens as the vendor counted them.", ("direction",), registry=registry
        )
        self._distrusted = Counter(
            "listen_llm_distrusted",
            "Things models said that were repaired or dropped.",
            ("reason",),
            registry=registry,
        )

    def finished(self, call: str, outcome: str, seconds: float) -> None:
        """A call took so long, its tries together; labels nobody foresaw are `other`, here and below."""
        self._calls.labels(_known(call, CALLS), _known(outcome, OUTCOMES)).observe(seconds)

    def retried(self, outcome: str) -> None:
        """A try ended so, and another is made."""
        self._retries.labels(_known(outcome, OUTCOMES)).inc()

    def tokens(self, prompt: int, completion: int) -> None:
        """The vendor counted so many."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)

    def distrusted(self, reason: str, count: int = 1) -> None:
        """So many things a model said were repaired or dropped."""
        self._distrusted.labels(_known(reason, DISTRUSTED)).inc(count)


def _known(value: str, accepted: frozenset[str]) -> str:
    return value if value in accepted else "other"
