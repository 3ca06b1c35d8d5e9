"""Writes `summary.md`: when, on which machine, and each campaign test's outcome and figures.

A test gives a figure with pytest's `record_property(name, value)`. Tests marked `campaign` anywhere count.
"""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

SUMMARY = Path(__file__).with_name("summary.md")

_reports: list[pytest.TestReport] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and "campaign" in report.keywords:
        _reports.append(report)


def pytest_sessionfinish() -> None:
    if _reports:
        SUMMARY.write_text("\n".join(_summary(_reports)) + "\n")


def _summary(reports: Sequence[pytest.TestReport]) -> list[str]:
    lines = [
        "# Campaign",
        "",
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {_machine()}",
        "",
        "| check | outcome | seconds | figures |",
        "|---|---|---|---|",
    ]
    for report in reports:
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        figures = "; ".join(f"{key}: {value}" for key, value in report.user_properties)
        lines.append(f"| {name} | {report.outcome} | {report.duration:.0f} | {figures} |")
    return lines


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {_processor()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the end"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
