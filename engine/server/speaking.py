"""What a server process does with voices: tells speakers apart, and recognises those who enrolled."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from engine.config import Config
from engine.conversation.assigning import Assigner, Live
from engine.conversation.identification import Means, rules_of
from engine.conversation.identifying import Identifier
from engine.conversation.learning import Learner
from engine.conversation.prerolls import OwnVoices
from engine.conversation.processor import Processor
from engine.conversation.rehearing import Rehearing
from engine.conversation.voices import Voices
from engine.listen.ports import Follower
from engine.listen.speakers import Speakers
from engine.metrics import Metrics
from engine.off_loop import OffLoop
from engine.speaker.encoding import Encoding
from engine.store import Store
from engine.store.database import wall_clock
from engine.store.edits import SegmentEdit
from engine.store.jobs import LEARN
from engine.stt import Vendor

__all__ = ["Speaking"]


class Speaking:
    """The parts of one process that have to do with voices, put together."""

    def __init__(
        self,
        config: Config,
        store: Store,
        live: Live,
        processor: Processor,
        vendors: Sequence[Vendor],
        metrics: Metrics,
        off_loop: OffLoop,
    ) -> None:
        """`live`: who has the conversations that go on, wherever."""
        settings = config.speaker
        self._wanted = settings.diarize
        self.encoding = Encoding(core_share=settings.core_share, threads=settings.threads)
        self.speakers = Speakers(self.encoding, rules_of(settings)) if settings.diarize else None
        seconds = settings.preroll_seconds
        self.own_voices = (
            OwnVoices(store.voices, store.profile_blobs, off_loop, seconds)
            if settings.identify and seconds
            else None
        )
        self.voices = Voices(
            kept=store.voices,
            blobs=store.profile_blobs,
            encoding=self.encoding,
            settings=settings,
            off_loop=off_loop,
            now=wall_clock,
            vendors=[vendor.name for vendor in vendors],
        )
        self.assigner = Assigner(
            live=live,
            edits=store.edits,
            people=store.people,
            decisions=store.voices,
            voices=self.voices,
            jobs=store.jobs,
            wake=processor.wake,
            now=wall_clock,
        )
        rehearing = Rehearing(store, self.voices, self.encoding, settings, off_loop, wall_clock)
        processor.jobs.add(LEARN, Learner(store.jobs, rehearing))
        self.identifier: Identifier | None = None
        if settings.identify:
            processor.before_reading(rehearing.decide)
            self.identifier = Identifier(
                Means(
                    voices=self.voices,
                    people=store.people,
                    decisions=store.voices,
                    encoding=self.encoding,
                    edit=partial(_edit, live, store),
                    now=wall_clock,
                    rules=rules_of(settings),
                    names_age=settings.known_age,
                    outcomes=Counter(),
                )
            )
        metrics.registry.register(_Voices(self.encoding, self.identifier))

    async def prepare(self) -> None:
        """Load what is needed."""
        if self._wanted:
            await self.encoding.prepare()

    @property
    def followers(self) -> Sequence[Follower]:
        """Who is to be told of sessions."""
        return () if self.identifier is None else (self.identifier,)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Recognise, and forget what is too old, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.voices.run)
            await nursery.start(self.assigner.run)
            if self.identifier is not None:
                await nursery.start(self.identifier.tasks.run)
            task_status.started()


async def _edit(live: Live, store: Store, uid: str, conversation_id: str, edit: SegmentEdit) -> Sequence[str]:
    """Change segments where they are: in the conversation while it goes on, then in the database."""
    gone = await live.edit_live(uid, conversation_id, edit)
    return await store.edits.edit_segments(uid, conversation_id, edit) if gone is None else gone


class _Voices(Collector):
    """Read when somebody scrapes."""

    def __init__(self, encoding: Encoding, identifier: Identifier | None) -> None:
        self._encoding = encoding
        self._identifier = identifier

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
        if self._identifier is not None:
            text = "Turns of speakers of users who have enrolled, by what became of them."
            outcomes = CounterMetricFamily("listen_voices_looked_at", text, labels=("outcome",))
            for outcome, count in self._identifier.statistics().outcomes.items():
                outcomes.add_metric((outcome,), count)
            yield outcomes
