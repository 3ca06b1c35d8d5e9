"""vosk-server's WebSocket protocol (alphacep/vosk-server, `websocket/asr_server.py`): the shortest vendor.

One text message configures; after it, every binary message of audio gets exactly one reply, in order:
`{"partial": …}`, or `{"result": [words], "text": …}` when an utterance ended with that message. Word times are
seconds since the stream began. `{"eof" : 1}`, to the letter, gets the last result; the server then closes.

- What is covered: a result covers all audio up to the message it answers, since the server decodes a message
  whole and begins the next utterance after it. Replies without words pass silence, `MARGIN` behind.
- There is no way to ask for results. To finalize, silence is sent until the server ends the utterance, at most
  `PADS` messages of it; all times after it are shifted back. It is the vendor's silence, not the session's. When it
  came in the middle of a word, the server hears that word once its other half is there.
- `phrase_list` forbids all other words rather than prefer its own, so vocabulary is not sent.
- A server has one model, so one language, and does not say which: the operator does. Hence no language table.

Known doubt: how much silence ends an utterance is up to the server's model (usually half a second to two).
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from engine.stt._fields import fields, items, samples, share, text, told
from engine.stt.protocol import (
    Endpoint,
    Event,
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

CONFIG = '{"config":{"sample_rate":16000,"words":true,"max_alternatives":0}}'
EOF = '{"eof" : 1}'
"""The server compares these bytes; another spelling would be taken for audio."""

MARGIN = 2 * SAMPLE_RATE
"""Samples: a word shows up in the partial result at the latest when so much audio followed its beginning."""

PAD = SAMPLE_RATE // 2
PADS = 5


class _Sent(msgspec.Struct, frozen=True):
    """A message of audio: its end in the session's and in the server's samples."""

    end: int
    server_end: int
    is_pad: bool = False


class VoskProtocol:
    """A `VendorProtocol`."""

    # The replies bound what is under way; the machine's speed is the only limit of pace.
    traits = Traits(chunk=SAMPLE_RATE // 5, pace=8.0, window=20, finalize_gap=1.0)

    def __init__(self, options: StreamOptions, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._interim_results = options.interim_results
        self._sent = self._covered = 0
        self._server_sent = 0
        self._waiting: deque[_Sent] = deque()
        self._pads: deque[tuple[int, int]] = deque()  # start and length, not passed by a result yet
        self._passed_pads = 0
        self._heard = False
        self._finishing = self._over = False

    @property
    def unacknowledged(self) -> int:
        """Messages that were not replied to."""
        return len(self._waiting)

    def request(self) -> Request:
        """A key, if there is one, is for a proxy in front of the server."""
        key = self._endpoint.key
        return Request(self._endpoint.url, (("Authorization", f"Bearer {key}"),) if key else ())

    def opened(self) -> Sequence[Message | Started]:
        """The configuration; it is not answered."""
        return (CONFIG, Started())

    def audio(self, pcm: bytes) -> Sequence[Message]:
        """See `VendorProtocol.audio`."""
        self.pumped(1, len(pcm) // 2)
        return (pcm,)

    def pumped(self, messages: int, samples: int) -> None:
        """See `RawAudio.pumped`."""
        for _ in range(messages):
            self._note(samples // messages, samples // messages)

    def keepalive(self) -> Sequence[Message]:
        """There is none, and none is needed."""
        return ()

    def finalize(self) -> Sequence[Message]:
        """Silence, until the utterance ends by it."""
        self._pads.append((self._server_sent, PAD * PADS))
        for _ in range(PADS):
            self._note(PAD, 0)
        return (bytes(2 * PAD),) * PADS

    def finish(self) -> Sequence[Message]:
        """See `VendorProtocol.finish`."""
        self._finishing = True
        return (EOF,)

    def _note(self, samples: int, ours: int) -> None:
        """A message of `samples` goes out, of which `ours` are the session's."""
        self._sent += ours
        self._server_sent += samples
        self._waiting.append(_Sent(self._sent, self._server_sent, not ours))

    def received(self, message: Message) -> Sequence[Event]:
        """See `VendorProtocol.received`."""
        said = fields(message)
        if said is None or not ("partial" in said or "text" in said or "result" in said):
            return (Notice("vosk sent a message that is no result"),)
        if not self._waiting:
            return self._last(said) if self._finishing and "partial" not in said else ()
        reply = self._waiting.popleft()
        partial = text(said.get("partial")).split()
        if "partial" not in said:
            self._heard = False
            event: Event = self._result(said, reply)
        elif partial:
            self._heard = True
            words = self._apportioned(partial, reply.end)
            event = Tentative(words) if self._interim_results else self._recognized((), 0)
        else:
            event = self._recognized((), 0 if self._heard else reply.end - MARGIN)
        last_pad = reply.is_pad and not any(sent.is_pad for sent in self._waiting)
        return (event, Flushed(guessed=True)) if last_pad and not self._heard else (event,)

    def _last(self, said: dict[str, object]) -> Sequence[Event]:
        self._over = True
        return (self._result(said, _Sent(self._sent, self._server_sent)), Finished())

    def _result(self, said: dict[str, object], reply: _Sent) -> Recognized:
        words = self._words(said, reply) or self._apportioned(text(said.get("text")).split(), reply.end)
        while self._pads and sum(self._pads[0]) <= reply.server_end:
            self._passed_pads += self._pads.popleft()[1]
        return self._recognized(words, reply.end)

    def _recognized(self, words: tuple[Word, ...], covered: int) -> Recognized:
        self._covered = max(self._covered, covered)
        return Recognized(words, self._covered)

    def _words(self, said: dict[str, object], reply: _Sent) -> tuple[Word, ...]:
        words: list[Word] = []
        at = 0
        for item in items(said.get("result")):
            content = text(item.get("word"))
            if content:
                start = self._ours(item.get("start"), at, reply)
                at = self._ours(item.get("end"), start, reply)
                words.append(Word(content, start, at, confidence=share(item.get("conf"))))
        return tuple(words)

    def _ours(self, seconds: object, earliest: int, reply: _Sent) -> int:
        """A time of the server's as a sample on our side of the silences put in, no sooner than `earliest`."""
        position = samples(seconds, 0, reply.server_end)
        if position is None:
            return earliest
        pads = sum(min(max(position - start, 0), length) for start, length in self._pads)
        return min(max(position - self._passed_pads - pads, earliest), reply.end)

    def _apportioned(self, texts: Sequence[str], end: int) -> tuple[Word, ...]:
        """Words without times: spread over the audio that is not covered."""
        start, count = self._covered, len(texts)
        span = max(end - start, 0)
        return tuple(
            Word(content, start + span * n // count, start + span * (n + 1) // count)
            for n, content in enumerate(texts)
        )

    def lost(self, lost: ConnectionLost) -> VendorError | None:
        """The server never says why; a connection that ends is worth another try."""
        if self._over:
            return None
        reason = told(lost.reason, self._endpoint.key)
        return VendorError(Fault.RETRY_NOW, f"vosk closed with {lost.code} {reason}".rstrip())

    def refused(self, refused: Refused) -> VendorError:
        """See `VendorProtocol.refused`; what refuses is a proxy."""
        status = refused.status
        fault = Fault.RETRY_NOW if status >= 500 else Fault.ELSEWHERE
        reason = told(refused.body, self._endpoint.key)
        if status == 429:
            return VendorError(Fault.RETRY_AFTER, f"vosk refused with HTTP 429 {reason}".rstrip(), 5.0)
        return VendorError(fault, f"vosk refused with HTTP {status} {reason}".rstrip())
