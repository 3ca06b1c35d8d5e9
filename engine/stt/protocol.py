"""What a vendor's file implements: its side of one stream, as bytes and events, without I/O.

To add a vendor: write one file with a class that satisfies `VendorProtocol`, name its languages in
`languages.py`, and enter it in `vendors.py`. Connecting, pacing, keepalives, time limits, failover, gating and
the translation of times are done by `stream.py` and `failover.py` for all alike. `vosk.py` is the shortest
example.

Positions here are the vendor's: samples at 16 kHz since this stream began. `stream.py` puts them on the
session's timeline. A protocol object serves one stream and is then thrown away.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from engine.stt.transport import ConnectionLost, Refused, Request
from engine.stt.vendor import SAMPLE_RATE, VendorError
from engine.transcript.words import Word


class Started(msgspec.Struct, frozen=True):
    """The vendor takes audio now."""


class Recognized(msgspec.Struct, frozen=True):
    """Final: all audio before `covered` (vendor samples) is done with; `words` are new, in order of time.

    `covered` never goes back and is never beyond the audio sent. Words may be empty: silence was passed.
    """

    words: tuple[Word, ...]
    covered: int


class Tentative(msgspec.Struct, frozen=True):
    """Interim: what follows the last final, as it sounds so far; replaces the one before."""

    words: tuple[Word, ...]


class Flushed(msgspec.Struct, frozen=True):
    """The answer to the last `finalize`: nothing sent before that is still to come. Not every vendor says so.

    `guessed`: it did not say so, it only said nothing else; a word that was being spoken may yet come.
    """

    guessed: bool = False


class Finished(msgspec.Struct, frozen=True):
    """The answer to `finish`: every result has come."""


class Failed(msgspec.Struct, frozen=True):
    """The vendor says, inside the connection, that it cannot go on."""

    error: VendorError


class Notice(msgspec.Struct, frozen=True):
    """Something for the log. Must not contain transcript text or keys."""

    text: str


Event = Started | Recognized | Tentative | Flushed | Finished | Failed | Notice
Message = bytes | str


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """How a vendor wants to be treated; times in seconds.

    chunk            samples a message of audio should have, at most (audio is sent sooner when flushed)
    pace             how much faster than real time audio may be sent while catching up
    keepalive        send `keepalive()` when nothing was sent for this long; None: never
    ping             send a WebSocket ping this often; None: never
    first_audio      the stream dies unless audio comes this soon after it opened; None: no such rule
    window           messages of audio that may be unacknowledged (see `VendorProtocol.unacknowledged`)
    max_duration     open a new stream before this one gets so old; None: no limit
    finalize_gap     shortest time between two `finalize`; sooner ones are left out
    """

    chunk: int = SAMPLE_RATE // 10
    pace: float = 1.0
    keepalive: float | None = None
    ping: float | None = None
    first_audio: float | None = None
    window: int | None = None
    max_duration: float | None = None
    finalize_gap: float = 0.0


class VendorProtocol(Protocol):
    """One stream's state. No method does I/O or raises for anything the vendor sent."""

    @property
    def traits(self) -> Traits:
        """What the vendor expects of whoever sends."""
        ...

    @property
    def unacknowledged(self) -> int:
        """Messages of audio sent and not acknowledged; 0 for vendors that do not acknowledge."""
        ...

    def request(self) -> Request:
        """The handshake."""
        ...

    def opened(self) -> Sequence[Message | Started]:
        """To be sent first; `Started` where audio may follow at once."""
        ...

    def audio(self, pcm: bytes) -> Sequence[Message]:
        """The messages that carry these samples (s16le mono 16 kHz, never empty)."""
        ...

    def keepalive(self) -> Sequence[Message]:
        """What keeps an idle stream open."""
        ...

    def finalize(self) -> Sequence[Message]:
        """Ask for the results of everything sent so far."""
        ...

    def finish(self) -> Sequence[Message]:
        """No audio follows; results up to the end are wanted, then `Finished`."""
        ...

    def received(self, message: Message) -> Sequence[Event]:
        """What a message means. One that cannot be understood is a `Notice`, never an exception."""
        ...

    def lost(self, lost: ConnectionLost) -> VendorError | None:
        """The class of a closed connection; None when it was the orderly end after `finish`."""
        ...

    def refused(self, refused: Refused) -> VendorError:
        """The class of a refused handshake."""
        ...


@runtime_checkable
class RawAudio(VendorProtocol, Protocol):
    """A protocol whose `audio` is the samples themselves, in one binary message: native code can send that."""

    def pumped(self, messages: int, samples: int) -> None:
        """So many messages of audio, `samples` in all, were sent as if `audio` had made them.

        With `Traits.window` each of them has `Traits.chunk` samples.
        """
        ...


class Endpoint(msgspec.Struct, frozen=True):
    """Where a vendor is reached: its WebSocket URL without query, the key, and the model to ask for."""

    url: str
    key: str | None = None
    model: str = ""
