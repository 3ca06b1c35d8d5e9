"""Deepgram's `/v1/listen`: nova-3 and nova-2, and servers that speak the same (self-hosted, compatible).

Wire format: developers.deepgram.com (Live Audio API reference, "Keep Alive", "Finalize", "Close Stream", and the
pages on NET-0000, NET-0001 and DATA-0000) and the types of deepgram-sdk 7. The query is the set of options that
the Omi backend documents. What this file relies on:

- finals tile the audio: each covers `start` to `start + duration`, in seconds since the stream began;
- an empty binary message ends the stream with DATA-0000, so none is ever made;
- KeepAlive is a text message, every 3 to 5 s, and does not help before the first audio, due within 10 s;
- `Finalize` may go unanswered when little audio was waiting;
- `Metadata` comes after `CloseStream`, but also before the vendor ends an idle stream;
- `speaker` is missing without diarization, `language` may be missing with `multi`, and any field may be missing
  in what compatible servers send.

Known doubts: nobody publishes the tokenizer behind the limit on key terms; `_tokens` is meant to guess high.
"""

from collections import deque
from collections.abc import Sequence
from urllib.parse import urlencode

from engine.stt import _fields as read
from engine.stt._deepgram_words import Results, results_in, window_of
from engine.stt.languages import DG_NOVA_2, DG_NOVA_3
from engine.stt.protocol import (
    Endpoint,
    Event,
    Failed,
    Finished,
    Flushed,
    Message,
    Notice,
    Recognized,
    Started,
    Tentative,
    Traits,
)
from engine.stt.transport import ConnectionLost, Refused, Request
from engine.stt.vendor import SAMPLE_RATE, Fault, StreamOptions, VendorError

TERMS = 100
"""Key terms or keywords a request may have."""

TERM_TOKENS = 500
"""Tokens all key terms together may have; above, the stream stops without a word (NET-0000 after 30 s)."""

BUSY_PAUSE = 10.0
"""Seconds after a 429 that does not say how long to wait."""

TRAITS = Traits(pace=1.25, keepalive=4.0, first_audio=10.0)

_UNANSWERED = 16
"""Positions of `Finalize` remembered; older ones count as answered."""

_OUR_FAULT = frozenset({1002, 1003, 1007, 1008, 1009, 1010})
"""Close codes that the same request would meet again."""

_SILENT_TYPES = frozenset({"SpeechStarted", "UtteranceEnd", "ConfigureSuccess"})


class DeepgramProtocol:
    """One stream. See `VendorProtocol`."""

    traits = TRAITS
    unacknowledged = 0

    def __init__(self, options: StreamOptions, endpoint: Endpoint) -> None:
        self._options = options
        self._endpoint = endpoint
        self._nova_3 = endpoint.model.startswith("nova-3")
        self._sent = 0
        self._covered = 0
        self._finalized: deque[int] = deque(maxlen=_UNANSWERED)
        self._finishing = False
        terms = [term for term in map(_sendable, options.vocabulary) if term]
        self._terms = _within_limits(terms) if self._nova_3 else terms[:TERMS]
        self._left_out = len(terms) - len(self._terms)

    def request(self) -> Request:
        """The handshake: everything is in the query; `Authorization: Token`, where there is a key."""
        key = self._endpoint.key
        headers = (("Authorization", f"Token {key}"),) if key else ()
        return Request(f"{self._endpoint.url}?{urlencode(self._query())}", headers)

    def opened(self) -> Sequence[Message | Started]:
        """Audio may follow the upgrade at once."""
        return (Started(),)

    def audio(self, pcm: bytes) -> Sequence[Message]:
        """One binary message, never an empty one."""
        self.pumped(1, len(pcm) // 2)
        return (pcm,) if pcm else ()

    def pumped(self, messages: int, samples: int) -> None:
        """See `RawAudio.pumped`."""
        self._sent += samples

    def keepalive(self) -> Sequence[Message]:
        """Of no use before the first audio."""
        return ('{"type":"KeepAlive"}',)

    def finalize(self) -> Sequence[Message]:
        """Ask for what is waiting; may go unanswered."""
        self._finalized.append(self._sent)
        return ('{"type":"Finalize"}',)

    def finish(self) -> Sequence[Message]:
        """Ask for the rest, the metadata and the close."""
        self._finishing = True
        return ('{"type":"CloseStream"}',)

    def received(self, message: Message) -> Sequence[Event]:
        """See `VendorProtocol.received`."""
        results = results_in(message) if isinstance(message, str) else None
        if results is not None and not self._left_out:
            return self._results(results)
        fields = read.fields(message) if isinstance(message, str) else None
        kind = read.told(fields.get("type")) if fields is not None else ""
        events: list[Event] = []
        if self._left_out:
            events.append(Notice(f"Deepgram: {self._left_out} vocabulary terms are beyond its limits"))
            self._left_out = 0
        if fields is None:
            events.append(Notice(f"Deepgram sent {type(message).__name__} that is not a JSON object"))
        elif kind == "Results":
            events += self._results(Results.of(fields))
        elif kind == "Metadata":
            events.append(Finished() if self._finishing else self._metadata(fields))
        elif kind == "Error":
            events.append(Failed(self._error(fields)))
        elif kind not in _SILENT_TYPES:
            events.append(Notice(f"Deepgram sent a message of unknown type {kind[:40]!r}"))
        return events

    def lost(self, lost: ConnectionLost) -> VendorError | None:
        """See `VendorProtocol.lost`. 1000 without `CloseStream` is not orderly."""
        if self._finishing and lost.code in (1000, 1005):
            return None
        reason = read.told(lost.reason, self._endpoint.key)
        text = f"Deepgram closed with {lost.code} {reason}".rstrip()
        if lost.code in _OUR_FAULT:
            return VendorError(Fault.ELSEWHERE, text)
        if lost.code == 1013:
            return VendorError(Fault.RETRY_AFTER, text, BUSY_PAUSE)
        return VendorError(Fault.RETRY_NOW, text)

    def refused(self, refused: Refused) -> VendorError:
        """See `VendorProtocol.refused`: by status, told with `err_code` and `err_msg` or `dg-error`."""
        body = read.fields(refused.body) or {}
        secret = self._endpoint.key
        code = read.told(body.get("err_code"), secret)
        said = read.told(body.get("err_msg"), secret) or read.told(refused.headers.get("dg-error"), secret)
        text = " ".join(part for part in (f"Deepgram refused with HTTP {refused.status}", code) if part)
        text = f"{text}: {said}" if said else text
        if refused.status == 429:
            pause = read.pause(refused.headers.get("retry-after"), BUSY_PAUSE)
            return VendorError(Fault.RETRY_AFTER, text, pause)
        if refused.status == 408 or refused.status >= 500:
            return VendorError(Fault.RETRY_NOW, text)
        return VendorError(Fault.ELSEWHERE, text)

    def _query(self) -> list[tuple[str, str]]:
        table = DG_NOVA_3 if self._nova_3 else DG_NOVA_2
        language = self._options.language
        query = {
            "punctuate": "true",
            "no_delay": "true",
            "endpointing": "300",
            "language": table.match(language) or language,
            "interim_results": "true" if self._options.interim_results else "false",
            "smart_format": "true",
            "profanity_filter": "false",
            "diarize": "true",
            "filler_words": "false",
            "channels": "1",
            "multichannel": "false",
            "model": self._endpoint.model,
            "sample_rate": str(SAMPLE_RATE),
            "encoding": "linear16",
        }
        if self._nova_3:
            return [*query.items(), *(("keyterm", term) for term in self._terms)]
        # A colon would begin the keyword's weight.
        return [*query.items(), *(("keywords", term.replace(":", " ")) for term in self._terms)]

    def _results(self, results: Results) -> list[Event]:
        if results.channel_index and results.channel_index[0] != 0:
            return []
        window = window_of(results, self._covered, self._sent)
        if not results.is_final:
            return [Tentative(window.words)]
        self._covered = window.end
        events: list[Event] = [Recognized(window.words, window.end)]
        if results.from_finalize and self._finalized:
            # Some `Finalize` are never answered: only the answer to the last one says that all is done.
            self._finalized.popleft()
            if not self._finalized:
                events.append(Flushed())
        while self._finalized and self._finalized[0] <= self._covered:
            self._finalized.popleft()
        return events

    def _metadata(self, fields: dict[str, object]) -> Notice:
        request = read.told(fields.get("request_id"))[:40]
        return Notice(f"Deepgram ends request {request} by itself")

    def _error(self, fields: dict[str, object]) -> VendorError:
        parts = [
            read.told(fields.get(name), self._endpoint.key) for name in ("variant", "code", "description")
        ]
        text = " ".join(["Deepgram error:", *(part for part in parts if part)])
        ours = "DATA-" in text or "SchemaError" in text
        return VendorError(Fault.ELSEWHERE if ours else Fault.RETRY_NOW, text)


def _sendable(term: str) -> str:
    return " ".join(term.encode("utf-8", "ignore").decode().split())


def _within_limits(terms: Sequence[str]) -> list[str]:
    """The first `terms` that may be sent together; one that does not fit is left out, shorter ones may follow."""
    chosen: list[str] = []
    tokens = 0
    for term in terms:
        cost = _tokens(term)
        if len(chosen) < TERMS and tokens + cost <= TERM_TOKENS:
            chosen.append(term)
            tokens += cost
    return chosen


def _tokens(term: str) -> int:
    """A high guess: a token for every three bytes of a word, rounded up; English has about four."""
    return sum(-(-len(word.encode()) // 3) for word in term.split())
