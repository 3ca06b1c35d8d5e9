"""A user enrols over REST, and a vendor is played their voice in their session: a whole server, over sockets."""

from pathlib import Path

import numpy as np
import trio
from msgspec.structs import replace

from engine.audio.wav import encode_wav
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import SpeechmaticsStandIn, mark, script_of
from engine.transcript.words import Word
from tests.e2e.running import config, running, talking
from tests.e2e.test_speakers import enrol
from tests.faults.setting import KEY, sections
from tests.patience import PATIENCE
from tests.stt.streams import load

ENROLLED = mark(np.resize(load("austen-0870"), 6 * SAMPLE_RATE))
SAID = Word("Hello.", SAMPLE_RATE, 2 * SAMPLE_RATE, speaker=0)


async def test_who_enrolled_is_played_to_the_vendor_that_transcribes_their_session(tmp_path: Path) -> None:
    standin = SpeechmaticsStandIn(script_of([SAID]), key=KEY)
    recording = tmp_path / "voice.wav"
    await trio.Path(recording).write_bytes(encode_wav(ENROLLED, SAMPLE_RATE))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(standin.serve)
        vendors = sections({"speechmatics-rt": f"ws://127.0.0.1:{port}"})
        async with running(replace(config(tmp_path / "data"), **vendors), own=True) as server:
            await enrol(server.port, "ada", recording)
            async with talking(server.url, "bob", codec="pcm16", sample_rate=SAMPLE_RATE) as (client, _):
                await client.close()
            await server.all_ended(1)
            assert sum(line.hearing.samples for line in standin.connections) == 0
            standin.connections.clear()
            async with talking(server.url, "ada", codec="pcm16", sample_rate=SAMPLE_RATE) as (client, _):
                with trio.fail_after(PATIENCE):
                    await server.log.until("vendor.knows_the_voice")
                heard = [line.hearing.received.total() for line in standin.connections]
                assert len(heard) == 2
                assert max(heard) >= 3 * SAMPLE_RATE
                await client.close()
        nursery.cancel_scope.cancel()
