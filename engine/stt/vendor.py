"""The interface between a session and whatever turns its audio into words.

A vendor is run as one task in the session's nursery. It reads PCM from an `AudioSource`, and calls `emit`
with events. The covered spans of its `Final`s tile the timeline: each starts where the one before ended, so
that after a fault the next vendor starts at the last sample covered and nothing is lost or doubled.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.audio.pump import Pump
from engine.transcript.timeline import SAMPLE_RATE as SAMPLE_RATE
from engine.transcript.words import Word

if TYPE_CHECKING:
    from engine.speaker.embedding import Voice


class Ready(msgspec.Struct, frozen=True):
    """The vendor takes audio: its stream is open, its model warm. The first event of every stream.

    With a stream the numbers of its speakers begin anew, unless it `keeps_numbers`: those of `SpeakerLabels` go on.
    `owner` is the number of who speaks in the pre-roll it was played; None without one, or where nobody was made out.
    """

    owner: int | None = None
    keeps_numbers: bool = False


class Final(msgspec.Struct, frozen=True):
    """Samples `start` to `end` are done with. No words: the vendor's clock passed them without speech.

    `gated`: they were kept from the vendor, because nobody spoke. `assumed`: the vendor was sent them and has not
    answered, but results were asked for and nobody spoke; so it is no sign that the vendor works.
    """

    start: int
    end: int
    words: tuple[Word, ...] = ()
    gated: bool = False
    assumed: bool = False


class Interim(msgspec.Struct, frozen=True):
    """What the open utterance sounds like so far; replaces the last one. Never kept."""

    words: tuple[Word, ...]


class Activity(msgspec.Struct, frozen=True):
    """Speech began (`speaking`) or ended at sample `position`, as voice activity detection hears it."""

    position: int
    speaking: bool


class Lag(msgspec.Struct, frozen=True):
    """The vendor is behind: `seconds` of audio wait because the machine (or vendor) is too slow; 0 = caught up."""

    seconds: float


SttEvent = Ready | Final | Interim | Activity | Lag


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """PCM handed to a vendor: a read-only view of signed 16-bit samples, valid until the next `read`.

    `flush`: transcribe all up to the end of this chunk now. `end`: the same, and nothing follows.
    With either one the chunk may be shorter than asked for, or empty.
    """

    pcm: memoryview
    position: int
    flush: bool = False
    end: bool = False


class AudioSource(Protocol):
    """Where a vendor's audio comes from. Holds everything since the last `Final` until it is covered."""

    @property
    def position(self) -> int:
        """Absolute number of the next sample `read` returns."""
        ...

    async def read(self, samples: int) -> Chunk:
        """Wait until `samples` samples (or a flush, or the end) are there and return them; fewer where it goes back.

        Cancellation loses nothing: the next `read` returns the same samples.
        """
        ...


@runtime_checkable
class PumpedSource(AudioSource, Protocol):
    """A source whose audio native code can read, in place of `read`, while there is nothing but audio to tell."""

    def open_pump(self) -> Pump | None:
        """A pump that goes on at `position`; None when the next audio must be `read`.

        It is stopped as soon as something else is to be told. `close_pump` must follow, before the next `read`.
        """
        ...

    def close_pump(self) -> None:
        """`read` goes on where the pump came to. Idempotent."""
        ...


class SpeakerLabels(Protocol):
    """Who tells the speakers of a session apart for a vendor that does not."""

    async def label(self, pcm: NDArray[np.int16], start: int, words: Sequence[Word]) -> tuple[Word, ...]:
        """The words of an utterance, each with its speaker; `pcm` (16 kHz) begins at sample `start`."""
        ...

    def when_merged(self, tell: Callable[[int, int], None]) -> None:
        """Have `tell(gone, kept)` called, before the next words, when the number `gone` turns out to be `kept`."""
        ...

    def introduce(self, voice: "Voice") -> int | None:
        """Somebody who was told apart by another vendor, and the number they have here; None: no more are known."""
        ...

    def voices(self) -> "Mapping[int, Voice]":
        """What each number sounds like, as far as it was heard."""
        ...


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a session asks of its vendor. `language` is the client's (`en`, `pt-BR`, `multi` …).

    `speakers` is for vendors that do not tell speakers apart; without it nobody does. `preroll`: speech of the user's
    (s16le mono 16 kHz) to be played before the session's audio, of which nothing is told but who speaks in it; only
    for a `PlayedVendor`.
    """

    session_id: str
    language: str = "en"
    vocabulary: tuple[str, ...] = ()
    interim_results: bool = False
    speakers: SpeakerLabels | None = None
    preroll: bytes = b""


class Fault(Enum):
    """What to do after a vendor failed."""

    ELSEWHERE = "fatal here, try elsewhere"
    RETRY_AFTER = "retry after a time"
    RETRY_NOW = "retry now"


class VendorError(Exception):
    """The vendor failed; the text says how. `retry_after` is in seconds, with `Fault.RETRY_AFTER`."""

    def __init__(self, fault: Fault, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after = retry_after


class Vendor(Protocol):
    """One way of turning audio into words. An instance serves all sessions of the process."""

    @property
    def name(self) -> str:
        """As in `STT_SERVICE_MODELS`: `local-whisper`, `dg-nova-3` …"""
        ...

    @property
    def provider(self) -> str:
        """The wire's `stt_provider`: `local`, `deepgram` …"""
        ...

    def speaks(self, language: str) -> bool:
        """Whether a session in `language` can be served."""
        ...

    async def prepare(self) -> None:
        """Load and warm what is needed (models, kernels). Called once, before the server reports ready."""
        ...

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        """Read `audio` to its end, emitting events; return once everything up to the end is covered.

        Raises `VendorError` when it cannot go on. Being cancelled leaves nothing behind.
        """
        ...


@runtime_checkable
class PlayedVendor(Vendor, Protocol):
    """A vendor that may tell speakers apart, and to which a voice can be played first."""

    @property
    def takes_preroll(self) -> bool:
        """Whether it does."""
        ...
