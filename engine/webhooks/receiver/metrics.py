"""How receiving goes, in the terms of `/metrics`: read when somebody scrapes, from what is counted already."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from engine.webhooks.receiver.intake import Intake
from engine.webhooks.receiver.keeping import Keeper

__all__ = ["ReceiverCollector"]


class ReceiverCollector(Collector):
    """To be registered once per process. `failures` counts by processor; its names are the configuration's."""

    def __init__(self, intake: Intake, keeper: Keeper, failures: Counter[str]) -> None:
        self._intake = intake
        self._keeper = keeper
        self._failures = failures

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`."""
        now, kept = self._intake.statistics(), self._keeper.totals
        for name, text, value in (
            ("users", "Users of whom audio is being received.", now.users),
            ("waiting_bytes", "Received audio that waits in memory.", now.waiting_bytes),
            ("kept_bytes", "What is kept of what was received, of all processes.", kept.bytes),
            ("kept_files", "The same, in files, of all processes.", kept.files),
            ("kept_messages", "The same, in messages of other triggers, of all processes.", kept.messages),
        ):
            yield GaugeMetricFamily(f"listen_receiver_{name}", text, value=value)
        for name, text, value in (
            ("requests", "Requests with audio that were taken.", now.requests),
            ("bytes", "Bytes of audio in these.", now.bytes),
            ("refused", "Requests with audio that there was no room for.", now.refused),
            ("sessions", "Sessions that received audio was joined to.", now.sessions),
            ("silent_samples", "Silence put where nothing was received in time.", now.silent_samples),
            ("erased_bytes", "What was erased for its age or for a quota.", self._keeper.erased_bytes),
            (
                "left_bytes",
                "Audio taken over from processes that ended before it was dealt with.",
                now.left_bytes,
            ),
        ):
            yield CounterMetricFamily(f"listen_receiver_{name}", text, value=value)
        dropped = {"duplicate": now.duplicate_samples, "late": now.late_samples} | now.missed_samples
        yield _labelled("dropped_samples", "Audio that was not used, by why or by whom.", "reason", dropped)
        yield _labelled("erased", "What was erased, by why.", "reason", self._keeper.erased)
        yield _labelled("processor_failures", "Times a processor raised.", "processor", self._failures)


def _labelled(name: str, text: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"listen_receiver_{name}", text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
