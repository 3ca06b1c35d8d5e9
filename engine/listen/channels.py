"""Phone calls: each message names its channel in its first byte, and each channel is heard by itself.

`CallAudio` looks to a session like one `Pipeline` and is one per channel. The speaker of every word is the number
of its channel: who speaks is known, nothing has to be told apart.
"""

from collections import Counter
from collections.abc import Sequence

import trio

from engine.listen.listener import Listener
from engine.listen.mixing import Mixed
from engine.listen.pipeline import Pipeline, PipelineStatistics
from engine.listen.ports import SessionUsage
from engine.listen.speech import Speech
from engine.listen.spill import SpillStatistics
from engine.listen.stages import Passage
from engine.listen.tap import Taps
from engine.stt.failover import SttExhausted
from engine.stt.vendor import Vendor, VendorError
from engine.transcript.words import Word


class _Channel:
    """The listener of one channel: says whose words they are, passes everything else on."""

    def __init__(self, number: int, listener: Listener, call: "CallAudio") -> None:
        self._number = number
        self._listener = listener
        self._call = call

    def _mine(self, words: Sequence[Word]) -> list[Word]:
        return [
            Word(word.text, word.start, word.end, self._number, word.confidence, word.language)
            for word in words
        ]

    def on_words(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""
        self._call.on_words(self._number)
        self._listener.on_words(self._mine(words), vendor)

    def on_interim(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""
        self._listener.on_interim(self._mine(words), vendor)

    def on_same_speaker(self, gone: int, kept: int) -> None:
        """Who speaks on a channel is known."""

    def on_ready(self, vendor: Vendor) -> None:
        """See `Listener`."""
        self._listener.on_ready(vendor)

    def on_lag(self, seconds: float) -> None:
        """See `Listener`."""
        self._listener.on_lag(seconds)

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""
        self._listener.on_failed(vendor, error)

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        """See `Listener`."""
        self._listener.on_switched(before, after, replayed)

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""
        self._listener.on_degraded(vendor, error)

    def on_recovered(self, vendor: Vendor) -> None:
        """See `Listener`."""
        self._listener.on_recovered(vendor)

    def on_silence(self, ended: int, began: int) -> None:
        """One side of a call is often silent for long: that parts no conversation."""

    def on_progress(self) -> None:
        """See `Listener`."""
        self._listener.on_progress()


class CallSpeech:
    """When anybody on a call spoke. See `Speech` for what each method does."""

    def __init__(self, channels: Sequence[Speech]) -> None:
        self._channels = tuple(channels)

    @property
    def last_audio_at(self) -> float | None:
        """See `Speech.last_audio_at`: on any channel."""
        return max((at for c in self._channels if (at := c.last_audio_at) is not None), default=None)

    @property
    def waiting(self) -> bool:
        """Whether any channel has speech to be transcribed."""
        return any(channel.waiting for channel in self._channels)

    def silence(self) -> float | None:
        """Seconds since anybody spoke."""
        return min((s for c in self._channels if (s := c.silence()) is not None), default=None)

    def since(self) -> float | None:
        """See `Speech.since`: of whoever spoke last."""
        return min((s for c in self._channels if (s := c.since()) is not None), default=None)

    def heard_elsewhere(self) -> None:
        """See `Speech.heard_elsewhere`."""
        self._channels[0].heard_elsewhere()

    def forget(self) -> None:
        """See `Speech.forget`."""
        for channel in self._channels:
            channel.forget()


class CallAudio:
    """The channels of one call. See `Pipeline` for what each method does."""

    def __init__(self, channels: Sequence[Pipeline]) -> None:
        self.speech = CallSpeech([channel.speech for channel in channels])
        self._channels = tuple(channels)
        self._heard = self._channels[0]

    @property
    def received(self) -> int:
        """Samples on the longest channel's timeline."""
        return max(channel.received for channel in self._channels)

    async def feed(self, payload: bytes | memoryview) -> int:
        """The message's first byte is the channel, from 0; one there is not counts as a bad packet."""
        number = payload[0]
        if number < len(self._channels):
            return await self._channels[number].feed(memoryview(payload)[1:])
        self._channels[0].ledger.received(packets=1, decoded=0, rejected=1)
        return 1

    def taps_of(self, channel: int) -> Taps:
        """See `Pipeline.taps_of`."""
        return self._channels[channel].taps

    def hear(self, name: str, *, keep: int) -> Mixed:
        """See `Pipeline.hear`: all channels, mixed."""
        return Mixed([channel.hear(name, keep=keep) for channel in self._channels])

    @property
    def heard_out(self) -> bool:
        """See `Pipeline.heard_out`; of one channel is of all, for they end together."""
        return any(channel.heard_out for channel in self._channels)

    @property
    def owner(self) -> int | None:
        """See `Pipeline.owner`; whose the channels are is known otherwise."""
        return None

    def preroll_pending(self, vendor: Vendor) -> bool:
        """See `Pipeline.preroll_pending`."""
        return False

    async def finish(self) -> None:
        """No audio follows on any channel."""
        for channel in self._channels:
            await channel.finish()

    async def flush(self) -> None:
        """Return when all channels are covered up to now."""
        async with trio.open_nursery() as nursery:
            for channel in self._channels:
                nursery.start_soon(channel.flush)

    def flush_when_idle(self, seconds: float) -> float:
        """See `Pipeline.flush_when_idle`."""
        return min(channel.flush_when_idle(seconds) for channel in self._channels)

    async def transcribe(self, listener: Listener) -> None:
        """Raises `SttExhausted` as soon as one channel has nobody to transcribe it."""
        exhausted: SttExhausted | None = None
        try:
            async with trio.open_nursery() as nursery:
                for number, channel in enumerate(self._channels):
                    nursery.start_soon(channel.transcribe, _Channel(number, listener, self))
        except* SttExhausted as group:
            exhausted = SttExhausted(str(group.exceptions[0]))
        if exhausted is not None:
            raise exhausted

    def passage(self, position: int) -> Passage:
        """See `Pipeline.passage`: of the channel whose words are being told."""
        return self._heard.passage(position)

    def on_words(self, channel: int) -> None:
        """`channel` is about to tell its words."""
        self._heard = self._channels[channel]

    def stop(self) -> None:
        """See `Pipeline.stop`."""
        for channel in self._channels:
            channel.stop()

    def usage(self, segments: int) -> SessionUsage:
        """See `Pipeline.usage`; all channels are one session."""
        each = [channel.usage(segments) for channel in self._channels]
        vendor_samples: Counter[str] = Counter()
        for one in each:
            vendor_samples.update(one.vendor_samples)
        return SessionUsage(
            sessions=1,
            audio_samples=sum(one.audio_samples for one in each),
            speech_samples=sum(one.speech_samples for one in each),
            words=sum(one.words for one in each),
            segments=segments,
            vendor_samples=dict(vendor_samples),
        )

    def statistics(self) -> PipelineStatistics:
        """Sums over the channels; of positions the furthest behind, of buffers the fullest."""
        each = [channel.statistics() for channel in self._channels]
        ledger = each[0].ledger
        vendor_samples = dict(each[0].vendor_samples)
        for other in each[1:]:
            ledger = ledger + other.ledger
            for name, samples in other.vendor_samples.items():
                vendor_samples[name] = vendor_samples.get(name, 0) + samples
        return PipelineStatistics(
            ledger=ledger,
            received=self.received,
            covered=min(one.covered for one in each),
            ring_fill=max(one.ring_fill for one in each),
            spill=SpillStatistics(
                held=sum(one.spill.held for one in each),
                limit=sum(one.spill.limit for one in each),
                total=sum(one.spill.total for one in each),
            ),
            words=sum(one.words for one in each),
            vendor_samples=vendor_samples,
        )
