"""`listen bench`: times the engine's parts and whole servers; the benchmarks are in the source tree."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.status import Failure

app = typer.Typer(
    invoke_without_command=True,
    help="Time the engine's parts against the least that could do them, or whole servers under load.",
    rich_markup_mode="rich",
)

ROOT = Path(__file__).parents[2]
PEERS = ("soxr", "fastapi", "uvicorn", "websockets")
"""Packages that benchmarks compare with."""


@app.callback()
def bench(context: typer.Context) -> None:
    """Time the engine's parts against the least that could do them, or whole servers under load.

    Without a command it is as `parts`.

    \b
    Examples:
      listen bench
      listen bench endtoend --streams 50,200,500 --largest 1000
    """
    if context.invoked_subcommand is None:
        parts([])


@app.command()
def parts(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="As `python -m bench` names them.")
    ] = None,
) -> None:
    """Decoders, ring, resampler, frame reader, gate, merging, JSON, lane and session, each with its reference.

    \b
    Examples:
      listen bench parts
      listen bench parts decode ring
    """
    _run(names or ["stages", "decode", "ring", "resample"])


@app.command()
def endtoend(
    streams: Annotated[
        str, typer.Option(metavar="N,N", help="Numbers of streams at which all servers are compared.")
    ] = "50,200,500",
    seconds: Annotated[float, typer.Option(min=1, help="Measured for each figure.")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turns.")] = 3,
    largest: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            help="Also find each server's most streams with a p99 within MS; less than a"
            " second is not for the usual stack, which sends every 0.6 s.",
        ),
    ] = 1000.0,
    stacks: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Only these of: C limit, lane, quart, uvicorn.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the report goes. Default: bench/report.")
    ] = None,
) -> None:
    """Whole servers under the same paced load, in one run: one report, in Markdown with plots.

    The bare loop in C (the limit), ours by the lane and by Quart, and the usual stack on uvicorn: CPU, memory
    and latency at the same numbers of streams, and at 70 % of the most that each carries.

    \b
    Examples:
      listen bench endtoend
      listen bench endtoend --streams 50 --rounds 1
    """
    options = ["--streams", streams, "--seconds", f"{seconds:g}", "--rounds", str(rounds)]
    options += ["--largest", f"{largest:g}"] if largest is not None else []
    options += ["--stacks", stacks] if stacks is not None else []
    options += ["--report", str(report.absolute())] if report is not None else []
    _run(["endtoend", *options])


def _run(arguments: Sequence[str]) -> None:
    """`python -m bench` with these arguments; its exit status is the command's. Raises Failure without benchmarks."""
    if not (ROOT / "bench" / "__main__.py").exists():
        raise Failure(
            f"the benchmarks are not installed: they are the folder bench/ of the source tree, not in {ROOT}"
        )
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if missing:
        command = "pip install -e '.[local,dev,bench]'"
        raise Failure(
            f"{' and '.join(missing)}, with which is compared, cannot be imported: {command} in {ROOT}"
        )
    done = subprocess.run([sys.executable, "-m", "bench", *arguments], cwd=ROOT, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
