"""Speechmatics real-time v2 as a server, by its AsyncAPI document (`realtime.yaml`) and observed behaviour.

What it does to the letter: refuses by HTTP or in a message (`Error`, then the close code of its type); wants
`StartRecognition` first and validates it; sends `Info` before and after `RecognitionStarted`; acknowledges every
message of audio; makes words final by `max_delay`, by the silence trigger, when forced, and at the end; partials
after each change; punctuation as results of its own; finals without results in silence; `idle_timeout` with
its warnings; audio after `EndOfStream` is warned of; a `last_seq_no` that is too low is accepted, as the vendor's
SDK sends one.

The audio's clock decides, not Trio's: a word is final once `max_delay` of audio followed it. While a word is
arriving, a forced end is answered when it is complete: the answer says that nothing before it is still to come.

Left out: other formats of audio than what the marks survive (s16le, mono, 16 kHz), channels, translation, audio
events, speaker identifiers, changing the configuration; the end after three minutes without audio and pings,
because pings are answered below this.
"""

from typing import Any

import trio

from engine.stt.vendor import SAMPLE_RATE
from engine.testing._speechmatics import (
    Config,
    decoded,
    judged,
    refuse,
    results_of,
    say,
    transcript,
)
from engine.testing.faults import FaultPlan, Mishap, Refusal
from engine.testing.hearing import Heard
from engine.testing.line import Attempt, Line
from engine.testing.scripted import Script
from engine.testing.standin import NO_FAULTS, StandIn

IDLE_TIMEOUT = 3600.0
WARNINGS = (900.0, 600.0, 300.0)
"""Seconds before the end of an idle stream at which it is warned."""

EMPTY_FINAL = SAMPLE_RATE
"""Samples of silence that a final without results passes."""


class SpeechmaticsStandIn(StandIn):
    """A `StandIn`. Acknowledgements are sent `ack_behind` messages late, and at the end; `quota` 0 has no room."""

    name = "speechmatics"

    def __init__(
        self,
        script: Script | None = None,
        *,
        plan: FaultPlan = NO_FAULTS,
        key: str | None = None,
        marked: bool = True,
        ack_behind: int = 0,
        quota: int | None = None,
    ) -> None:
        super().__init__(script, plan=plan, key=key, marked=marked)
        self.ack_behind = ack_behind
        self.quota = quota

    def judge(self, attempt: Attempt) -> Refusal | None:
        """404 for another path, 401 for another key."""
        target, _, query = attempt.target.partition("?")
        if not target.rstrip("/").endswith("/v2"):
            return self.refusal(404)
        if self.key is None or attempt.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return None if f"jwt={self.key}" in query.split("&") else self.refusal(401)

    def refusal(self, status: int) -> Refusal:
        """A status with its text."""
        text = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
        return Refusal(status, (("content-type", "text/plain"),), text.get(status, "error").encode())

    async def converse(self, line: Line) -> None:
        """The protocol of one connection."""
        usage = len(self.live)
        quota = 100 if self.quota is None else self.quota
        reason = f"{usage} concurrent sessions active out of quota {quota}"
        await say(line, "Info", type="concurrent_session_usage", reason=reason, usage=usage, quota=quota)
        if usage > quota:
            await refuse(line, "quota_exceeded", "Concurrent Quota Exceeded")
        config = await _started(line)
        await _Stream(line, config, self.ack_behind).run()

    async def fail(self, line: Line, mishap: Mishap) -> None:
        """`Error` of type `mishap.error`, then the close code that goes with it."""
        await refuse(line, mishap.error or "unknown_error", mishap.reason or "as planned")


class _Stream:
    """One recognition, from `RecognitionStarted` to `EndOfTranscript`."""

    def __init__(self, line: Line, config: Config, ack_behind: int) -> None:
        self._line = line
        self._config = config
        self._ack_behind = ack_behind
        self._acked = 0
        self._pending: list[Heard] = []
        self._covered = 0
        self._last_end: int | None = None
        self._forced = 0
        self._partial: tuple[int, ...] = ()
        self._be_patient()

    def _be_patient(self) -> None:
        """Audio came: the idle timeout begins anew. `_left`: seconds left of it when last warned."""
        self._heard_at = trio.current_time()
        self._left = self._line.plan.idle_timeout or IDLE_TIMEOUT

    async def run(self) -> None:
        """Until the client has said `EndOfStream`, and everything was answered and the client left."""
        while True:
            message = await self._receive()
            if isinstance(message, bytes):
                await self._hear(message)
                continue
            said = decoded(message)
            match said.get("message"):
                case "EndOfStream" if isinstance(said.get("last_seq_no"), int):
                    break
                case "ForceEndOfUtterance":
                    self._forced += 1
                    await self._answer_forced()
                case "SetRecognitionConfig" | "GetSpeakers":
                    await refuse(self._line, "not_allowed", "not in this stand-in")
                case "StartRecognition":
                    await refuse(self._line, "protocol_error", "Recognition has already started")
                case _:
                    await refuse(self._line, "invalid_message", "Message not understood")
        await self._end()

    async def _receive(self) -> bytes | str:
        """The next message; on the way to the idle timeout, its warnings."""
        limit = self._line.plan.idle_timeout or IDLE_TIMEOUT
        while True:
            left = next((warning for warning in WARNINGS if warning < self._left), 0.0)
            with trio.move_on_at(self._heard_at + limit - left):
                return await self._line.receive()
            self._left = left
            if left:
                gone = f"no audio sent within the last {(limit - left) / 60:.0f}m"
                reason = f"Session will timeout in {left / 60:.0f}m due to inactivity, {gone}"
                await say(self._line, "Warning", type="idle_timeout", reason=reason)
            else:
                await refuse(self._line, "idle_timeout", "Session timed out due to inactivity")

    async def _hear(self, payload: bytes) -> None:
        self._be_patient()
        heard = await self._line.hear(payload)
        await self._acknowledge(self._line.frames - self._ack_behind)
        self._pending += heard
        await self._finalize_due()
        await self._pass_silence()
        await self._end_utterance()
        if self._forced:
            await self._answer_forced()
        await self._say_partial()

    async def _acknowledge(self, until: int) -> None:
        while self._acked < until:
            self._acked += 1
            await say(self._line, "AudioAdded", seq_no=self._acked)

    async def _finalize_due(self) -> None:
        """Words that `max_delay` of audio has followed."""
        due = self._line.hearing.samples - int(self._config.max_delay * SAMPLE_RATE)
        count = sum(heard.end <= due for heard in self._pending)
        if count:
            await self._say_final(count)

    async def _end_utterance(self) -> None:
        """After the silence trigger: what is pending, then the event, once per silence."""
        trigger = int(self._config.silence_trigger * SAMPLE_RATE)
        last = self._pending[-1].end if self._pending else self._last_end
        here = self._line.hearing
        if not trigger or last is None or here.open_since is not None or here.samples - last < trigger:
            return
        if self._pending:
            await self._say_final(len(self._pending))
        self._last_end = None
        await self._say_end_of_utterance(last + trigger)

    async def _answer_forced(self) -> None:
        hearing = self._line.hearing
        if hearing.open_since is not None:
            return
        if self._pending:
            await self._say_final(len(self._pending), forced=True)
        self._last_end = None
        for _ in range(self._forced):
            await self._say_end_of_utterance(hearing.samples, forced=True)
        self._forced = 0

    async def _say_end_of_utterance(self, at: int, **more: Any) -> None:
        time = at / SAMPLE_RATE
        await say(self._line, "EndOfUtterance", metadata={"start_time": time, "end_time": time}, **more)

    async def _pass_silence(self) -> None:
        hearing = self._line.hearing
        quiet = hearing.samples if hearing.open_since is None else hearing.open_since
        if not self._pending and quiet - self._covered >= EMPTY_FINAL:
            await say(self._line, "AddTranscript", final=True, **transcript((), self._covered, quiet))
            self._covered = quiet

    async def _say_final(self, count: int, **more: Any) -> None:
        words, self._pending = self._pending[:count], self._pending[count:]
        results = [result for heard in words for result in results_of(heard, self._config)]
        end = self._last_end = words[-1].end
        body = transcript(results, words[0].start, end)
        await say(self._line, "AddTranscript", final=True, words=words, **body, **more)
        self._covered = max(self._covered, end)
        await self._say_partial()

    async def _say_partial(self) -> None:
        """What is pending, whenever that changed."""
        numbers = tuple(heard.number for heard in self._pending)
        if not self._config.partials or numbers == self._partial:
            return
        self._partial = numbers
        results = [result for heard in self._pending for result in results_of(heard, self._config)]
        start = self._pending[0].start if self._pending else self._covered
        end = self._pending[-1].end if self._pending else self._covered
        await say(self._line, "AddPartialTranscript", **transcript(results, start, end))

    async def _end(self) -> None:
        """Everything that is left; then the client closes. Audio that comes now is ignored."""
        await self._acknowledge(self._line.frames)
        self._pending += self._line.hearing.finish()
        if self._pending:
            await self._say_final(len(self._pending))
        end = self._line.hearing.samples
        if end > self._covered:
            await say(self._line, "AddTranscript", final=True, **transcript((), self._covered, end))
        await say(self._line, "EndOfTranscript")
        while True:
            if isinstance(await self._line.receive(), bytes):
                reason = "Audio was added after the end of the stream"
                await say(self._line, "Warning", type="add_audio_after_eos", reason=reason)


async def _started(line: Line) -> Config:
    """Wait for `StartRecognition`, judge it, say `RecognitionStarted`."""
    message = await line.receive()
    said = decoded(message) if isinstance(message, str) else {}
    if isinstance(message, bytes) or said.get("message") not in ("StartRecognition", None):
        await refuse(line, "protocol_error", "StartRecognition must come first")
    if not said:
        await refuse(line, "invalid_message", "Message not understood")
    asked = said.get("transcription_config")
    config = await judged(line, asked if isinstance(asked, dict) else {}, said.get("audio_format"))
    with trio.move_on_after(line.plan.ready_delay):
        if line.plan.ready_delay:
            early = await line.receive()
            what = "AddAudio" if isinstance(early, bytes) else "a message"
            await refuse(line, "protocol_error", f"{what} came before RecognitionStarted")
    pack = {
        "language_description": config.language,
        "word_delimiter": "" if config.language in ("ja", "cmn", "yue") else " ",
        "writing_direction": "right-to-left"
        if config.language in ("ar", "he", "fa", "ur")
        else "left-to-right",
        "itn": True,
        "adapted": False,
    }
    session = f"00000000-0000-4000-8000-{line.number:012d}"
    await say(
        line, "RecognitionStarted", id=session, orchestrator_version="stand-in", language_pack_info=pack
    )
    reason = "Running recognition using a broadcast model quality."
    await say(line, "Info", type="recognition_quality", reason=reason, quality="broadcast")
    return config
