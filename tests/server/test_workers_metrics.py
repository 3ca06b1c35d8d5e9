"""Several processes' metrics as one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics import GAUGES, Metrics
from engine.server.workers.messages import Family, Series
from engine.server.workers.metrics import Sums, expose, measure

OF_ALL = "of all processes"


def worker(sessions: float, connects: int, lag: float = 0.0, capacity: float = 0.0) -> tuple[Family, ...]:
    metrics = Metrics()
    metrics.watch(
        connections_active=lambda: sessions,
        stt_lag_seconds=lambda: lag,
        capacity_ratio=lambda: capacity,
        database_writable=lambda: float(lag == 0.0),
    )
    for _ in range(connects):
        metrics.connected()
        metrics.rejected("capacity")
        metrics.segment_latency.observe(0.3)
    return measure(metrics.registry)


def lines(sums: Sums, *alive: str) -> list[str]:
    return expose(sums.total(alive)).decode().splitlines()


def test_counters_and_histograms_add_up_and_gauges_as_each_should() -> None:
    sums = Sums()
    sums.saw("a", worker(3, 2, lag=0.5, capacity=0.2))
    sums.saw("b", worker(4, 5, lag=0.0, capacity=0.6))
    text = lines(sums, "a", "b")
    assert "listen_connections_active 7.0" in text
    assert "listen_connections_total 7.0" in text
    assert 'listen_connections_rejected_total{reason="capacity"} 7.0' in text
    assert "listen_segment_latency_seconds_count 7.0" in text
    assert 'listen_segment_latency_seconds_bucket{le="+Inf"} 7.0' in text
    assert "listen_stt_lag_seconds 0.5" in text
    assert "listen_capacity_ratio 0.4" in text
    assert "listen_database_writable 0.0" in text


def test_what_each_says_of_all_processes_is_not_added_up() -> None:
    """Those of the metrics' own list, and what the collectors of webhooks and of the receiver say."""
    names = {name for name, text in GAUGES.items() if OF_ALL in text} | {
        "webhook_spool_bytes",
        "receiver_kept_bytes",
        "receiver_kept_files",
        "receiver_kept_messages",
    }
    assert {"jobs_waiting", "webhook_deliveries_waiting"} <= names
    said = tuple(
        Family(f"listen_{name}", OF_ALL, "gauge", (Series(f"listen_{name}", {}, 16.0),))
        for name in sorted(names)
    )
    sums = Sums()
    for owner in "abc":
        sums.saw(owner, said)
    text = lines(sums, *"abc")
    assert [line for line in text if not line.startswith("#")] == [
        f"listen_{name} 16.0" for name in sorted(names)
    ]


def test_what_a_dead_worker_counted_stays_and_its_gauges_go() -> None:
    sums = Sums()
    sums.saw("a", worker(3, 2))
    sums.saw("b", worker(4, 5))
    sums.retire("a")
    sums.retire("never seen")
    text = lines(sums, "b")
    assert "listen_connections_active 4.0" in text
    assert "listen_connections_total 7.0" in text
    assert "listen_segment_latency_seconds_count 7.0" in text
    sums.saw("c", worker(1, 1))
    assert "listen_connections_total 8.0" in lines(sums, "b", "c")


def test_one_that_does_not_answer_counts_as_last_seen_without_gauges() -> None:
    sums = Sums()
    sums.saw("a", worker(3, 2))
    sums.saw("b", worker(4, 5))
    text = lines(sums, "b")
    assert "listen_connections_total 7.0" in text
    assert "listen_connections_active 4.0" in text


def test_the_text_is_what_one_process_would_say() -> None:
    metrics = Metrics()
    metrics.connected()
    metrics.watch(connections_active=lambda: 1.0)
    names = {line.split()[2] for line in metrics.expose().decode().splitlines() if line.startswith("# HELP")}
    sums = Sums()
    sums.saw("a", measure(metrics.registry))
    assert {line.split()[2] for line in lines(sums, "a") if line.startswith("# HELP")} == names


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=20))
def test_the_sum_of_a_counter_never_falls(steps: list[tuple[str, int, bool]]) -> None:
    sums, counts, last = Sums(), dict.fromkeys("abc", 0), 0.0
    for name, connects, dies in steps:
        counts[name] += connects
        sums.saw(name, worker(0, counts[name]))
        if dies:
            sums.retire(name)
            counts[name] = 0
        (line,) = (text for text in lines(sums) if text.startswith("listen_connections_total "))
        assert float(line.split()[1]) == last + connects
        last += connects
