"""What a server process does with voices: tells the speakers of its sessions apart, and keeps those who enrol."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from engine.config import Config
from engine.conversation.voices import Voices
from engine.listen.speakers import Speakers
from engine.metrics import Metrics
from engine.off_loop import OffLoop
from engine.speaker.encoding import Encoding
from engine.store import Store
from engine.store.database import wall_clock
from engine.stt import Vendor

__all__ = ["Speaking"]


class Speaking:
    """The parts of one process that have to do with voices, put together."""

    def __init__(
        self, config: Config, store: Store, vendors: Sequence[Vendor], metrics: Metrics, off_loop: OffLoop
    ) -> None:
        settings = config.speaker
        self._wanted = settings.diarize
        self.encoding = Encoding(core_share=settings.core_share, threads=settings.threads)
        self.speakers = Speakers(self.encoding) if settings.diarize else None
        self.voices = Voices(
            kept=store.voices,
            blobs=store.profile_blobs,
            encoding=self.encoding,
            settings=settings,
            off_loop=off_loop,
            now=wall_clock,
            vendors=[vendor.name for vendor in vendors],
        )
        metrics.registry.register(_Voices(self.encoding))

    async def prepare(self) -> None:
        """Load what is needed."""
        if self._wanted:
            await self.encoding.prepare()


class _Voices(Collector):
    """Read when somebody scrapes."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`."""
        statistics = self._encoding.statistics()
        text = "Utterances whose voice waits to be heard."
        yield GaugeMetricFamily("listen_voices_waiting", text, value=statistics.waiting)
        text = "Utterances whose voice was not heard, because voices used more of the machine than they may."
        yield CounterMetricFamily("listen_voices_given_up", text, value=statistics.given_up)
        text = "Seconds of speech whose voice was heard."
        yield CounterMetricFamily("listen_voices_speech_seconds", text, value=statistics.speech_seconds)
        text = "CPU seconds used to hear voices."
        yield CounterMetricFamily("listen_voices_cpu_seconds", text, value=statistics.cpu_seconds)
