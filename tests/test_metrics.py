"""What /metrics says."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.metrics import GAUGES, STAGES, TOTALS, Metrics


def test_what_happened_is_counted_under_its_label() -> None:
    metrics = Metrics()
    metrics.connected()
    metrics.rejected("codec")
    metrics.session_failed()
    metrics.audio_in("opus", 1.5)
    metrics.audio_in("opus", 0.5)
    metrics.audio_gated(0.25)
    metrics.decode_errors("lc3", 3)
    metrics.lost_samples(160)
    metrics.segment_latency.observe(0.3)
    metrics.stage("decode").observe(0.00002)
    metrics.vendor_failures("local-whisper", "timeout")
    metrics.loop_stall(0.002)
    value = metrics.registry.get_sample_value
    assert value("listen_connections_total") == 1
    assert value("listen_connections_rejected_total", {"reason": "codec"}) == 1
    assert value("listen_session_errors_total") == 1
    assert value("listen_audio_in_seconds_total", {"codec": "opus"}) == 2
    assert value("listen_decode_errors_total", {"codec": "lc3"}) == 3
    assert value("listen_audio_gated_seconds_total") == 0.25
    assert value("listen_audio_lost_samples_total") == 160
    assert value("listen_segment_latency_seconds_sum") == 0.3
    assert value("listen_stage_latency_seconds_count", {"stage": "decode"}) == 1
    labels = {"vendor": "local-whisper", "reason": "timeout"}
    assert value("listen_vendor_failures_total", labels) == 1
    assert value("listen_loop_stall_seconds_count") == 1


def test_labels_nobody_foresaw_cannot_grow_the_series() -> None:
    metrics = Metrics()
    for n in range(1000):
        metrics.rejected(f"reason {n}")
        metrics.audio_in(f"codec {n}", 1)
        metrics.decode_errors(f"codec {n}")
        metrics.vendor_failures(f"vendor {n}", f"reason {n}")
    metrics.rejected(None)
    value = metrics.registry.get_sample_value
    assert value("listen_connections_rejected_total", {"reason": "other"}) == 1001
    assert value("listen_vendor_failures_total", {"vendor": "other", "reason": "other"}) == 1000
    assert len(metrics.expose().splitlines()) < 250


def test_every_stage_of_a_segment_is_a_series_from_the_start() -> None:
    metrics = Metrics()
    value = metrics.registry.get_sample_value
    for stage in STAGES:
        assert value("listen_stage_latency_seconds_count", {"stage": stage}) == 0
    for seconds in (0.001, 0.002, 100.0):
        metrics.stage("queue").observe(seconds)
    buckets = {"0.001": 1, "0.003": 2, "10.0": 2, "+Inf": 3}
    for end, count in buckets.items():
        assert value("listen_stage_latency_seconds_bucket", {"stage": "queue", "le": end}) == count
    assert value("listen_stage_latency_seconds_sum", {"stage": "queue"}) == pytest.approx(100.003)
    with pytest.raises(KeyError):
        metrics.stage("lunch")


def test_gauges_are_read_when_somebody_looks() -> None:
    metrics, live = Metrics(), [1, 2, 3]
    metrics.watch(connections_active=lambda: len(live), capacity_ratio=lambda: 0.5)
    assert metrics.registry.get_sample_value("listen_connections_active") == 3
    live.clear()
    assert metrics.registry.get_sample_value("listen_connections_active") == 0
    assert metrics.registry.get_sample_value("listen_capacity_ratio") == 0.5


def test_counters_that_are_kept_elsewhere_are_read_when_somebody_looks() -> None:
    metrics, seen = Metrics(), [1, 2, 3]
    metrics.watch(lane_messages=lambda: len(seen))
    assert metrics.registry.get_sample_value("listen_lane_messages_total") == 3
    assert b"# TYPE listen_lane_messages_total counter" in metrics.expose()


def test_a_gauge_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'sessions' is not known: use one of connections_active"):
        Metrics().watch(sessions=lambda: 1.0)


def test_everything_of_ours_has_our_prefix_and_is_explained() -> None:
    metrics = Metrics()
    metrics.watch(**dict.fromkeys((*GAUGES, *TOTALS), lambda: 1.0))
    families = list(text_string_to_metric_families(metrics.expose().decode()))
    ours = [family for family in families if not family.name.startswith(("process_", "python_"))]
    assert len(ours) > len(GAUGES) + len(TOTALS)
    for family in ours:
        assert family.name.startswith("listen_")
        assert family.documentation.endswith((".", "1)."))
