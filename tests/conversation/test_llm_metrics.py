"""What /metrics says about models."""

from prometheus_client import CollectorRegistry

from engine.conversation.llm.metrics import LlmMetrics


def test_calls_retries_tokens_and_doubts_are_counted_under_known_labels() -> None:
    registry = CollectorRegistry()
    metrics = LlmMetrics(registry)
    metrics.finished("chat", "ok", 2.0)
    metrics.finished("chat", "what the vendor said", 1.0)
    metrics.retried("cut")
    metrics.tokens(100, 20)
    metrics.distrusted("fence")
    metrics.distrusted("extra", 3)
    value = registry.get_sample_value
    assert value("listen_llm_call_seconds_sum", {"call": "chat", "outcome": "ok"}) == 2
    assert value("listen_llm_call_seconds_count", {"call": "chat", "outcome": "other"}) == 1
    assert value("listen_llm_retries_total", {"outcome": "cut"}) == 1
    assert value("listen_llm_tokens_total", {"direction": "prompt"}) == 100
    assert value("listen_llm_distrusted_total", {"reason": "extra"}) == 3
