"""Putting a pipeline together, and taking it apart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.audio.codecs import create_decoder
from engine.audio.resample import HIGHEST_RATE, LOWEST_RATE, Resampler, ready
from engine.audio.ring import RingPool
from engine.config import Config
from engine.listen.backlog import Backlog
from engine.listen.pipeline import Pipeline
from engine.listen.speaker_numbers import MakeVoiceprints
from engine.listen.spill import Spill
from engine.listen.unpacking import Unpacking
from engine.off_loop import OffLoop
from engine.stt.backoff import Backoff
from engine.stt.breaker import Breaker, Breakers
from engine.stt.failover import Policy
from engine.stt.prerolls import FetchPreroll
from engine.stt.vendor import SAMPLE_RATE, PlayedVendor, StreamOptions, Vendor

IDLE_RINGS = 64
"""Rings kept warm between sessions; each one that was used holds its memory (0.5 MB at 16 s)."""


def ring_pool(config: Config) -> RingPool:
    """A pool of rings as deep as configured."""
    return RingPool(config.session.ring_seconds * SAMPLE_RATE, IDLE_RINGS)


def breakers_for(config: Config) -> Breakers:
    """The breakers that all sessions of a process share, as configured."""
    stt = config.stt
    return Breakers(
        lambda: Breaker(
            failures=stt.breaker_failures,
            per_second=stt.connects_per_second,
            backoff=Backoff(stt.backoff_first, stt.backoff_limit),
        )
    )


def _policy(config: Config) -> Policy:
    return Policy(
        exhausted_after=config.session.stt_exhausted_timeout,
        elsewhere_pause=config.stt.refused_pause,
        backoff_first=config.stt.backoff_first,
        backoff_limit=config.stt.backoff_limit,
    )


async def prepare_rate(sample_rate: int, off_loop: OffLoop) -> None:
    """Before `open_pipeline`: have what converting this rate needs loaded and computed, which may take seconds.

    A rate that cannot be converted is left to `open_pipeline` to refuse.
    """
    if not ready(sample_rate) and LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        await off_loop(Resampler, sample_rate)


@contextmanager
def open_pipeline(
    *,
    codec: str,
    sample_rate: int,
    channels: int,
    pool: RingPool,
    spill_folder: Path,
    off_loop: OffLoop,
    unpacking: Unpacking,
    config: Config,
    vendors: Sequence[Vendor],
    breakers: Breakers,
    options: StreamOptions,
    voiceprints: MakeVoiceprints | None = None,
    preroll: FetchPreroll | None = None,
) -> Iterator[Pipeline]:
    """A pipeline whose ring goes back to the pool afterwards. ValueError when there is no such decoder."""
    decoder = create_decoder(codec, sample_rate, channels)
    ring = pool.acquire()
    spill_limit = int(config.session.spill_minutes * 60 * SAMPLE_RATE)
    spill = Spill(spill_folder, spill_limit, off_loop)
    margin = min(int(config.session.spill_margin * SAMPLE_RATE), ring.capacity // 2)
    pipeline = Pipeline(
        decoder=decoder,
        unpacking=unpacking,
        ring=ring,
        backlog=Backlog(ring, spill, margin),
        spill=spill,
        vendors=vendors,
        options=options,
        breakers=breakers,
        policy=_policy(config),
        voiceprints=voiceprints if _several_numberings(vendors, options) else None,
        preroll=preroll,
    )
    try:
        yield pipeline
    finally:
        pipeline.close(pool)


def _several_numberings(vendors: Sequence[Vendor], options: StreamOptions) -> bool:
    """Whether speakers may be numbered anew in the middle: by another vendor, or another stream of one that does."""
    diarize = [isinstance(vendor, PlayedVendor) and vendor.takes_preroll for vendor in vendors]
    return any(diarize) or (len(vendors) > 1 and options.speakers is not None)
