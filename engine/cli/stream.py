"""`listen stream`: a real client that sends a recording and shows what comes back."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from engine.cli import options
from engine.cli.status import USAGE, Failure


def stream(
    file: options.AudioFile,
    url: Annotated[
        str, typer.Option(envvar="LISTEN_URL", metavar="URL", help="The server.")
    ] = "ws://127.0.0.1:8080",
    codec: options.Codec = "opus_fs320",
    rate: Annotated[
        int, typer.Option(metavar="HZ", help="Sample rate that is sent. The file is converted to it.")
    ] = 16000,
    channels: Annotated[int, typer.Option(min=1, max=2, help="1, or 2 for interleaved stereo.")] = 1,
    language: options.Language = "en",
    uid: Annotated[
        str | None,
        typer.Option(envvar="LISTEN_UID", metavar="USER", help="Who speaks, without a token. Default: demo."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="LISTEN_TOKEN", metavar="KEY", help="As `listen token create` printed it."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="As fast as the server takes it, not in real time.")
    ] = False,
    interim: Annotated[
        bool, typer.Option("--interim", help="Also show words that are not certain yet.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per message, with audio time and wall time.")
    ] = False,
    conversation_timeout: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Silence that ends the conversation: 2 to 14400.")
    ] = None,
    tail: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="After the audio, longest wait for more words.")
    ] = 15.0,
) -> None:
    """Send a recording to a server and show the transcript as it comes.

    In JSON every line has `sent`, the seconds of audio sent so far, and
    `wall`, the seconds since the first sample. A segment's `latency_ms`
    is the time from when its `end` was sent until it arrived.

    \b
    Examples:
      listen stream speech.wav
      listen stream speech.wav --codec pcm16 --rate 48000
      listen stream speech.wav --json --fast | jq -r 'select(.type=="done").text'
      listen stream speech.wav --url wss://example.org --token omi_dev_...
    """
    import trio

    from engine.audio import create_encoder
    from engine.cli.conversing import Lookup, Run
    from engine.cli.recording import read
    from engine.client import open_listen

    recording = read(file, rate=rate, channels=channels)
    try:
        encoder = create_encoder(codec, rate, channels)
    except ValueError as error:
        raise Failure(str(error), status=USAGE) from None
    parameters: dict[str, Any] = {"interim_results": True} if interim else {}
    if conversation_timeout is not None:
        parameters["conversation_timeout"] = conversation_timeout
    who = uid or (None if token else "demo")
    connect = partial(
        open_listen,
        url,
        token=token,
        uid=who,
        language=language,
        codec=codec,
        sample_rate=rate,
        channels=channels,
        **parameters,
    )
    run = Run(connect, Lookup(url, who, token), recording, encoder, as_json)
    code = trio.run(run.run, fast, tail)
    if code:
        raise typer.Exit(code)
