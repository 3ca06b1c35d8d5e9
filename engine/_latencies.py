"""Histograms of the live path: what prometheus-client makes of them, without its price.

The library takes a lock and looks along all buckets for each observation, and for each label a lookup more. These are
fed by the loop's thread only and cost a third of a microsecond; the library sees them when somebody scrapes.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Latency:
    """One series. `bounds`: upper ends of the buckets, rising; above the last one is one more."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Put this series into the library's form."""
        ends = (*map(floatToGoString, self._bounds), "+Inf")
        family.add_metric(labels, list(zip(ends, accumulate(self._counts), strict=True)), self._sum)


class Latencies(Collector):
    """A histogram with a series for each value of one label, all of which are there from the start."""

    def __init__(self, name: str, text: str, label: str, series: Mapping[str, Latency]) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._series = series

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See `Collector`."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label] if self._label else [])
        for value, series in self._series.items():
            series.add_to(family, [value] if self._label else [])
        yield family
