"""`listen transcribe`: the same pipeline with no server, as programs use it that embed the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.cli import options
from engine.cli.status import USAGE, Failure

if TYPE_CHECKING:
    from engine.audio import Encoder
    from engine.cli.recording import Recording
    from engine.cli.transcript import Transcript
    from engine.config import Config
    from engine.listen import EmbeddedSession


def transcribe(
    file: options.AudioFile,
    language: options.Language = "en",
    codec: options.Codec = "pcm16",
    as_json: Annotated[bool, typer.Option("--json", help="Print the segments as a JSON array.")] = False,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Put time and speaker in front of each segment.")
    ] = False,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Transcribe a recording with the local model, without a server.

    With a `--codec` the audio is encoded and decoded on its way, to hear what that codec costs.

    \b
    Examples:
      listen transcribe speech.wav
      listen transcribe speech.wav --timestamps
      listen transcribe speech.wav --codec lc3_fs1030 --json
      LISTEN_LOCAL_MODEL=base listen transcribe rede.wav --language de
    """
    loaded = options.load(config, data_dir=data_dir)
    import trio

    from engine.audio import create_encoder
    from engine.cli.recording import read

    recording = read(file, rate=16000, channels=1)
    try:
        encoder = create_encoder(codec, 16000, 1)
    except ValueError as error:
        raise Failure(str(error), status=USAGE) from None
    transcript = trio.run(_transcribe, loaded, recording, encoder, codec, language)
    if as_json:
        options.print_json(transcript.segments)
        return
    for line in transcript.plain(transcript.segments, timestamps=timestamps):
        typer.echo(line)


async def _transcribe(
    config: Config, recording: Recording, encoder: Encoder, codec: str, language: str
) -> Transcript:
    import trio

    from engine.cli.transcript import Transcript
    from engine.listen import open_session
    from engine.listen.speakers import Speakers
    from engine.speaker.encoding import Encoding
    from engine.stt import LocalWhisper

    vendor = LocalWhisper(config.local, data_dir=config.data_dir)
    with Console(stderr=True).status("loading the model"):
        await vendor.prepare()
    if not vendor.speaks(language):
        hint = "LISTEN_LOCAL_MODEL=base speaks many languages"
        raise Failure(
            f"--language {language!r}: the model {config.local.model} does not speak it; {hint}", USAGE
        )
    transcript = Transcript()
    async with (
        open_session(
            vendor,
            codec=codec,
            sample_rate=recording.rate,
            language=language,
            vocabulary=config.local.vocabulary,
            config=config,
            speakers=Speakers(Encoding()) if config.speaker.diarize else None,
        ) as session,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_feed, session, recording, encoder)
        async for segments in session:
            transcript.update(segments)
    return transcript


async def _feed(session: EmbeddedSession, recording: Recording, encoder: Encoder) -> None:
    from engine.cli.sending import frames

    for pcm in frames(recording, encoder.frame_samples):
        for packet in encoder.encode(pcm):
            await session.send(packet)
    for packet in encoder.flush():
        await session.send(packet)
    await session.finish()
