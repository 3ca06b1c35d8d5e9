"""`listen load`: many real streams at once, and what they cost and how long words take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import options
from engine.cli.status import USAGE, Failure

if TYPE_CHECKING:
    from engine.cli.load_figures import Latency, LoadFigures
    from engine.cli.load_run import LoadPlan
    from engine.cli.recording import Recording


def load(
    file: options.AudioFile,
    url: Annotated[
        str, typer.Option(envvar="LISTEN_URL", metavar="URL", help="The server; ws:// only.")
    ] = "ws://127.0.0.1:8080",
    streams: Annotated[int, typer.Option(min=1, help="Streams at the same time.")] = 10,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds that are measured.")] = 10.0,
    ramp: Annotated[
        float, typer.Option(min=0, help="Seconds over which the streams connect; with --find-max at least.")
    ] = 2.0,
    codec: options.Codec = "opus_fs320",
    rate: Annotated[int, typer.Option(metavar="HZ", help="Sample rate that is sent.")] = 16000,
    language: options.Language = "en",
    uid: Annotated[
        str,
        typer.Option(
            envvar="LISTEN_UID", metavar="USER", help="Without a token: each stream adds its number."
        ),
    ] = "load",
    token: Annotated[
        str | None, typer.Option(envvar="LISTEN_TOKEN", metavar="KEY", help="One user for all streams.")
    ] = None,
    pid: Annotated[int | None, typer.Option(metavar="PID", help="The server's: its CPU and memory.")] = None,
    vendor_pid: Annotated[
        int | None, typer.Option(metavar="PID", help="A stand-in vendor's, to see that it is not the limit.")
    ] = None,
    tail: Annotated[
        float, typer.Option(min=0, help="Seconds of sending after the measured ones, for the last words.")
    ] = 1.0,
    find_max: Annotated[
        float | None,
        typer.Option(metavar="MS", help="Find the most streams, up to --streams, with a p99 within MS."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Send a recording over many connections at once, in real time and over and over.

    Latency counts from when a packet was due, to the segment that has its last word. Where a stand-in's
    words carry their time (p7t123456), the way to the vendor and the way back are told apart.
    Status 1 when a stream failed, or when this program or the vendor used more than 80 % of a core.

    \b
    Examples:
      listen load speech.wav --streams 100 --seconds 30
      listen load speech.wav --codec aac --pid $(pgrep -f 'listen serve') --json
      listen load speech.wav --streams 500 --find-max 250
    """
    from itertools import count

    import msgspec

    from engine.cli.load_figures import largest
    from engine.cli.load_run import LoadPlan, ramp_of, run_load
    from engine.cli.recording import read

    packets, period = prepare(read(file, rate=rate, channels=1), codec)
    plan = LoadPlan(
        url=url,
        streams=streams,
        seconds=seconds,
        packets=packets,
        period=period,
        codec=codec,
        query={"language": language, "codec": codec, "sample_rate": rate},
        uid=None if token else uid,
        token=token,
        ramp=ramp,
        tail=tail,
        pid=pid,
        vendor_pid=vendor_pid,
    )
    if find_max is None:
        _once(plan, as_json)
        return

    runs = count()

    def measure(number: int) -> LoadFigures:
        who = None if token else f"{uid}-{next(runs)}"  # else the last run's conversations would go on
        slowly = max(ramp, ramp_of(number))
        return run_load(msgspec.structs.replace(plan, streams=number, uid=who, ramp=slowly))

    kept, tried = largest(measure, streams, find_max)
    if as_json:
        print(msgspec.json.encode({"largest": kept, "limit_ms": find_max, "tried": tried}).decode())
        return
    for figures in tried:
        _print(figures)
    print(f"Largest number of streams with a p99 within {find_max:g} ms: {kept}")


def prepare(recording: Recording, codec: str) -> tuple[list[bytes], float]:
    """The recording's packets, and the seconds between two. Raises Failure.

    Packets so short that they mean keepalive are left out, as real clients do not send them either.
    """
    from engine.audio import create_encoder
    from engine.client import SHORTEST_PACKET

    try:
        encoder = create_encoder(codec, recording.rate, 1)
    except ValueError as error:
        raise Failure(str(error), status=USAGE) from None
    period = encoder.frame_samples / recording.rate
    whole = len(recording.pcm) // encoder.frame_samples * encoder.frame_samples
    packets = [p for p in encoder.encode(recording.pcm[:whole].reshape(-1)) if len(p) >= SHORTEST_PACKET]
    if not packets:
        raise Failure(
            f"the recording is shorter than one packet of {codec} ({period * 1000:g} ms)", status=USAGE
        )
    return packets, period


def _once(plan: LoadPlan, as_json: bool) -> None:
    import msgspec

    from engine.cli.load_run import run_load

    figures = run_load(plan)
    if as_json:
        print(msgspec.json.encode(figures).decode())
    else:
        _print(figures)
    figures.believe()
    if figures.failed:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in figures.failed.items())
        raise Failure(reasons)


def _print(figures: LoadFigures) -> None:
    print(
        f"{figures.streams} streams of {figures.codec}, {figures.seconds:g} s: {figures.sent_frames} packets sent, "
        f"{figures.messages} messages and {figures.segments} segments received, "
        f"{figures.missing} of {figures.expected} words missing, {sum(figures.failed.values())} failed"
    )
    rows = {
        "due to segment": figures.segment,
        "  due to vendor": figures.to_vendor,
        "    after gathering": figures.beyond_message,
        "  vendor to segment": figures.to_client,
        "generator late": figures.late,
    }
    print(f"{'ms':<20}{'p50':>10}{'p99':>10}{'p99.9':>10}{'longest':>10}{'count':>10}")
    for name, row in rows.items():
        print(f"{name:<20}{_cells(row)}")
    for who, process in (("server", figures.server), ("vendor", figures.vendor)):
        if process is not None:
            print(
                f"{who}: {process.us_per_stream_second:.0f} µs of CPU a stream-second, {process.core_share:.0%} of a "
                f"core, {process.kib_per_stream:.0f} KiB a stream (PSS)"
            )
    print(
        f"generator: {figures.generator_core_share:.0%} of a core; all else on this machine: "
        f"{figures.others_core_share:.2f} cores"
    )


def _cells(row: Latency | None) -> str:
    if row is None:
        return f"{'none':>10}"
    return f"{row.p50:>10.2f}{row.p99:>10.2f}{row.p999:>10.2f}{row.max:>10.2f}{row.count:>10}"
