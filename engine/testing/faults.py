"""What a stand-in shall do wrong, as frozen values; the same for every vendor."""

from enum import Enum

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """A handshake answered with an HTTP status instead of an upgrade."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Action(Enum):
    """What happens to a connection that was fine."""

    CLOSE = "a close frame with `code` and `reason`"
    ERROR = "the vendor's own way of saying `error`, then its close"
    DROP = "TCP ends without a close frame"
    STOP_READING = "bytes stay in the kernel: the client's sends block"
    SILENCE = "audio is taken, pings are answered, nothing is said"


class Mishap(msgspec.Struct, frozen=True, kw_only=True):
    """One `action`, at the first of the given moments.

    `second`: of the session, by the marks in the audio that arrived. `frame`: messages of audio on this
    connection. `word`: number in the script; strikes once half of its samples arrived. `error` is what the
    vendor calls it: an HTTP-like number for Soniox, a type for Speechmatics, a NET or DATA code for Deepgram.
    Results of the message of audio that brings the moment are not sent any more.
    """

    action: Action
    second: float | None = None
    frame: int | None = None
    word: int | None = None
    code: int = 1011
    reason: str = ""
    error: str = ""


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a stand-in does wrong; times in seconds on Trio's clock, counted from `StandIn.follow`.

    unreachable_for    no connection comes about: memory streams raise OSError, sockets are cut after accept
    handshake_delay    time until the handshake is answered; `inf` never is (until the client leaves)
    delayed            connects that suffer `handshake_delay`; None: all
    refuse_first       connects that are refused
    refuse_for         all connects are refused for this long
    refuse_status      with this status, in the vendor's own way (some vendors refuse after the upgrade)
    refuse_headers     added to the vendor's headers
    refuse_body        None: the vendor's own for the status
    ready_delay        time between the upgrade and the vendor's word that it takes audio, where it has one
    mishap, mishaps    and the number of accepted connections it strikes; None: all
    late_finals        results are sent this much later, in their order
    duplicate_finals   each final result is sent twice
    idle_timeout       instead of the vendor's own
    """

    unreachable_for: float = 0.0
    handshake_delay: float = 0.0
    delayed: int | None = None
    refuse_first: int = 0
    refuse_for: float = 0.0
    refuse_status: int = 503
    refuse_headers: tuple[tuple[str, str], ...] = ()
    refuse_body: bytes | None = None
    ready_delay: float = 0.0
    mishap: Mishap | None = None
    mishaps: int | None = 1
    late_finals: float = 0.0
    duplicate_finals: bool = False
    idle_timeout: float | None = None
