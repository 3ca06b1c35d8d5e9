"""How translation goes, in the terms of `/metrics`: read when somebody scrapes, from what the translator counts."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from engine.conversation.translate import Translator

__all__ = ["TranslatorCollector"]


class TranslatorCollector(Collector):
    """The metrics of `translator`, to be registered once per process."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`."""
        statistics = self._translator.statistics()
        text = "Segments that wait to be translated."
        yield GaugeMetricFamily("listen_translations_waiting", text, value=statistics.waiting)
        text = "Segments offered for translation, by what became of them."
        outcomes = CounterMetricFamily("listen_translations", text, labels=("outcome",))
        for outcome, count in statistics.outcomes.items():
            outcomes.add_metric((outcome,), count)
        yield outcomes
