"""A stand-in for Deepgram's `/v1/listen`, to the letter of what `engine.stt.deepgram` says of it, and more:

- refusals at the upgrade with status, `dg-error` and JSON body; 429 above `streams` (`diarized_streams` with
  diarization), 400 for models, languages, options and vocabulary that Deepgram refuses;
- an idle timer of 10 s, put back by audio, and by KeepAlive once audio has come; then `Metadata` and 1011;
- 1008 DATA-0000 for an empty binary message, or audio that is not what the query said;
- finals that tile the audio: at an endpoint, at latest every `WINDOW`; interims with each word, and once a
  second, also empty;
- `Finalize` answered with `from_finalize` only when at least `FINALIZED` was waiting and no word is half heard;
- results no sooner than the audio would take at 1.25 times real time (`speed`);
- `CloseStream`: last final, `Metadata`, 1000.

Errors inside a connection (`Mishap.error`): `NET-0000`, `NET-0001`, `DATA-0000`; anything else is said in an `Error`
message before the close. Doubts: `Configure` and the exact wording of 400 bodies follow documents, not captures.
"""

import json
from collections.abc import Sequence

import trio

from engine.stt.vendor import SAMPLE_RATE
from engine.testing._deepgram_messages import MODEL, error_message, metadata, word_of
from engine.testing._deepgram_query import (
    TERM_TOKENS,
    Wanted,
    judge,
    refusal,
    request_id,
    terms_cost,
    wanted,
)
from engine.testing.faults import FaultPlan, Mishap, Refusal
from engine.testing.hearing import Heard
from engine.testing.line import Attempt, Line
from engine.testing.scripted import Script
from engine.testing.standin import NO_FAULTS, StandIn

IDLE = 10.0
WINDOW = 3 * SAMPLE_RATE
FINALIZED = SAMPLE_RATE // 10
NET_0000 = (
    "NET-0000: Deepgram did not send a text message within the timeout window. See https://dpgr.am/net0000"
)
NET_0001 = (
    "Deepgram did not receive audio data or a text message within the timeout window. "
    "See https://dpgr.am/net0001"
)
DATA_0000 = "DATA-0000: the payload cannot be decoded as audio"

_CONTAINERS = (b"RIFF", b"OggS", b"fLaC", b"ID3", b"\x1aE\xdf\xa3")


class DeepgramStandIn(StandIn):
    """See the module. `speed`: how much faster than real time audio is recognised at most.

    `streams` and `diarized_streams`: live connections beyond which the next is refused; None: no limit. A
    pay-as-you-go project has 150 and 50.
    """

    name = "deepgram"

    def __init__(
        self,
        script: Script | None = None,
        *,
        plan: FaultPlan = NO_FAULTS,
        key: str | None = None,
        marked: bool = True,
        streams: int | None = None,
        diarized_streams: int | None = None,
        speed: float = 1.25,
    ) -> None:
        super().__init__(script, plan=plan, key=key, marked=marked)
        self.speed = speed
        self._streams = streams
        self._diarized_streams = diarized_streams

    def judge(self, attempt: Attempt) -> Refusal | None:
        """See `StandIn.judge`."""
        refused = judge(attempt, self.key)
        if refused is not None:
            return refused
        limit = self._diarized_streams if wanted(attempt).diarize else self._streams
        full = limit is not None and len(self.live) >= limit
        return refusal(429, request=request_id(attempt)) if full else None

    def refusal(self, status: int) -> Refusal:
        """See `StandIn.refusal`."""
        return refusal(status)

    def greeting(self, attempt: Attempt) -> tuple[tuple[str, str], ...]:
        """See `StandIn.greeting`."""
        return (("dg-request-id", request_id(attempt)),)

    async def converse(self, line: Line) -> None:
        """See `StandIn.converse`."""
        await _Listening(line, self.speed).run()

    async def fail(self, line: Line, mishap: Mishap) -> None:
        """See `StandIn.fail`."""
        match mishap.error:
            case "NET-0000":
                await line.close(1011, NET_0000)
            case "NET-0001":
                await _timed_out(line)
            case "DATA-0000":
                await line.close(1008, DATA_0000)
            case error:
                await line.say(error_message(error or "InternalError", mishap.reason or "internal error"))
                await line.close(mishap.code, mishap.reason)


class _Listening:
    """One stream. `start` is where the open window begins; `words` are heard and not final yet."""

    def __init__(self, line: Line, speed: float) -> None:
        self._line = line
        self._wanted: Wanted = wanted(line.attempt)
        self._speed = speed
        self._start = 0
        self._words: list[Heard] = []
        self._recognized_at = trio.current_time()
        self._interim_at = SAMPLE_RATE
        self._idle = IDLE if line.plan.idle_timeout is None else line.plan.idle_timeout

    async def run(self) -> None:
        """Until `CloseStream`, an idle time too long, or what cannot be decoded."""
        deadline = trio.current_time() + self._idle
        while True:
            message = None
            with trio.move_on_at(deadline):
                message = await self._line.receive()
            if message is None:
                await _timed_out(self._line)
                return
            if isinstance(message, bytes):
                if not self._decodes(message):
                    await self._line.close(1008, DATA_0000)
                    return
                await self._audio(message)
            else:
                kind = await self._control(message)
                if kind == "CloseStream":
                    return
                if kind != "KeepAlive" or self._line.frames == 0:
                    continue
            deadline = trio.current_time() + self._idle

    def _decodes(self, payload: bytes) -> bool:
        first = self._line.frames == 0
        return bool(payload) and self._wanted.linear16 and not (first and payload.startswith(_CONTAINERS))

    async def _audio(self, payload: bytes) -> None:
        before = self._position
        heard = await self._line.hear(payload)
        seconds = (self._position - before) / SAMPLE_RATE
        self._recognized_at = max(self._recognized_at, trio.current_time()) + seconds / self._speed
        if heard and not self._words and self._wanted.vad_events:
            await self._say({"type": "SpeechStarted", "channel": [0, 1], "timestamp": heard[0].seconds[0]})
        self._words += heard
        if self._endpoint():
            await self._final(self._position, speech_final=True)
        elif self._position - self._start >= WINDOW:
            await self._final(self._settled, speech_final=not self._words)
        elif self._wanted.interim and (heard or self._position >= self._interim_at):
            self._interim_at = self._position + SAMPLE_RATE
            await self._say(self._results(self._position, is_final=False))

    async def _control(self, message: str) -> str:
        """Answer a text message; returns its type."""
        try:
            fields = json.loads(message)
            kind = str(fields["type"])
        except (ValueError, TypeError, KeyError):
            kind = ""
        match kind:
            case "KeepAlive":
                pass
            case "Finalize":
                if self._position - self._start >= FINALIZED:
                    whole = self._line.hearing.open_since is None
                    await self._final(self._settled, speech_final=True, from_finalize=whole)
            case "CloseStream":
                self._words += self._line.hearing.finish()
                await self._final(self._position, speech_final=True)
                await self._line.say(metadata(self._line))
            case "Configure":
                await self._configure(fields)
            case _:
                await self._line.say(error_message("SchemaError", "could not parse message", message))
        return kind

    async def _configure(self, fields: dict[str, object]) -> None:
        answer: dict[str, object] = {"request_id": request_id(self._line.attempt)}
        given = fields.get("keyterms")
        terms = [str(term) for term in given] if isinstance(given, list) else []
        code = None
        if not self._wanted.model.startswith("nova-3"):
            code = "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
        elif terms_cost(terms) > TERM_TOKENS:
            code = "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"
        if code is None:
            answer |= {"type": "ConfigureSuccess", "keyterms": terms}
        else:
            answer |= {"type": "ConfigureFailure", "code": code, "description": code.lower()}
        await self._say(answer)

    @property
    def _position(self) -> int:
        return self._line.hearing.samples

    @property
    def _settled(self) -> int:
        """The end of a window that splits no word."""
        open_since = self._line.hearing.open_since
        return self._position if open_since is None else max(open_since, self._start)

    def _endpoint(self) -> bool:
        quiet = self._wanted.endpointing
        if quiet is None or not self._words or self._line.hearing.open_since is not None:
            return False
        return self._position - self._words[-1].end >= quiet

    async def _final(self, end: int, *, speech_final: bool, from_finalize: bool = False) -> None:
        if end <= self._start:
            return
        message = self._results(end, is_final=True, speech_final=speech_final, from_finalize=from_finalize)
        words, self._words, self._start = self._words, [], end
        self._interim_at = end + SAMPLE_RATE
        await self._say(message, final=True, words=words)

    async def _say(
        self, message: dict[str, object], *, final: bool = False, words: Sequence[Heard] = ()
    ) -> None:
        after = max(0.0, self._recognized_at - trio.current_time())
        await self._line.say(json.dumps(message), final=final, words=words, after=after)

    def _results(self, end: int, **flags: bool) -> dict[str, object]:
        words = [word_of(heard, self._wanted) for heard in self._words]
        texts = [str(word.get("punctuated_word", word["word"])) for word in words]
        alternative: dict[str, object] = {
            "transcript": " ".join(texts),
            "confidence": 0.99 if words else 0.0,
            "words": words,
        }
        if self._wanted.language == "multi":
            alternative["languages"] = sorted({heard.word.language or "en" for heard in self._words})
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": (end - self._start) / SAMPLE_RATE,
            "start": self._start / SAMPLE_RATE,
            "speech_final": False,
            "from_finalize": False,
            **flags,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": request_id(self._line.attempt),
                "model_info": {"name": self._wanted.model, "version": "stand-in", "arch": "nova-3"},
                "model_uuid": MODEL,
            },
        }


async def _timed_out(line: Line) -> None:
    await line.say(metadata(line))
    await line.close(1011, NET_0001)
