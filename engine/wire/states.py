"""The life of a listen session, as a table.

A session moves only forward:

    CONNECTING   the socket is open; who it is and what it asks for are being checked
    INITIATING   the client was told; its audio is taken into the ring while speech to text gets ready
    READY        audio goes in, segments come out
    DRAINING     no more audio is taken; what was taken is being transcribed and kept
    CLOSED       everything taken is accounted for and the socket is closed

Two kinds of event move it. Those the session itself causes (ACCEPTED, REFUSED, STT_READY, DRAINED) happen in
their place or not at all: anywhere else they are a fault of ours, and `advance` raises. Those that come from
outside (END_ASKED, CLIENT_GONE, FAILED) may come at any time, several times and in any order, so every state
has an answer to them. A client that leaves does not close the session: what it sent is still transcribed,
therefore CLIENT_GONE leads to DRAINING and only DRAINED, FAILED or a refusal to CLOSED. STT_READY is the one
event of ours that may be overtaken (by the end, while a vendor is still connecting) and then changes nothing.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType


class State(Enum):
    """Where a session is; see the module's text."""

    CONNECTING = auto()
    INITIATING = auto()
    READY = auto()
    DRAINING = auto()
    CLOSED = auto()


class SessionEvent(Enum):
    """What moves a session."""

    ACCEPTED = auto()
    """Parameters, credentials and limits are fine."""
    REFUSED = auto()
    """They are not; the client was told."""
    STT_READY = auto()
    """A vendor takes audio (or the client does the transcribing)."""
    END_ASKED = auto()
    """The server drains, the client was inactive, or the client sent a close frame."""
    CLIENT_GONE = auto()
    """The connection is lost."""
    DRAINED = auto()
    """All that was taken is transcribed and kept, or the time for it is over."""
    FAILED = auto()
    """The session cannot go on."""


class IllegalTransition(RuntimeError):
    """The session caused an event where the table has none: a fault of ours, never of the client."""

    def __init__(self, state: State, event: SessionEvent) -> None:
        super().__init__(f"{event.name} cannot happen in state {state.name}")
        self.state = state
        self.event = event


TRANSITIONS: Mapping[State, Mapping[SessionEvent, State]] = MappingProxyType(
    {
        State.CONNECTING: {
            SessionEvent.ACCEPTED: State.INITIATING,
            SessionEvent.REFUSED: State.CLOSED,
            SessionEvent.END_ASKED: State.CLOSED,
            SessionEvent.CLIENT_GONE: State.CLOSED,
            SessionEvent.FAILED: State.CLOSED,
        },
        State.INITIATING: {
            SessionEvent.STT_READY: State.READY,
            SessionEvent.REFUSED: State.CLOSED,
            SessionEvent.END_ASKED: State.DRAINING,
            SessionEvent.CLIENT_GONE: State.DRAINING,
            SessionEvent.FAILED: State.CLOSED,
        },
        State.READY: {
            SessionEvent.END_ASKED: State.DRAINING,
            SessionEvent.CLIENT_GONE: State.DRAINING,
            SessionEvent.FAILED: State.CLOSED,
        },
        State.DRAINING: {
            SessionEvent.STT_READY: State.DRAINING,
            SessionEvent.END_ASKED: State.DRAINING,
            SessionEvent.CLIENT_GONE: State.DRAINING,
            SessionEvent.DRAINED: State.CLOSED,
            SessionEvent.FAILED: State.CLOSED,
        },
        State.CLOSED: {
            SessionEvent.END_ASKED: State.CLOSED,
            SessionEvent.CLIENT_GONE: State.CLOSED,
            SessionEvent.FAILED: State.CLOSED,
        },
    }
)

TAKES_AUDIO = frozenset((State.INITIATING, State.READY))
SENDS_SEGMENTS = frozenset((State.INITIATING, State.READY, State.DRAINING))
"""INITIATING is among them because a client that transcribes itself may be ahead of everything else."""


def advance(state: State, event: SessionEvent) -> State:
    """The state after `event`. Raises `IllegalTransition` where the table has no answer."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None
