"""One stand-in on loopback, with the configuration pointed at it: for demos and load tests.

What clients send comes through codecs, which marks do not survive; so each connection counts its own samples.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio
from msgspec.structs import replace

from engine.config import Config, Deepgram, Soniox, Speechmatics
from engine.stt.vendor import SAMPLE_RATE
from engine.testing.deepgram_standin import DeepgramStandIn
from engine.testing.scripted import Script, counted_words, script_of
from engine.testing.soniox_standin import SonioxStandIn
from engine.testing.speechmatics_standin import SpeechmaticsStandIn
from engine.testing.standin import StandIn
from engine.transcript.words import Word

KEY = "stand-in"

STAND_INS: dict[str, type[StandIn]] = {
    "deepgram": DeepgramStandIn,
    "soniox": SonioxStandIn,
    "speechmatics": SpeechmaticsStandIn,
}


class _Scripted(msgspec.Struct):
    text: str
    start: float
    end: float
    speaker: int | None = None


def read_script(path: Path | None) -> Script:
    """The words in a JSON file, a list of `{"text", "start", "end", "speaker"}` in seconds; None: words that count.

    Raises ValueError, naming the file, when it cannot be read, is not such a list, or is not in order of time.
    """
    if path is None:
        return counted_words()
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=list[_Scripted])
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    words = [
        Word(one.text, round(one.start * SAMPLE_RATE), round(one.end * SAMPLE_RATE), one.speaker)
        for one in listed
    ]
    position = 0
    for number, word in enumerate(words):
        if not (position <= word.start < word.end and word.text):
            raise ValueError(
                f"{path}: word {number} ({word.text!r}) is empty or begins before the one before ended"
            )
        position = word.end
    return script_of(words)


@asynccontextmanager
async def stand_in(name: str, script: Script, config: Config) -> AsyncIterator[Config]:
    """Serve a stand-in of `STAND_INS` while the block runs; gives `config` with it as the only vendor."""
    served = STAND_INS[name](script, key=KEY, marked=False)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(served.serve)
        yield _pointed(config, name, f"ws://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()


def _pointed(config: Config, name: str, url: str) -> Config:
    match name:
        case "deepgram":
            stt = replace(config.stt, service_models=("dg-nova-3",))
            return replace(config, stt=stt, deepgram=Deepgram(api_key=KEY, url=f"{url}/v1/listen"))
        case "soniox":
            stt = replace(config.stt, service_models=("soniox-stt-rt",))
            return replace(config, stt=stt, soniox=Soniox(api_key=KEY, url=f"{url}/transcribe-websocket"))
        case _:
            stt = replace(config.stt, service_models=("speechmatics-rt",))
            return replace(config, stt=stt, speechmatics=Speechmatics(api_key=KEY, url=f"{url}/v2"))
