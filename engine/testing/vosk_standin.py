"""vosk-server's `websocket/asr_server.py` as a stand-in: exactly one reply to each message of audio.

An utterance ends with the message that brings `ENDPOINT` of audio after its last word; then the reply is its
words with their times, else what was heard of it so far. `{"eof" : 1}`, to the letter, gets the rest, and the
connection is closed. A text that configures is not answered; any other text is what the real server breaks on.
"""

from collections.abc import Sequence

import msgspec

from engine.stt.vendor import SAMPLE_RATE
from engine.testing.hearing import Heard
from engine.testing.line import Line
from engine.testing.standin import StandIn

EOF = '{"eof" : 1}'
ENDPOINT = SAMPLE_RATE // 2
"""Samples without a word that end an utterance."""

IDLE = 5 * SAMPLE_RATE
"""Samples without a word that end an utterance in which nothing was said."""


class VoskStandIn(StandIn):
    """A `StandIn`; there are no keys."""

    name = "vosk"

    async def converse(self, line: Line) -> None:
        """The protocol of one connection."""
        pending: list[Heard] = []
        with_words = True
        begun = 0
        while (message := await line.receive()) != EOF:
            if isinstance(message, str):
                config = _config(message)
                if config is None or config.get("sample_rate", SAMPLE_RATE) != SAMPLE_RATE:
                    await line.close(1011)
                    return
                with_words = bool(config.get("words", with_words))
                continue
            pending += await line.hear(message)
            here = line.hearing
            quiet = here.samples - (pending[-1].end if pending else begun)
            if here.open_since is None and quiet >= (ENDPOINT if pending else IDLE):
                await _say_result(line, pending, with_words)
                pending, begun = [], here.samples
            else:
                spoken = " ".join(heard.word.text for heard in pending)
                await line.say(msgspec.json.encode({"partial": spoken}).decode())
        await _say_result(line, pending + line.hearing.finish(), with_words)


async def _say_result(line: Line, words: Sequence[Heard], with_words: bool) -> None:
    said: dict[str, object] = {"text": " ".join(heard.word.text for heard in words)}
    if with_words and words:
        said["result"] = [
            {"conf": 1.0, "start": heard.seconds[0], "end": heard.seconds[1], "word": heard.word.text}
            for heard in words
        ]
    # A reply said twice would belong to two messages of audio: that is no fault this protocol can have.
    final = not line.plan.duplicate_finals
    await line.say(msgspec.json.encode(said).decode(), final=final, words=words)


def _config(message: str) -> dict[str, object] | None:
    """What a text configures; None where the real server would fail."""
    try:
        said = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return None
    config = said.get("config") if isinstance(said, dict) else None
    return config if isinstance(config, dict) else None
