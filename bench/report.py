"""The report of `bench.endtoend`: Markdown with plots beside it.

Figures are medians over the rounds; "of C" is the median of the ratios within a round, with the lowest and the highest.
"""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench import costs
from bench.load.stacks import SECURED
from bench.plot import bars
from engine.capacity import Capacity
from engine.cli.load_figures import Latency, LoadFigures
from engine.cli.status import Failure

__all__ = ["LIMIT", "Measured", "Report", "Sustained", "rows", "write"]

LIMIT = "C limit"
OURS = "lane"
LOST = 0.01
"""Share of words that may be missing from a server that keeps up."""
PERCENTILES = {"p50": "p50", "p99": "p99", "p99.9": "p999"}
AGREEMENT = 0.2
"""How far `listen doctor --capacity` may be from this report."""


class Measured(msgspec.Struct, frozen=True):
    """One stack at one number of streams, once."""

    stack: str
    figures: LoadFigures
    kib_per_stream: float

    @property
    def cpu(self) -> float:
        """µs of CPU a stream-second."""
        return self.figures.server.us_per_stream_second if self.figures.server else 0.0

    @property
    def doubt(self) -> str:
        """Why the figure must not be believed; empty when it may."""
        try:
            self.figures.believe()
        except Failure as failure:
            return str(failure)
        return ""

    @property
    def overload(self) -> str:
        """What shows that so many streams were too many for the server; empty when they were not."""
        figures = self.figures
        if figures.failed or not figures.expected or figures.missing > LOST * figures.expected:
            return (
                f"{figures.missing} of {figures.expected} words missing, failed: {figures.failed or 'none'}"
            )
        return ""


class Sustained(msgspec.Struct, frozen=True):
    """The most that a stack carried; why no more could be measured, or empty; a share of it, round after round."""

    most: int
    elsewhere: str
    leisurely: Sequence[Measured]


class Report(msgspec.Struct, frozen=True):
    """Everything that was measured in one run.

    `left_out`: numbers that were not tried. `costs`: what was counted, and the load it was counted under, by rising
    number of streams.
    """

    machine: list[str]
    counts: list[int]
    names: list[str]
    measured: list[Measured]
    left_out: list[str]
    limit_ms: float | None
    sustained: dict[str, Sustained]
    costs: Sequence[tuple[costs.Counted, LoadFigures]]
    capacity: Capacity | None

    def every(self) -> list[Measured]:
        """All single figures."""
        return [*self.measured, *(one for found in self.sustained.values() for one in found.leisurely)]

    def doubts(self) -> list[str]:
        """Figures that must not be believed, and why."""
        return [
            f"{one.stack} at {one.figures.streams} streams: {one.doubt}" for one in self.every() if one.doubt
        ]

    def overloads(self) -> list[str]:
        """Numbers of streams that were too many, and what showed it."""
        return [
            f"{one.stack} at {one.figures.streams} streams: {one.overload}"
            for one in self.every()
            if one.overload
        ]

    def cpu(self, name: str, count: int) -> float | None:
        """Median µs of CPU a stream-second."""
        found = [one.cpu for one in self.measured if (one.stack, one.figures.streams) == (name, count)]
        return statistics.median(found) if found else None


def write(report: Report, folder: Path) -> str:
    """Put report and plots into the folder; the report's text."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(_text(report)) + "\n"
    (folder / "endtoend.md").write_text(text)
    for name, svg in _plots(report):
        (folder / name).write_text(svg)
    return text


def _text(report: Report) -> Iterator[str]:
    yield from ("# Whole servers under the same load", "", *report.machine, "")
    yield from ("![CPU](cpu.svg)", "", *rows(report.measured, report.counts, report.names), "")
    busy = max((one.figures.others_core_share for one in report.measured), default=0.0)
    yield "Memory is what was touched so far, a ring of 16 s is full after 16 s; what is kept of earlier rounds counts."
    yield "Sent late is the generator's own delay, in ms: in the time to the vendor, not in that after gathering."
    yield f"All else on this machine used up to {busy:.2f} cores meanwhile: with more than a little, trust the ratios."
    yield ""
    yield from _to_the_limit(report)
    yield from _secured(report)
    if report.limit_ms is not None:
        yield from _sustained(report, report.limit_ms)
    for counted, figures in report.costs:
        limit = report.cpu(LIMIT, figures.streams) or 0.0
        yield from ("", f"## Where the lane's CPU goes, at {figures.streams} streams", "")
        yield from costs.table(counted, figures, limit)
    if report.capacity is not None:
        yield from _capacity(report, report.capacity)
    if report.overloads():
        yield from ("", "## Too many streams", "", *(f"- {overload}" for overload in report.overloads()))
        if report.left_out:
            yield f"- not tried, because fewer were too many: {', '.join(report.left_out)}"
    if report.doubts():
        yield from ("", "## Doubtful", "", *(f"- {doubt}" for doubt in report.doubts()))


def _to_the_limit(report: Report) -> Iterator[str]:
    """The ratio that counts, at the largest number of streams at which it can be believed."""
    for count in reversed(report.counts):
        both = [
            [one for one in report.measured if (one.stack, one.figures.streams) == (name, count)]
            for name in (OURS, LIMIT)
        ]
        if all(both) and not any(one.doubt or one.overload for of in both for one in of):
            ratio = statistics.median(ours.cpu / limit.cpu for ours, limit in zip(*both, strict=True))
            yield f"At {count} streams the lane takes {ratio:.2f} times the CPU of the C limit."
            return


def _secured(report: Report) -> Iterator[str]:
    """What a TLS proxy on the same machine takes over."""
    for count in reversed(report.counts):
        plain, secured = report.cpu(OURS, count), report.cpu(SECURED, count)
        if plain and secured:
            yield (
                f"At {count} streams a vendor over wss:// takes {secured / plain:.2f} times the CPU of one over ws://: "
                f"{secured - plain:+.0f} µs a stream-second, which a TLS proxy on the machine would save the server."
            )
            return


def rows(measured: Sequence[Measured], counts: Sequence[int], names: Sequence[str]) -> list[str]:
    """The table, in Markdown."""
    lines = [
        "| streams | stack | CPU, µs a stream-second | of C | due to segment, ms: p50, p99, p99.9 "
        "| to vendor: p99 (after gathering) | to client: p99 | sent late: p99 | PSS, KiB a stream | others, cores | |",
        "|---:|---|---:|---:|---|---:|---:|---:|---:|---:|---|",
    ]
    for count in counts:
        of_count = [one for one in measured if one.figures.streams == count]
        limits = [one.cpu for one in of_count if one.stack == LIMIT]
        for name in names:
            found = [one for one in of_count if one.stack == name]
            lines += [_row(count, found, limits)] if found else []
    return lines


def _row(count: int, rounds: Sequence[Measured], limits: Sequence[float]) -> str:
    cpu = statistics.median(one.cpu for one in rounds)
    ratios = [one.cpu / limit for one, limit in zip(rounds, limits, strict=False) if limit]
    ratio = f"{statistics.median(ratios):.2f}" if ratios else "–"
    if len(ratios) > 1:
        ratio += f" ({min(ratios):.2f} to {max(ratios):.2f})"
    segment = [_median([one.figures.segment for one in rounds], field) for field in PERCENTILES.values()]
    beyond = _median([one.figures.beyond_message for one in rounds], "p99")
    vendor = f"{_median([one.figures.to_vendor for one in rounds], 'p99')} ({beyond})"
    client = _median([one.figures.to_client for one in rounds], "p99")
    late = _median([one.figures.late for one in rounds], "p99")
    memory = max(one.kib_per_stream for one in rounds)
    others = max(one.figures.others_core_share for one in rounds)
    too_many = "too many" if any(one.overload for one in rounds) else ""
    mark = "doubtful" if any(one.doubt for one in rounds) else too_many
    return (
        f"| {count} | {rounds[0].stack} | {cpu:.0f} | {ratio} | {', '.join(segment)} | {vendor} | {client} "
        f"| {late} | {memory:.0f} | {others:.2f} | {mark} |"
    )


def _median(of: Sequence[Latency | None], which: str) -> str:
    middle = _middle(of, which)
    return "–" if middle is None else f"{middle:.1f}"


def _middle(of: Sequence[Latency | None], which: str) -> float | None:
    values = [getattr(one, which) for one in of if one is not None]
    return statistics.median(values) if values else None


def _sustained(report: Report, limit_ms: float) -> Iterator[str]:
    yield from ("", f"## The most streams with a p99 within {limit_ms:g} ms", "", "![most](most.svg)", "")
    peer = report.sustained.get("uvicorn")
    yield from ("| stack | most streams | times uvicorn's | |", "|---|---:|---:|---|")
    for name, found in report.sustained.items():
        times = f"{found.most / peer.most:.2f}" if peer and peer.most else "–"
        least = "at least " if found.elsewhere else ""
        yield f"| {name} | {least}{found.most} | {times} | {found.elsewhere} |"
    yield from ("", "Each at 70 % of its own, just started:", "", "![latency](latency.svg)", "")
    leisurely = [one for found in report.sustained.values() for one in found.leisurely]
    counts = sorted({one.figures.streams for one in leisurely})
    yield from rows(leisurely, counts, report.names)


def _capacity(report: Report, capacity: Capacity) -> Iterator[str]:
    yield from ("", "## What `listen doctor --capacity` says in the same run", "")
    yield (
        f"{capacity.streams} streams a core, {capacity.us_per_stream_second:.0f} µs of CPU a stream-second, "
        f"{capacity.mib_per_stream:.2f} MiB a stream."
    )
    yield (
        "Both look for the most streams of one process, with the same pace, length and limit of the p99. The doctor "
        "makes its speech up and tries as many streams as would fill a core; the bench doubles and halves."
    )
    found = report.sustained.get(OURS)
    if found is not None and found.most:
        off = capacity.streams / found.most - 1
        within = "within" if abs(off) <= AGREEMENT else "NOT within"
        yield f"That is {off:+.0%} of what was found above: {within} {AGREEMENT:.0%}."


def _plots(report: Report) -> Iterator[tuple[str, str]]:
    groups = [f"{count} streams" for count in report.counts]
    cpu = {name: [report.cpu(name, count) for count in report.counts] for name in report.names}
    yield "cpu.svg", bars("CPU, µs a stream-second", groups, cpu)
    if report.sustained:
        most = {name: [float(found.most)] for name, found in report.sustained.items()}
        yield "most.svg", bars(f"Most streams with a p99 within {report.limit_ms:g} ms", ["streams"], most)
        yield (
            "latency.svg",
            bars(
                "Due to segment at 70 % of each one's most, ms",
                list(PERCENTILES),
                _latencies(report),
                log=True,
            ),
        )


def _latencies(report: Report) -> dict[str, list[float | None]]:
    found = {}
    for name, sustained in report.sustained.items():
        taken = [one.figures.segment for one in sustained.leisurely if one.figures.segment]
        found[name] = [_middle(taken, field) for field in PERCENTILES.values()]
    return found
