"""What a live session needs from the rooms that come after it, as Protocols that they implement."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from engine.audio.intake import Intake
from engine.listen.mixing import Mixed
from engine.listen.naming import SpeakerNames
from engine.listen.tap import Tap
from engine.stt.prerolls import Preroll
from engine.transcript import Merged
from engine.wire.client_messages import SpeakerAssigned
from engine.wire.messages import Event, Segment, Speaker, Translation
from engine.wire.parameters import ListenParameters

T = TypeVar("T")


class WallClock(Protocol):
    """Microseconds since the epoch, UTC. Trio's clock is used for everything but timestamps in records."""

    def __call__(self) -> int: ...


class ClientGone(Exception):
    """The client's socket is closed; `code` is its close code, 1006 when it went without one."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the client is gone (close code {code})")
        self.code = code


class ClientSocket(Protocol):
    """A client's WebSocket after the handshake, whichever way it came in."""

    async def receive(self) -> bytes | str:
        """The next message. All messages the client sent come before `ClientGone` is raised."""
        ...

    async def send(self, text: str) -> None:
        """Send one text message; raises `ClientGone` when nobody is there to read it."""
        ...

    async def close(self, code: int, reason: str = "") -> None:
        """Send the close frame; a second call, or a call after the client went, does nothing."""
        ...


@runtime_checkable
class PromptSocket(ClientSocket, Protocol):
    """A client's socket that may be able to send at once."""

    def offer(self, text: str) -> bool:
        """Send one text message, behind those before it, without waiting; False: not now, and nothing was sent.

        Not to be called while a `send` is under way.
        """
        ...


@runtime_checkable
class DecodingSocket(ClientSocket, Protocol):
    """A client's socket that can decode audio by itself, in native code."""

    def decoding(
        self,
        intake: Intake,
        decoded: Callable[[], None],
        make_room: Callable[[int], Awaitable[None]],
    ) -> AbstractContextManager[None]:
        """Inside, audio goes to `intake`, and `receive` gives only what else the client says.

        `decoded` is called when the ring has what is wanted of it; it must not block. `make_room` is awaited
        in `receive` when so many samples do not fit. Afterwards messages are dropped.
        """
        ...


class Participant(Protocol):
    """A live session, as the conversation it writes to sees it."""

    @property
    def id(self) -> str:
        """The session's."""
        ...

    @property
    def uid(self) -> str:
        """Whose session it is."""
        ...

    @property
    def speech_waiting(self) -> bool:
        """Whether audio was received that may hold speech nobody has transcribed yet."""
        ...

    def silence(self) -> float | None:
        """Seconds since the end of the last speech; None while there was none in this conversation."""
        ...

    async def flush(self) -> None:
        """Have everything received so far transcribed, within the configured time."""
        ...

    def notify(self, event: Event) -> None:
        """Queue an event for the client."""
        ...

    def show(self, conversation: "OpenConversation", segments: Sequence[Segment]) -> None:
        """Segments of its conversation that somebody else changed, once they are kept."""
        ...

    def move_to(self, conversation: "OpenConversation") -> None:
        """The old conversation ended; what is said from now on belongs to this one."""
        ...

    def assign(self, label: str, who: Speaker) -> None:
        """Somebody has said who this speaker is: what they say from now on is theirs."""
        ...


class OpenConversation(Protocol):
    """A conversation in progress."""

    @property
    def id(self) -> str:
        """As REST knows it."""
        ...

    @property
    def started_at(self) -> int:
        """Microseconds since the epoch; segment times count from here."""
        ...

    @property
    def tail(self) -> Segment | None:
        """The latest segment, which new words may still be joined to."""
        ...

    @property
    def revisions(self) -> Mapping[str, int]:
        """Revision of each of its segments, by id."""
        ...

    def start_at(self, by: Participant, moment: int) -> None:
        """Move the beginning of a conversation that has no segments yet to `moment`."""
        ...

    def publish(self, by: Participant, merged: Merged, speech_at: int) -> None:
        """Keep segments before they are sent: in the journal at once, in the database soon.

        `speech_at` is when the last speech ended, in microseconds since the epoch.
        """
        ...

    def pictured(self, by: Participant, moment: int) -> None:
        """A picture belongs to it, which came at `moment` (µs since the epoch) and ends a silence as speech does."""
        ...

    def heard(self) -> None:
        """Look at the silence again: a participant's speech or silence went on."""
        ...

    def translate(
        self, by: Participant, segment: Segment, translations: tuple[Translation, ...]
    ) -> Segment | None:
        """Keep `segment` with these under a new revision, as `publish` does, and return it.

        None when `by` does not take part any more, or when the segment is not as it was: it has changed or is gone.
        """
        ...

    def rewrite(self, by: Participant, segments: Sequence[Segment]) -> Sequence[Segment]:
        """Keep these next revisions of segments, as `publish` does; returns those that were kept.

        Left out are those that changed meanwhile or are gone; all, when `by` does not take part any more.
        """
        ...

    def amend(self, segments: Sequence[Segment]) -> None:
        """These revisions were made elsewhere, by who keeps them."""
        ...

    def split(self, by: Participant) -> "OpenConversation":
        """End this one now, its timeout having passed on the audio's timeline; the next one, which `by` is in."""
        ...

    def leave(self, by: Participant) -> None:
        """The participant's session is over. The conversation goes on until its timeout."""
        ...


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has set about how they are transcribed; `language` is empty when they set none.

    `remaining_seconds`: what their quota leaves them of audio; None without one.
    """

    language: str = ""
    single_language: bool = False
    vocabulary: tuple[str, ...] = ()
    remaining_seconds: float | None = None


class Preferences(Protocol):
    """Where users' wishes are."""

    async def get(self, uid: str) -> Wishes:
        """What the user has set; nothing where that cannot be known right now."""
        ...


class OwnVoices(Protocol):
    """Where users' own voices are, to be played to vendors that tell speakers apart."""

    async def preroll(self, uid: str) -> Preroll | None:
        """The user's; None without one, or where that cannot be known right now. Never raises."""
        ...


class Photos(Protocol):
    """Where the pictures of sessions are kept."""

    async def keep(self, uid: str, conversation_id: str, image: bytes) -> str | None:
        """Keep the file `image` in a conversation: its id; None when the conversation is not there, or that fails."""
        ...


class Followed(Participant, Protocol):
    """A live session, as those who follow it see it."""

    @property
    def parameters(self) -> ListenParameters:
        """What its client asked for."""
        ...

    @property
    def names(self) -> SpeakerNames:
        """Who its speakers are; what is found out there shows in segments from now on."""
        ...

    @property
    def began_at(self) -> int | None:
        """When its sample 0 came, in microseconds since the epoch; None before."""
        ...

    @property
    def over(self) -> bool:
        """Whether no audio follows; then nothing can be tapped."""
        ...

    def tap(self, name: str, *, channel: int = 0, lossless: bool = True, keep: int) -> Tap:
        """Its audio from now on; see `engine.listen.tap.Taps.open`. `channel`: of a call, which has several."""
        ...

    def hear(self, name: str, *, keep: int) -> Tap | Mixed:
        """All of its audio from now on, a call's channels mixed; lossless while it is at most `keep` behind."""
        ...


class Following(Protocol):
    """Somebody who follows one session. Called between two awaits, on the live path: must not block.

    Audio is heard through `Followed.tap`, in a task of the follower's own, which may go on after `ended`.
    """

    def entered(self, conversation: "OpenConversation", position: int) -> None:
        """What is heard from sample `position` on belongs to this conversation."""
        ...

    def changed(
        self,
        conversation: "OpenConversation",
        segments: Sequence[Segment],
        deleted: Sequence[str],
        offset: float,
    ) -> None:
        """Segments that are new or changed, and ids of those that are gone, once they are kept.

        `offset`: seconds that were added to the session's times to have the conversation's.
        """
        ...

    def ended(self) -> None:
        """The session is over: nothing follows."""
        ...


class Follower(Protocol):
    """Somebody who follows all sessions of a service."""

    def began(self, session: Followed) -> Following | None:
        """A session begins, of whose audio nothing has come; None: it is of no interest. Must not block."""
        ...


class Assignments(Protocol):
    """Who takes what clients say about who speaks."""

    def offer(self, by: Participant, conversation: OpenConversation, message: SpeakerAssigned) -> None:
        """The client of `by` names a speaker; it is told when that has no effect. Never waits."""
        ...


class Translator(Protocol):
    """Who translates what sessions bring."""

    def offer(
        self, by: Participant, conversation: OpenConversation, segments: Sequence[Segment], language: str
    ) -> None:
        """Segments that are new or changed, kept already; `language` is what the session asked for. Never waits."""
        ...


class SessionUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a session used since it was last asked. Samples at 16 kHz."""

    sessions: int = 0
    audio_samples: int = 0
    speech_samples: int = 0
    words: int = 0
    segments: int = 0
    vendor_samples: dict[str, int] = {}


class Conversations(Protocol):
    """Where sessions find their conversation."""

    async def join(self, participant: Participant, request: "JoinRequest") -> OpenConversation:
        """The conversation in progress of the participant's user, or a new one."""
        ...

    async def last_completed(self, uid: str) -> str | None:
        """Id of the user's latest completed conversation."""
        ...

    def left(self, participant: Participant) -> None:
        """The session is over, after its last `used`: what was kept for it may be tidied up."""
        ...

    def used(self, by: Participant, usage: SessionUsage) -> None:
        """Add to the user's usage, through the session's journal."""
        ...

    def using(self, by: Participant, usage: SessionUsage) -> None:
        """What came since the last `used`, kept with what is published next: counted like it if the process dies
        before the next.
        """
        ...


class JoinRequest(Protocol):
    """What `join` needs to know of the session."""

    @property
    def language(self) -> str:
        """A code, or what stands for several."""
        ...

    @property
    def source(self) -> str | None:
        """What recorded it, as the client said."""
        ...

    @property
    def conversation_timeout(self) -> int:
        """Seconds of silence that end the conversation."""
        ...
