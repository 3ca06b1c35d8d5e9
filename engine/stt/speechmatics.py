"""Speechmatics real-time v2 (docs.speechmatics.com, `realtime.yaml`), and its container on the premises.

Text messages are JSON objects named by `message`; audio goes in binary ones, each acknowledged by `AudioAdded`.
Times are seconds since the stream began. Finals (`AddTranscript`) never change and follow each other; those with
no results pass silence. Punctuation comes as results of its own that say which neighbour they attach to.

How it is asked, and why:

max_delay          2 s, mode flexible: the vendor names about 1 % of accuracy as its price, and up to 5 % below 1.5 s
silence trigger    0.5 s (the vendor's example): a pause makes what was said final, so few words wait for max_delay
enable_entities    said explicitly, because the vendor's documents disagree on the default
max_speakers       left out: any number of people may talk

Languages without spaces (`word_delimiter` "") need nothing: how words are joined is decided by their scripts.

Known doubts: how long a stream of nothing but silence goes without a final is not documented; nor is what the
time in a forced `EndOfUtterance` means, so only its being forced counts.
"""

import re
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from engine.stt._fields import fields, items, mapping, pause, samples, share, text, told, whole
from engine.stt.languages import SPEECHMATICS
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

MODEL = "enhanced"
MAX_DELAY = 2.0
SILENCE_TRIGGER = 0.5
VOCABULARY_LIMIT = 1000
VOCABULARY_WORDS = 6
PAUSE = 5.0
"""Seconds; the vendor asks for 5 to 10 before another try."""

TRAITS = Traits(
    pace=4.0,  # the vendor names no limit: it reads, and acknowledges, as fast as it can
    ping=30.0,  # the vendor ends a stream that had neither audio nor pings for 3 minutes
    window=50,  # messages: 5 s
    max_duration=47 * 3600.0,  # the vendor's limit is 48 h
    finalize_gap=0.5,
)

ERRORS: dict[str, Fault] = {
    **dict.fromkeys(("invalid_message", "invalid_model", "invalid_language"), Fault.ELSEWHERE),
    **dict.fromkeys(("invalid_config", "invalid_audio_type", "invalid_output_format"), Fault.ELSEWHERE),
    **dict.fromkeys(("not_authorised", "not_allowed", "insufficient_funds"), Fault.ELSEWHERE),
    **dict.fromkeys(("protocol_error", "timelimit_exceeded"), Fault.ELSEWHERE),
    **dict.fromkeys(("quota_exceeded", "job_error", "unknown_error"), Fault.RETRY_AFTER),
    **dict.fromkeys(("data_error", "buffer_error"), Fault.RETRY_AFTER),
    **dict.fromkeys(("idle_timeout", "session_timeout", "session_transfer"), Fault.RETRY_NOW),
}
"""Types of `Error`. One that is not here is classed by its `code`, if that is a close code."""

CLOSES: dict[int, Fault] = {
    1003: Fault.ELSEWHERE,  # protocol_error
    1008: Fault.RETRY_NOW,  # policy_violation: idle or session timeout
    1011: Fault.RETRY_AFTER,  # internal_error
    1013: Fault.RETRY_AFTER,
    4001: Fault.ELSEWHERE,  # not_authorised
    4003: Fault.ELSEWHERE,  # not_allowed
    4004: Fault.ELSEWHERE,  # invalid_model
    4005: Fault.RETRY_AFTER,  # quota_exceeded
    4006: Fault.ELSEWHERE,  # timelimit_exceeded
    4013: Fault.RETRY_AFTER,  # job_error
}
"""Close codes; all others are lost connections."""


class SpeechmaticsProtocol:
    """A `VendorProtocol`. `Endpoint.model` is `enhanced` (the default) or `standard`."""

    traits = TRAITS

    def __init__(self, options: StreamOptions, endpoint: Endpoint) -> None:
        self._options = options
        self._endpoint = endpoint
        self._frames = self._acknowledged = 0
        self._sent = self._covered = 0
        self._forced = 0
        self._last_final: dict[str, object] = {}
        self._finishing = self._cut_short = self._over = False
        self._on: dict[str, Callable[[dict[str, object]], Sequence[Event]]] = {
            "RecognitionStarted": lambda said: (Started(),),
            "AudioAdded": self._on_audio_added,
            "AddTranscript": self._on_final,
            "AddPartialTranscript": self._on_partial,
            "EndOfUtterance": self._on_end_of_utterance,
            "EndOfTranscript": self._on_end_of_transcript,
            "Info": self._on_notice,
            "Warning": self._on_notice,
            "Error": self._on_error,
        }

    @property
    def unacknowledged(self) -> int:
        """See `VendorProtocol.unacknowledged`."""
        return self._frames - self._acknowledged

    # Out

    def request(self) -> Request:
        """See `VendorProtocol.request`."""
        key = self._endpoint.key
        return Request(self._endpoint.url, (("Authorization", f"Bearer {key}"),) if key else ())

    def opened(self) -> Sequence[Message | Started]:
        """`StartRecognition`; audio waits for `RecognitionStarted`."""
        language = self._options.language
        config: dict[str, object] = {
            "language": SPEECHMATICS.match(language) or language,
            "model": self._endpoint.model or MODEL,
            "diarization": "speaker",
            "enable_partials": self._options.interim_results,
            "max_delay": MAX_DELAY,
            "max_delay_mode": "flexible",
            "enable_entities": True,
            "conversation_config": {"end_of_utterance_silence_trigger": SILENCE_TRIGGER},
        }
        if vocabulary := _vocabulary(self._options.vocabulary):
            config["additional_vocab"] = vocabulary
        start = {
            "message": "StartRecognition",
            "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE},
            "transcription_config": config,
        }
        return (_json(start),)

    def audio(self, pcm: bytes) -> Sequence[Message]:
        """`AddAudio`: the samples as they are."""
        self.pumped(1, len(pcm) // 2)
        return (pcm,)

    def pumped(self, messages: int, samples: int) -> None:
        """See `RawAudio.pumped`."""
        self._frames += messages
        self._sent += samples

    def keepalive(self) -> Sequence[Message]:
        """Nothing: pings do it."""
        return ()

    def finalize(self) -> Sequence[Message]:
        """`ForceEndOfUtterance`."""
        self._forced += 1
        return (_json({"message": "ForceEndOfUtterance", "timestamp": self._sent / SAMPLE_RATE}),)

    def finish(self) -> Sequence[Message]:
        """`EndOfStream`."""
        self._finishing = True
        return (_json({"message": "EndOfStream", "last_seq_no": self._frames}),)

    # In

    def received(self, message: Message) -> Sequence[Event]:
        """See `VendorProtocol.received`."""
        said = fields(message)
        if said is None:
            return (Notice("speechmatics sent a message that is no JSON object"),)
        name = text(said.get("message"))
        on = self._on.get(name)
        if on is None:
            return (Notice(f"speechmatics sent a message of a kind not known: {_identifier(name)}"),)
        return on(said)

    def _on_audio_added(self, said: dict[str, object]) -> Sequence[Event]:
        number = whole(said.get("seq_no")) or 0
        self._acknowledged = max(self._acknowledged, min(number, self._frames))
        return ()

    def _on_final(self, said: dict[str, object]) -> Sequence[Event]:
        words = words_of(said, self._sent) if said != self._last_final else ()  # never a word twice
        self._last_final = said
        end = samples(mapping(said.get("metadata")).get("end_time"), 0, self._sent) or 0
        self._covered = max(self._covered, end, *(word.end for word in words))
        return (Recognized(words, self._covered),)

    def _on_partial(self, said: dict[str, object]) -> Sequence[Event]:
        # The vendor says that the confidence of partials means nothing.
        return (Tentative(tuple(replace(word, confidence=None) for word in words_of(said, self._sent))),)

    def _on_end_of_utterance(self, said: dict[str, object]) -> Sequence[Event]:
        """Only an answer when it was asked for; those that a silence triggers say nothing new."""
        if said.get("forced") is not True or not self._forced:
            return ()
        self._forced -= 1
        return () if self._forced or self._cut_short else (Flushed(),)

    def _on_end_of_transcript(self, said: dict[str, object]) -> Sequence[Event]:
        self._over = True
        if self._finishing and not self._cut_short:
            return (Finished(),)
        why = "its limit of duration was reached" if self._cut_short else "nobody asked it to"
        return (Failed(VendorError(Fault.RETRY_NOW, f"speechmatics ended the transcript: {why}")),)

    def _on_notice(self, said: dict[str, object]) -> Sequence[Event]:
        kind = _identifier(text(said.get("type")))
        if kind == "duration_limit_exceeded":
            self._cut_short = True  # audio is still acknowledged, but no longer transcribed
        name, reason = text(said.get("message")), self._told(said.get("reason"))
        return (Notice(f"speechmatics {name} {kind}: {reason}"),)

    def _on_error(self, said: dict[str, object]) -> Sequence[Event]:
        kind, code = text(said.get("type")), whole(said.get("code"))
        fault = ERRORS.get(kind) or CLOSES.get(code or 0, Fault.RETRY_AFTER)
        number = f" ({code})" if code is not None and 0 <= code < 10_000 else ""
        error = f"speechmatics error {_identifier(kind)}{number}: {self._told(said.get('reason'))}"
        return (Failed(_error(fault, error)),)

    def lost(self, lost: ConnectionLost) -> VendorError | None:
        """See `VendorProtocol.lost`."""
        if self._over and self._finishing and not self._cut_short:
            return None
        reason = self._told(lost.reason)
        return _error(
            CLOSES.get(lost.code, Fault.RETRY_NOW), f"speechmatics closed with {lost.code} {reason}".rstrip()
        )

    def refused(self, refused: Refused) -> VendorError:
        """See `VendorProtocol.refused`."""
        status = refused.status
        wait = refused.headers.get("retry-after")
        fault = Fault.ELSEWHERE
        if status == 429 or (status >= 500 and wait is not None):
            fault = Fault.RETRY_AFTER
        elif status >= 500 or status == 408:
            fault = Fault.RETRY_NOW
        text = f"speechmatics refused with HTTP {status} {self._told(refused.body)}".rstrip()
        return _error(fault, text, pause(wait, PAUSE))

    def _told(self, value: object) -> str:
        return told(value, self._endpoint.key)


class _Piece(msgspec.Struct):
    """A word being put together; `open`: what comes next belongs to it."""

    word: Word
    open: bool = False


def words_of(said: dict[str, object], limit: int) -> tuple[Word, ...]:
    """Words of the results of a transcript, in order, punctuation attached; `limit` is the audio's end.

    Punctuation whose neighbour is in another message stands alone, with no duration.
    """
    pieces: list[_Piece] = []
    at = samples(mapping(said.get("metadata")).get("start_time"), 0, limit) or 0
    for result in items(said.get("results")):
        word = _word(result, at, limit)
        if word is None:
            continue
        at = word.end
        side = result.get("attaches_to") if result.get("type") == "punctuation" else None
        last = pieces[-1] if pieces else None
        onward = side in ("next", "both")
        if last is not None and (last.open or side in ("previous", "both")):
            last.word, last.open = _joined(last.word, word), onward
        else:
            pieces.append(_Piece(word, onward))
    return tuple(piece.word for piece in pieces)


def _joined(a: Word, b: Word) -> Word:
    """One word of both; what the longer says of speaker, confidence and language."""
    main = a if a.end - a.start >= b.end - b.start else b
    return replace(main, text=a.text + b.text, start=a.start, end=b.end)


def _word(result: dict[str, object], earliest: int, limit: int) -> Word | None:
    """The result's first alternative; it begins no sooner than the result before it ended."""
    best = next(iter(items(result.get("alternatives"))), {})
    content = text(best.get("content"))
    if not content:
        return None
    start = samples(result.get("start_time"), earliest, limit)
    start = earliest if start is None else start
    end = samples(result.get("end_time"), start, limit)
    return Word(
        text=content,
        start=start,
        end=start if end is None else end,
        speaker=_speaker(best.get("speaker")),
        confidence=share(best.get("confidence")),
        language=text(best.get("language")) or None,
    )


def _speaker(label: object) -> int | None:
    """`S1` is 0; `UU` is nobody the vendor can tell."""
    found = re.fullmatch(r"S([1-9][0-9]{0,5})", label, re.ASCII) if isinstance(label, str) else None
    return int(found[1]) - 1 if found else None


def _vocabulary(terms: Sequence[str]) -> list[str]:
    """What the vendor takes of it: entries of up to six words, each once, a thousand at most."""
    tidy = dict.fromkeys(" ".join(term.split()) for term in terms)
    return [term for term in tidy if term and len(term.split()) <= VOCABULARY_WORDS][:VOCABULARY_LIMIT]


def _identifier(name: str) -> str:
    """`name` where it looks like the vendor's own word, so that no other text comes into a log."""
    return name if re.fullmatch(r"\w{1,40}", name, re.ASCII) else "?"


def _error(fault: Fault, message: str, after: float = PAUSE) -> VendorError:
    return VendorError(fault, message, after if fault is Fault.RETRY_AFTER else None)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
