"""A stand-in for Soniox real-time transcription, to the letter of what `engine.stt.soniox` says of it, and more:

- everybody is let in; what is wrong (key, start message, concurrency above `streams`) is an error message, then 1000;
- the key in the handshake (header or subprotocol) or, until 2027, in the start message; `strict` is after that;
- 408 without a start message, without first audio (keepalives do not help), or after `idle` seconds of nothing; 413
  after `max_duration`; 400 for unknown control messages, and for an end without any audio;
- final tokens are said once, sub-word, the first of a word before the rest; what may change is said whole in every
  message, in other tokens than it will be final in; `<end>` after a pause, `<fin>` after what `finalize` asked for;
- messages without tokens while there is nothing to say;
- an empty message: the last tokens, `finished`, 1000.

`finalize` in the middle of a word is answered once that word was heard, as only whole words are known here.
Errors inside a connection (`Mishap.error`): an HTTP-like number; `reason` replaces its usual text.
Doubts: the wording of some 400s, how long the vendor waits for a start message, and whether it waits for first audio
when it gets keepalives, follow documents that do not say.
"""

import json
import uuid
from collections.abc import Sequence

import trio

from engine.stt.vendor import SAMPLE_RATE
from engine.testing._soniox_start import Denied, Wanted, judge
from engine.testing.faults import FaultPlan, Mishap
from engine.testing.hearing import Heard
from engine.testing.line import Line
from engine.testing.marks import BLOCK
from engine.testing.scripted import Script
from engine.testing.standin import NO_FAULTS, StandIn

START = 10.0
IDLE = 20.0
MAX_DURATION = 300 * 60.0

BEGUN = 3 * SAMPLE_RATE // 10
FINAL = 4 * SAMPLE_RATE // 10
"""Samples of audio after a word until its first token, then all, are final."""

PAUSE = 7 * SAMPLE_RATE // 10
"""Samples without speech that make an endpoint, unless `max_endpoint_delay_ms` is less."""

HEARTBEAT = SAMPLE_RATE // 2
"""Samples of audio after which something is said, be it nothing new."""

_UNSPACED = frozenset({"ja", "zh", "th"})

Token = dict[str, object]


class SonioxStandIn(StandIn):
    """See the module; times in seconds. `streams` None: any number at once."""

    name = "soniox"
    refuses_inside = True

    def __init__(
        self,
        script: Script | None = None,
        *,
        plan: FaultPlan = NO_FAULTS,
        key: str | None = None,
        marked: bool = True,
        strict: bool = False,
        streams: int | None = None,
        idle: float = IDLE,
        max_duration: float = MAX_DURATION,
    ) -> None:
        super().__init__(script, plan=plan, key=key, marked=marked)
        self._strict = strict
        self._streams = streams
        self._idle = idle
        self._max_duration = max_duration

    async def converse(self, line: Line) -> None:
        """See `StandIn.converse`."""
        try:
            wanted = await self._started(line)
            idle = self._idle if line.plan.idle_timeout is None else line.plan.idle_timeout
            await _Listening(line, wanted, idle, self._max_duration).run()
        except Denied as denied:
            await line.say(denied.frame(_request_id(line)))

    async def fail(self, line: Line, mishap: Mishap) -> None:
        """See `StandIn.fail`."""
        await line.say(Denied(int(mishap.error or 503), mishap.reason).frame(_request_id(line)))
        await line.close()

    async def _started(self, line: Line) -> Wanted:
        with trio.move_on_after(START) as limit:
            message = await line.receive()
        if limit.cancelled_caught:
            raise Denied(408, "Start request timeout")
        wanted = judge(message, line.attempt, self.key, strict=self._strict)
        if line.refused is not None:
            raise Denied(line.refused, (line.plan.refuse_body or b"").decode())
        if self._streams is not None and len(self.live) > self._streams:
            raise Denied(429)
        return wanted


class _Pending:
    """A word that was heard and is not wholly final; `tokens` are those still to come."""

    def __init__(self, heard: Heard, tokens: list[Token]) -> None:
        self.heard = heard
        self.tokens = tokens
        self.begun = False


class _Listening:
    """One stream after its start message."""

    def __init__(self, line: Line, wanted: Wanted, idle: float, max_duration: float) -> None:
        self._line = line
        self._wanted = wanted
        self._idle = idle
        self._ends_at = trio.current_time() + max_duration
        self._first_audio_by = trio.current_time() + IDLE
        self._pending: list[_Pending] = []
        self._finals: list[Token] = []
        self._words: list[Heard] = []
        self._spoken = False
        self._utterance_end: int | None = None
        self._asked = 0
        self._processed = self._told = 0

    async def run(self) -> None:
        """Until the client ends the audio; raises `Denied`."""
        while message := await self._next():
            if isinstance(message, bytes):
                self._heard(await self._line.hear(message))
                self._decide()
                await self._tell(at_least=HEARTBEAT)
            elif _control(message) == "finalize":
                self._asked += 1
                self._decide()
                await self._tell()
        if not self._line.frames:
            raise Denied(400, "No audio received.")
        self._heard(self._line.hearing.finish())
        self._finalize()
        await self._tell(ended=True)
        samples = _milliseconds(self._line.hearing.samples)
        counters = {"final_audio_proc_ms": samples, "total_audio_proc_ms": samples}
        await self._line.say(json.dumps({"tokens": [], **counters, "finished": True}))

    async def _next(self) -> bytes | str:
        """The client's next message; raises `Denied` when it takes too long."""
        idle_at = trio.current_time() + self._idle
        first_by = idle_at if self._line.frames else self._first_audio_by
        with trio.move_on_at(min(idle_at, first_by, self._ends_at)):
            return await self._line.receive()
        if trio.current_time() >= self._ends_at:
            raise Denied(413)
        if not self._line.frames:
            raise Denied(408, "Timed out while waiting for the first audio chunk")
        raise Denied(408)

    def _heard(self, words: Sequence[Heard]) -> None:
        for heard in words:
            self._pending.append(_Pending(heard, self._tokens(heard)))
            self._utterance_end = heard.end

    def _decide(self) -> None:
        """What is final now."""
        now, half_heard = self._line.hearing.samples, self._line.hearing.open_since is not None
        if self._asked and not half_heard:
            self._finalize()
            self._finals += [_special("<fin>")] * self._asked
            self._asked = 0
            return
        while self._pending:
            first = self._pending[0]
            age = now - first.heard.end
            if age < FINAL:
                if age >= BEGUN and not first.begun and len(first.tokens) > 1:
                    first.begun = True
                    self._finals.append(first.tokens.pop(0))
                return
            self._finish_first()
        pause = min(PAUSE, self._wanted.endpoint_delay)
        if self._utterance_end is not None and now - self._utterance_end >= pause and not half_heard:
            self._utterance_end = None
            if self._wanted.endpoints:
                self._finals.append(_special("<end>"))

    def _finalize(self) -> None:
        while self._pending:
            self._finish_first()

    def _finish_first(self) -> None:
        first = self._pending.pop(0)
        self._finals += first.tokens
        self._words.append(first.heard)

    async def _tell(self, *, at_least: int = 0, ended: bool = False) -> None:
        """Say what is new; without news only when `at_least` samples came since the last message."""
        hearing = self._line.hearing
        now = hearing.samples
        news = bool(self._finals) or any(pending.heard.end > self._told for pending in self._pending)
        if not news and now - self._told < at_least:
            return
        finals, self._finals = self._finals, []
        words, self._words = self._words, []
        asked = any(token["text"] == "<fin>" for token in finals)
        # A word that began in the last samples may not be known yet: its mark is not whole.
        reached = now if ended or asked else max(0, now - 2 * BLOCK)
        limits = [reached] if hearing.open_since is None else [reached, hearing.open_since]
        self._processed = max(self._processed, _milliseconds(min(limits)))
        tail = [self._changing(pending) for pending in self._pending]
        starts = [int(str(token["start_ms"])) for token in tail]
        self._told = now
        document = {
            "tokens": [*finals, *tail],
            "final_audio_proc_ms": min([self._processed, *starts]),
            "total_audio_proc_ms": _milliseconds(now),
        }
        await self._line.say(json.dumps(document, ensure_ascii=False), final=bool(finals), words=words)

    def _tokens(self, heard: Heard) -> list[Token]:
        """The word in pieces of three letters, punctuation apart, a space before it where one belongs."""
        text = heard.word.text
        stem = text.rstrip(".,!?;:。，！？")
        language = heard.word.language or self._wanted.language
        spaced = self._spoken and language not in _UNSPACED
        self._spoken = True
        pieces = [stem[at : at + 3] for at in range(0, len(stem), 3)]
        tokens: list[Token] = []
        for number, piece in enumerate(pieces):
            begin, end = (self._at(heard, 3 * n, len(stem)) for n in (number, number + 1))
            tokens.append(self._token(heard, piece, begin, end))
        if text != stem:
            tokens.append(self._token(heard, text[len(stem) :], heard.end, heard.end))
        if tokens and spaced:
            tokens[0]["text"] = f" {tokens[0]['text']}"
        return tokens

    @staticmethod
    def _at(heard: Heard, letters: int, of: int) -> int:
        return heard.start + (heard.end - heard.start) * min(letters, of) // of

    def _token(self, heard: Heard, text: str, start: int, end: int) -> Token:
        token: Token = {
            "text": text,
            "start_ms": _milliseconds(start),
            "end_ms": _milliseconds(end),
            "confidence": 0.97,
            "is_final": True,
        }
        if self._wanted.diarize:
            token["speaker"] = str((heard.word.speaker or 0) + 1)
        if self._wanted.identify:
            token["language"] = heard.word.language or self._wanted.language
        return token

    @staticmethod
    def _changing(pending: _Pending) -> Token:
        """What is left of a word as one token, less sure."""
        text = "".join(str(token["text"]) for token in pending.tokens)
        end = pending.tokens[-1]["end_ms"]
        return {**pending.tokens[0], "text": text, "end_ms": end, "is_final": False, "confidence": 0.7}


def _control(message: str) -> str:
    try:
        document = json.loads(message)
    except ValueError:
        raise Denied(400, "Control request is malformed.") from None
    kind = document.get("type") if isinstance(document, dict) else None
    if kind not in ("keepalive", "finalize"):
        raise Denied(400, "Control request invalid type.")
    return str(kind)


def _special(text: str) -> Token:
    """Control tokens have no times."""
    return {"text": text, "is_final": True}


def _milliseconds(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE


def _request_id(line: Line) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"soniox {line.number}"))
