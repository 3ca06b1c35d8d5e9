"""The pipeline for embedders: packets in, segments out, inside somebody else's Trio program.

Operations: `open_session` gives a session whose vendor runs in its own nursery; `send` packets, iterate over the
segments, `finish` when the audio is over.
Bounded by the ring and the spill file: `send` waits when both are full. Segments that nobody takes replace each
other by id.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import trio
from msgspec.structs import replace

from engine.audio.ledger import LedgerSnapshot
from engine.config import Config
from engine.listen.opening import breakers_for, open_pipeline, prepare_rate, ring_pool
from engine.listen.pipeline import Pipeline
from engine.listen.speakers import Speakers
from engine.listen.unpacking import Unpacking
from engine.off_loop import OffLoop
from engine.stt.vendor import StreamOptions, Vendor, VendorError
from engine.transcript import merge, words_to_segments
from engine.transcript.words import Word
from engine.wire.messages import Segment, speaker_label


class EmbeddedSession:
    """One stream of audio being transcribed. Made by `open_session`."""

    def __init__(self) -> None:
        self._pipeline: Pipeline | None = None
        self._transcript: dict[str, Segment] = {}
        self._changed: dict[str, Segment] = {}
        self._something = trio.Event()
        self._over = False

    async def send(self, packet: bytes | memoryview) -> None:
        """One codec packet, or any number of bytes of PCM. Waits when transcription is minutes behind."""
        await self._running().feed(packet)

    async def flush(self) -> None:
        """Return when everything sent so far has been transcribed."""
        await self._running().flush()

    async def finish(self) -> None:
        """The audio is over: what is left is transcribed, then iteration ends. Idempotent."""
        await self._running().finish()

    async def __aiter__(self) -> AsyncIterator[tuple[Segment, ...]]:
        """New and changed segments, as they come; a segment that changed comes again under its id."""
        while True:
            if self._changed:
                changed, self._changed = self._changed, {}
                yield tuple(changed.values())
            elif self._over:
                return
            else:
                self._something = trio.Event()
                await self._something.wait()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The transcript so far."""
        return tuple(self._transcript.values())

    def ledger(self) -> LedgerSnapshot:
        """Where every sample went."""
        return self._running().statistics().ledger

    def _running(self) -> Pipeline:
        if self._pipeline is None:
            raise RuntimeError("the session is not open: use `async with open_session(...)`")
        return self._pipeline

    async def _run(self, pipeline: Pipeline) -> None:
        await pipeline.transcribe(self)
        self._over = True
        self._something.set()

    # Listener

    def on_words(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""
        new = words_to_segments(
            words, offset_seconds=0.0, provider=vendor.provider, new_id=lambda: str(uuid4())
        )
        tail = next(reversed(self._transcript.values()), None)
        merged = merge(tail, new)
        for gone in merged.deleted:
            self._transcript.pop(gone, None)
            self._changed.pop(gone, None)
        for segment in merged.changed:
            self._transcript[segment.id] = self._changed[segment.id] = segment
        self._something.set()

    def on_same_speaker(self, gone: int, kept: int) -> None:
        """See `Listener`."""
        for id, segment in self._transcript.items():
            if segment.speaker_id == gone:
                changed = replace(segment, speaker=speaker_label(kept), revision=segment.revision + 1)
                self._transcript[id] = self._changed[id] = changed
        self._something.set()

    def on_ready(self, vendor: Vendor) -> None:
        """See `Listener`."""

    def on_interim(self, words: Sequence[Word], vendor: Vendor) -> None:
        """See `Listener`."""

    def on_lag(self, seconds: float) -> None:
        """See `Listener`."""

    def on_failed(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""

    def on_switched(self, before: Vendor, after: Vendor, replayed: int) -> None:
        """See `Listener`."""

    def on_degraded(self, vendor: Vendor, error: VendorError) -> None:
        """See `Listener`."""

    def on_recovered(self, vendor: Vendor) -> None:
        """See `Listener`."""

    def on_silence(self, ended: int, began: int) -> None:
        """See `Listener`."""

    def on_progress(self) -> None:
        """See `Listener`."""


@asynccontextmanager
async def open_session(
    vendor: Vendor,
    *,
    codec: str = "pcm16",
    sample_rate: int = 16_000,
    channels: int = 1,
    language: str = "en",
    vocabulary: Sequence[str] = (),
    config: Config | None = None,
    off_loop: OffLoop = trio.to_thread.run_sync,
    speakers: Speakers | None = None,
) -> AsyncIterator[EmbeddedSession]:
    """Transcribe one stream with `vendor`, on which `prepare` has been called.

    Leaving the block stops transcription at once; call `finish` and iterate to the end first to have it all.
    `speakers` tells speakers apart for a vendor that does not. Raises ValueError for a codec, rate or channel count
    that cannot be decoded, and `SttExhausted` when the vendor failed for longer than the configuration allows.
    """
    config = config or Config()
    session = EmbeddedSession()
    options = StreamOptions(
        session_id=uuid4().hex,
        language=language,
        vocabulary=tuple(vocabulary),
        speakers=None if speakers is None else speakers.session(),
    )
    await prepare_rate(sample_rate, off_loop)
    with open_pipeline(
        codec=codec,
        sample_rate=sample_rate,
        channels=channels,
        pool=ring_pool(config),
        spill_folder=Path(gettempdir()),
        off_loop=off_loop,
        unpacking=Unpacking(off_loop, config.session.aac_threads),
        config=config,
        vendors=(vendor,),
        breakers=breakers_for(config),
        options=options,
        voiceprints=None if speakers is None else speakers.voiceprints,
    ) as pipeline:
        session._pipeline = pipeline
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session._run, pipeline)
            yield session
            nursery.cancel_scope.cancel()
