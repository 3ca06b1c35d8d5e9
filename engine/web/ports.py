"""What the web needs from the rooms behind it, as Protocols that they implement."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, Unpack

from engine.config import Config
from engine.conversation.chat.answering import Chat
from engine.conversation.given import Given
from engine.conversation.llm.port import Llm
from engine.conversation.structured import Memory
from engine.listen.ports import ClientSocket
from engine.metrics import Metrics
from engine.off_loop import OffLoop
from engine.store.blob_places import BlobPlaces
from engine.store.conversations import Chosen
from engine.store.edits import SegmentEdit
from engine.store.jobs import Job
from engine.store.records import ConversationRow, TokenRow, UsageRow
from engine.store.user_records import DaySummaryRow
from engine.web.app_ports import AppServices
from engine.web.blobs import Links as BlobLinks
from engine.web.conversation_ports import Edits, Search, Wholes
from engine.web.health import Exposition, Readiness
from engine.web.receiver_ports import ReceiverServices
from engine.web.record_ports import Records
from engine.web.speech_profile import Voices
from engine.web.webhook_ports import WebhookServices
from engine.wire import ListenParameters, Segment
from engine.wire.messages import Speaker


class Sessions(Protocol):
    """The live sessions of this process."""

    async def serve(self, socket: ClientSocket, parameters: ListenParameters, uid: str) -> None:
        """One session, from after the handshake until nothing of it is left. Raises `Refusal` first."""
        ...


Rows = list[ConversationRow]  # inside the class `list` is the method


class Conversations(Protocol):
    """Reading what is kept; every call names the owner."""

    async def get(self, uid: str, id: str) -> ConversationRow | None:
        """The conversation, or None."""
        ...

    async def segments(self, uid: str, id: str) -> list[Segment]:
        """Its segments by start time, equal ones in the order they first came."""
        ...

    async def some(self, uid: str, ids: Collection[str]) -> Rows:
        """Those of a user's conversations that have one of `ids` (at most `PAGE_LIMIT`), in no order."""
        ...

    async def list(self, uid: str, *, limit: int, offset: int = 0, **chosen: Unpack[Chosen]) -> Rows:
        """A page of a user's conversations, newest first."""
        ...

    async def count(self, uid: str, **chosen: Unpack[Chosen]) -> int:
        """How many conversations `list` would give without limit and offset."""
        ...


class Lifecycle(Protocol):
    """Changing conversations, live ones among them."""

    async def finish(self, uid: str, id: str | None = None, *, wait: bool = True) -> ConversationRow | None:
        """End the user's conversation in progress, with `id` only that one; None when there is none.

        With `wait` it is processed when this returns, or still `processing` when that took too long.
        """
        ...

    async def delete(self, uid: str, conversation_id: str, *, cascade: bool = False) -> bool:
        """Whether there was one. `cascade`: with the memories that were made of it."""
        ...

    async def edit_live(self, uid: str, conversation_id: str, edit: SegmentEdit) -> Sequence[str] | None:
        """Edit a conversation in progress; which segments are not there, None when nobody holds it (any more)."""
        ...


class Assigner(Protocol):
    """Who takes what users say about who speaks; `engine.conversation.assigning` implements it."""

    async def assign(
        self,
        uid: str,
        conversation_id: str,
        ids: Sequence[str],
        who: Speaker,
        *,
        from_now_on: bool = False,
    ) -> Sequence[str] | None:
        """Which segments are not there, with which nothing was changed; None when the user knows no such person."""
        ...


class Requests(Protocol):
    """What is asked of processing. `engine.conversation.requests` says what each does."""

    async def from_text(
        self,
        uid: str,
        text: str,
        *,
        text_source: str = "audio_transcript",
        text_source_spec: str | None = None,
        given: Given = ...,
        wait: bool = False,
    ) -> ConversationRow:
        """A new conversation whose words are `text`; with `wait` as it is after processing, else `processing`."""
        ...

    async def from_segments(
        self, uid: str, segments: Sequence[Segment], *, given: Given = ..., wait: bool = False
    ) -> ConversationRow:
        """The same of segments, whose times are seconds after its beginning; each must have an id of its own."""
        ...

    async def reprocess(
        self, uid: str, id: str, *, language: str | None = None, app_id: str | None = None
    ) -> ConversationRow:
        """Process a conversation again and return it, still `processing` when that takes too long."""
        ...

    async def merge(self, uid: str, ids: Sequence[str], *, reprocess: bool = True) -> ConversationRow:
        """Make one conversation of several."""
        ...

    async def progress(self, uid: str, id: str) -> tuple[ConversationRow, Job | None]:
        """A conversation and the job on it, if there is one. Raises `KeyError` when there is no such conversation."""
        ...


class UserData(Protocol):
    """All that is kept of one user."""

    def export(self, uid: str) -> AsyncIterator[bytes]:
        """All that is kept of a user as one JSON object, piece by piece: a list of rows for each table."""
        ...

    async def erase(self, uid: str, *, serving: bool, scrub: bool) -> object:
        """Raises `UserBusy`."""
        ...


class Facts(Protocol):
    """What texts say about users."""

    async def read(self, text: str) -> Sequence[Memory]:
        """What lasts of what `text` says of its user. By rules when the language model does not answer."""
        ...


class Days(Protocol):
    """Summarising days when users ask for it."""

    async def summarise(self, uid: str, day: date) -> DaySummaryRow | None:
        """Summarise a local day and keep what comes of it; None when nothing was said in it."""
        ...


class Tokens(Protocol):
    """API keys."""

    async def verify(self, token: str) -> TokenRow | None:
        """The row of a token that was given out, also when it has expired or was revoked."""
        ...


class Keys(Tokens, Protocol):
    """API keys and who has them."""

    async def issue(
        self,
        uid: str,
        label: str = "",
        expires_at: int | None = None,
        scopes: Sequence[str] | None = None,
    ) -> tuple[TokenRow, str]:
        """A new key's row, and the key, which is not kept."""
        ...

    async def list(self, uid: str | None = None) -> list[TokenRow]:
        """A user's tokens (or all), oldest first, also revoked and expired ones."""
        ...

    async def revoke(self, id: str, uid: str | None = None) -> bool:
        """Whether there was one that was valid."""
        ...


class Transcriber(Protocol):
    """Who transcribes recordings; `engine.listen.recordings` implements it."""

    async def transcribe(self, recording: bytes, language: str) -> str:
        """What is said in a WAV file. Raises `Untranscribable`."""
        ...


class Usage(Protocol):
    """What users have used."""

    async def read(
        self, uid: str, start: int | None, end: int | None, *, limit: int, offset: int
    ) -> list[UsageRow]:
        """Rows of one user (or all), of hours that begin in `start` ≤ hour < `end`, oldest first."""
        ...


class Teller(Protocol):
    """Who tells webhooks of conversations; `engine.webhooks.finished` implements it."""

    async def send(self, uid: str, id: str) -> int:
        """Tell every endpoint of a conversation again; how many those are. Raises `KeyError`."""
        ...


class Models(Protocol):
    """The models of this process; None while, and where, there is none."""

    @property
    def llm(self) -> Llm | None:
        """The language model."""
        ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything the web serves from. `exposition`: what /metrics says, if not the metrics of this process alone."""

    config: Config
    metrics: Metrics
    readiness: Readiness
    sessions: Sessions
    conversations: Conversations
    wholes: Wholes
    edits: Edits
    search: Search
    models: Models
    lifecycle: Lifecycle
    requests: Requests
    user_data: UserData
    facts: Facts
    days: Days
    apps: AppServices
    tokens: Keys
    usage: Usage
    records: Records
    chat: Chat
    transcriber: Transcriber
    webhooks: WebhookServices
    teller: Teller
    off_loop: OffLoop
    blob_places: BlobPlaces
    voices: Voices
    assigner: Assigner
    blob_links: BlobLinks
    receiver: ReceiverServices
    exposition: Exposition | None = None
