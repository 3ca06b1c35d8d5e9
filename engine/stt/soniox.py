"""Soniox real-time transcription (`stt-rt-v5`).

Wire format: soniox.com/docs, "WebSocket API" and "Real-time transcription", and the types of the vendor's Python
package (soniox 2.10). The key goes in the handshake; the message that names it is refused from 2027 on. A start
message, never acknowledged, then audio as it is. Each result has the final tokens that are new, each said once,
then all tokens that may still change. The vendor closes with 1000 whatever happened; errors come as a message.

Operations: see `VendorProtocol`. Invariants: `covered` never goes back, never passes the beginning of a word that is
not complete (its later tokens may not be final yet), nor the audio sent; every word begins at or after what was
covered before it. Bounded: as `_soniox_words`, which holds all that is kept of tokens.
Known doubts: whether a stream that gets keepalives but no audio at all is ended (then 408); whether `<fin>` answers
each `finalize` or several at once, so both are taken.
"""

from collections.abc import Sequence

import msgspec

from engine.stt import _fields as read
from engine.stt._soniox_words import CONTROL, Token, TokenReader, WordAssembly, number, samples
from engine.stt.languages import DETECT, MULTI, SONIOX
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
from engine.transcript.words import Word

MODEL = "stt-rt-v5"

CONTEXT_LIMIT = 10_000
"""Characters of context; more is refused with 400."""

REFERENCE_LIMIT = 256
"""Characters of `client_reference_id`."""

PAUSE = SAMPLE_RATE
"""Samples of finished audio after a word that make it complete without a token to follow."""

BUSY_PAUSE = 10.0
"""Seconds after a 429: it never says how long, and a minute allows a hundred requests to all sessions together."""

TRAITS = Traits(
    # The vendor wants "near real time" and names no number: the only one a vendor of this kind has published as
    # taken without harm is Deepgram's 1.25. It catches up with 10 s in 40 s.
    pace=1.25,
    keepalive=5.0,  # as the vendor's package does; 20 s without anything ends the stream
    ping=10.0,  # a dead line is noticed in silence too, before the next words are spoken into it
    first_audio=20.0,
    max_duration=295 * 60.0,  # 300 minutes, not to be raised; the rest is for the last results
    finalize_gap=3.0,  # "not more often than every few seconds"
)

_FAULTS = {
    **dict.fromkeys((400, 401, 402, 403), Fault.ELSEWHERE),
    **dict.fromkeys((408, 413), Fault.RETRY_NOW),
    429: Fault.RETRY_AFTER,
}

_OUR_FAULT = frozenset({1002, 1003, 1007, 1008, 1009, 1010})
"""Close codes that the same request would meet again."""


class SonioxProtocol:
    """A `VendorProtocol`."""

    traits = TRAITS
    unacknowledged = 0

    def __init__(self, options: StreamOptions, endpoint: Endpoint) -> None:
        self._options = options
        self._endpoint = endpoint
        self._tokens = TokenReader()
        self._words = WordAssembly()
        self._sent = self._covered = self._processed = 0
        self._guess: tuple[Word, ...] = ()
        self._finalizing = 0
        self._finalized = 0
        self._finishing = False
        self._finished = False

    # Out

    def request(self) -> Request:
        """See `VendorProtocol.request`."""
        key = self._endpoint.key
        return Request(self._endpoint.url, (("Authorization", f"Bearer {key}"),) if key else ())

    def opened(self) -> Sequence[Message | Started]:
        """See `VendorProtocol.opened`."""
        return start_message(self._options, self._endpoint.model or MODEL), Started()

    def audio(self, pcm: bytes) -> Sequence[Message]:
        """See `VendorProtocol.audio`."""
        self.pumped(1, len(pcm) // 2)
        return (pcm,)

    def pumped(self, messages: int, samples: int) -> None:
        """See `RawAudio.pumped`."""
        self._sent += samples

    def keepalive(self) -> Sequence[Message]:
        """See `VendorProtocol.keepalive`."""
        return ('{"type":"keepalive"}',)

    def finalize(self) -> Sequence[Message]:
        """See `VendorProtocol.finalize`."""
        self._finalizing += 1
        self._finalized = self._sent
        return ('{"type":"finalize"}',)

    def finish(self) -> Sequence[Message]:
        """See `VendorProtocol.finish`: an empty message."""
        self._finishing = True
        return ("",)

    # In

    def received(self, message: Message) -> Sequence[Event]:
        """See `VendorProtocol.received`."""
        result = read.fields(message)
        if result is None:
            return (Notice("soniox: a message that is not a JSON object"),)
        if result.get("error_code") is not None or result.get("error_message") is not None:
            return (self._failed(result),)
        if result.keys().isdisjoint(("tokens", "finished", "final_audio_proc_ms", "total_audio_proc_ms")):
            return (Notice("soniox: a message that is neither result nor error"),)
        return self._result(result)

    def lost(self, lost: ConnectionLost) -> VendorError | None:
        """See `VendorProtocol.lost`. Only after `finished` is everything said."""
        if self._finished:
            return None
        fault = Fault.ELSEWHERE if lost.code in _OUR_FAULT else Fault.RETRY_NOW
        reason = read.told(lost.reason, self._endpoint.key)
        return VendorError(fault, f"soniox: closed with {lost.code} {reason}".rstrip())

    def refused(self, refused: Refused) -> VendorError:
        """See `VendorProtocol.refused`."""
        text = read.told(refused.body, self._endpoint.key)
        message = f"soniox: refused with HTTP {refused.status}: {text}"
        return _error(refused.status, message, refused.headers.get("retry-after"))

    def _failed(self, result: dict[str, object]) -> Event:
        code = int(number(result.get("error_code")) or 0)
        kind, text = (
            read.told(result.get(name), self._endpoint.key) for name in ("error_type", "error_message")
        )
        if self._finishing and code == 400 and text.startswith("No audio received"):
            self._finished = True
            return Finished()
        return Failed(_error(code, f"soniox: error {code or 'without code'} {kind}: {text}"))

    def _result(self, result: dict[str, object]) -> Sequence[Event]:
        processed = samples(result.get("final_audio_proc_ms"), self._sent)
        tokens = self._tokens.read(result.get("tokens"), self._covered, self._sent, processed)
        tail, flushed = self._take(tokens, processed)
        self._finished = self._finished or result.get("finished") is True
        if self._finished or (processed or 0) >= self._words.last_end + PAUSE:
            self._words.end()
        words = self._words.take()
        alive = self._advance(processed, words, tail, samples(result.get("total_audio_proc_ms"), self._sent))
        events: list[Event] = [Recognized(words, self._covered)] if alive else []
        if self._options.interim_results:
            guess = self._words.preview(tail)
            if guess != self._guess:
                self._guess = guess
                events.append(Tentative(guess))
        if flushed:
            events.append(Flushed())
        if self._finished:
            events.append(Finished())
        return events

    def _advance(
        self, processed: int | None, words: Sequence[Word], tail: Sequence[Token], total: int | None
    ) -> bool:
        """Move `covered`; whether the message shows that the vendor is at work."""
        before = self._covered, self._processed
        reached = max(processed or 0, words[-1].end if words else 0)
        unfinished = self._words.unfinished
        limits = [self._sent] if unfinished is None else [self._sent, unfinished]
        limits += [token.start for token in tail[:1]]
        self._covered = max(self._covered, min(reached, *limits))
        self._processed = max(self._processed, total or 0)
        return bool(words or tail) or before != (self._covered, self._processed)

    def _take(self, tokens: Sequence[Token], processed: int | None) -> tuple[list[Token], bool]:
        """Take what is final; returns what is not, and whether the last `finalize` is answered."""
        tail: list[Token] = []
        flushed = False
        for token in tokens:
            if token.text in CONTROL:
                self._words.end()
                flushed = (token.text == "<fin>" and self._answered(processed)) or flushed
            elif token.final:
                self._words.push(token)
            else:
                tail.append(token)
        return tail, flushed

    def _answered(self, processed: int | None) -> bool:
        """Whether this `<fin>` is for the last `finalize`."""
        self._finalizing = max(0, self._finalizing - 1)
        if processed is not None and processed >= self._finalized:
            self._finalizing = 0
        return self._finalizing == 0


def start_message(options: StreamOptions, model: str) -> str:
    """The first message of a stream, JSON."""
    language = SONIOX.match(options.language)
    multi = language == MULTI or options.language.strip().lower() in DETECT
    start: dict[str, object] = {
        "model": model,
        "audio_format": "pcm_s16le",
        "sample_rate": SAMPLE_RATE,
        "num_channels": 1,
        "enable_speaker_diarization": True,
        "enable_language_identification": multi,
        "enable_endpoint_detection": True,
        "client_reference_id": options.session_id[:REFERENCE_LIMIT],
    }
    if language is not None and not multi:
        start["language_hints"] = [language]
    if terms := _fitting(options.vocabulary):
        start["context"] = {"terms": terms}
    return msgspec.json.encode(start).decode()


def _fitting(vocabulary: Sequence[str]) -> list[str]:
    """The terms, first come first served, that the context has room for, as JSON."""
    terms: list[str] = []
    room = CONTEXT_LIMIT - len('{"terms":[]}')
    for term in dict.fromkeys(" ".join(term.split()) for term in vocabulary):
        size = len(msgspec.json.encode(term).decode()) + 1
        if term and size <= room:
            terms.append(term)
            room -= size
    return terms


def _error(code: int, message: str, retry_after: str | None = None) -> VendorError:
    fault = _FAULTS.get(code, Fault.ELSEWHERE if 300 <= code < 500 else Fault.RETRY_NOW)
    seconds = read.pause(retry_after, BUSY_PAUSE) if fault is Fault.RETRY_AFTER else None
    return VendorError(fault, message, seconds)
