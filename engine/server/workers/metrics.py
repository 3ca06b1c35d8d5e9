"""The metrics of several processes as one: whichever worker is asked, the answer is the same.

Each worker tells its own when it is asked, over its socket; nothing is kept in files. So a gauge is what is alive at
that moment, and goes with its process; prometheus-client's own multiprocess mode has no gauges that are read from
what is alive. Counters and histograms of a worker that died are kept as last seen, so that their sums never fall:
Prometheus takes a fall for a restart and would count everything again.

Operations: `measure` one process; `Sums` adds up those of all; `expose` as text.
Invariants: a sum of counters never falls while the supervisor lives.
Known doubts: what a worker counted between the last time somebody asked and its being killed is not in the sums.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from engine.server.workers.messages import Family, Series

__all__ = ["Sums", "expose", "measure"]

SUMMED = frozenset(("counter", "histogram", "summary"))

LARGEST = frozenset(
    (
        "listen_ring_fill_ratio",
        "listen_stt_lag_seconds",
        "listen_draining",
        "listen_jobs_waiting",
        "listen_jobs_failed",
        "listen_webhook_deliveries_waiting",
        "listen_webhook_spool_bytes",
        "listen_receiver_kept_bytes",
        "listen_receiver_kept_files",
        "listen_receiver_kept_messages",
        "python_info",
        "process_max_fds",
    )
)
SMALLEST = frozenset(("listen_database_writable", "listen_ready", "process_start_time_seconds"))
MEAN = frozenset(("listen_capacity_ratio",))
"""How a gauge of several processes is one. Each worker has an equal part of the capacity; what each says of all
processes, as each last looked, is no more by being said several times. All others are added up."""

Key = tuple[str, tuple[tuple[str, str], ...]]


def measure(registry: CollectorRegistry) -> tuple[Family, ...]:
    """All metrics of this process."""
    return tuple(
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            tuple(Series(sample.name, dict(sample.labels), float(sample.value)) for sample in metric.samples),
        )
        for metric in registry.collect()
    )


def expose(families: Iterable[Family]) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(families))
    return generate_latest(registry)


class Sums:
    """Adds up workers, and remembers what the dead ones had counted."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Family, ...]] = {}
        self._retired: tuple[Family, ...] = ()

    def saw(self, owner: str, families: tuple[Family, ...]) -> None:
        """What a worker just told."""
        self._seen[owner] = families

    def retire(self, owner: str) -> None:
        """The worker is gone; what it had counted stays counted."""
        counted = [family for family in self._seen.pop(owner, ()) if family.kind in SUMMED]
        self._retired = tuple(_added([self._retired, counted]))

    def total(self, alive: Iterable[str]) -> tuple[Family, ...]:
        """All of it, with the gauges of the workers in `alive` only: the others did not answer just now."""
        answered = frozenset(alive)
        told = [
            families if owner in answered else [family for family in families if family.kind in SUMMED]
            for owner, families in self._seen.items()
        ]
        return tuple(_added([self._retired, *told]))


def _added(told: Iterable[Iterable[Family]]) -> Iterator[Family]:
    by_name: dict[str, list[Family]] = {}
    for families in told:
        for family in families:
            by_name.setdefault(family.name, []).append(family)
    for name, same in by_name.items():
        values: dict[Key, list[float]] = {}
        for family in same:
            for series in family.series:
                values.setdefault((series.name, tuple(series.labels.items())), []).append(series.value)
        kind = same[0].kind
        yield Family(
            name,
            same[0].help,
            kind,
            tuple(
                Series(key, dict(labels), _one(name, key, kind, found))
                for (key, labels), found in values.items()
            ),
        )


def _one(name: str, series: str, kind: str, values: list[float]) -> float:
    if kind in SUMMED:
        # When a counter was made is no count: the oldest is when counting began.
        return min(values) if series.endswith("_created") else sum(values)
    if name in LARGEST:
        return max(values)
    if name in SMALLEST:
        return min(values)
    return sum(values) / len(values) if name in MEAN else sum(values)


class _Fixed(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            metric.samples = [Sample(s.name, s.labels, s.value) for s in family.series]
            yield metric
