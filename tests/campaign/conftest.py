"""Writes `summary.md`: each campaign test's outcome and figures, when they were found, and on which machine.

A test gives a figure with pytest's `record_property(name, value)`. Tests marked `campaign` anywhere count. Lines of
checks that did not run this time stay as they are.
"""

import os
import platform
import time
from pathlib import Path

import pytest

SUMMARY = Path(__file__).with_name("summary.md")
HEAD = (
    "# Campaign",
    "",
    "| check | outcome | UTC | load | seconds | figures |",
    "|---|---|---|---|---|---|",
)

_found: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and "campaign" in report.keywords:
        _found[_name(report)] = _line(report)


def pytest_sessionfinish() -> None:
    if _found:
        lines = _lines_of(SUMMARY.read_text() if SUMMARY.exists() else "") | _found
        SUMMARY.write_text("\n".join([*HEAD, *lines.values(), "", f"Last run on {_machine()}."]) + "\n")


def _lines_of(summary: str) -> dict[str, str]:
    """The lines of a summary, by check; none when it has other columns."""
    head, _, rest = summary.partition(HEAD[-1] + "\n")
    if HEAD[-2] not in head:
        return {}
    lines = [line for line in rest.splitlines() if line.startswith("|")]
    return {line.split("|")[1].strip(): line for line in lines}


def _name(report: pytest.TestReport) -> str:
    return report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def _line(report: pytest.TestReport) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(report.stop))
    figures = "; ".join(f"{key}: {value}" for key, value in report.user_properties).replace("|", "/")
    load = os.getloadavg()[0]
    cells = (_name(report), report.outcome, when, f"{load:.1f}", f"{report.duration:.0f}", figures)
    return f"| {' | '.join(cells)} |"


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {_processor()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
