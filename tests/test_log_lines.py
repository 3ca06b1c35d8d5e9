"""Log lines over a pipe: written in order, never waited for, and counted when nobody reads."""

import logging
import os
import select
from collections.abc import Iterator
from typing import IO

import pytest

from engine.log_lines import WAITING, LineHandler

PIPE = 65_536
"""Bytes that a pipe takes before somebody reads."""


class Pipe:
    """A logger on one end, its reader on the other."""

    def __init__(self, source: IO[str], sink: IO[str]) -> None:
        self.source = source
        self.handler = LineHandler(sink)
        self.logger = logging.Logger("test")
        self.logger.addHandler(self.handler)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with open(reading) as source, open(writing, "w") as sink:
        yield Pipe(source, sink)


def lines_of(source: IO[str], count: int) -> list[str]:
    return [source.readline().rstrip("\n") for _ in range(count)]


def test_a_line_is_in_the_pipe_when_logging_returns(pipe: Pipe) -> None:
    pipe.logger.warning("one")
    assert select.select([pipe.source], [], [], 0)[0]
    assert pipe.source.readline() == "one\n"


def test_nobody_who_logs_waits_for_a_reader_and_what_is_lost_is_counted(pipe: Pipe) -> None:
    line = "x" * 100
    fits = PIPE // (len(line) + 10)
    logged = 2 * fits + WAITING
    for number in range(logged):
        pipe.logger.warning("%08d %s", number, line)
    read: list[str] = []
    while not read or "lost" not in read[-1]:
        read += lines_of(pipe.source, 1)
    kept, lost = read[:-1], int(read[-1].split()[0])
    assert [int(text[:8]) for text in kept] == list(range(len(kept)))
    assert len(kept) >= WAITING
    assert len(kept) + lost == logged
    pipe.logger.warning("after")
    assert lines_of(pipe.source, 1) == ["after"]


def test_a_line_longer_than_a_pipe_comes_whole_and_in_its_place(pipe: Pipe) -> None:
    long = "y" * (3 * PIPE)
    for text in ("before", long, "after"):
        pipe.logger.warning(text)
    assert lines_of(pipe.source, 3) == ["before", long, "after"]


def test_the_end_waits_for_a_reader_but_not_for_ever(pipe: Pipe) -> None:
    pipe.logger.warning("z" * (2 * PIPE))
    pipe.handler.flush()
    assert len(pipe.source.readline()) == 2 * PIPE + 1
    pipe.handler.flush()


def test_a_record_that_cannot_be_formatted_is_reported_and_the_next_is_written(
    pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.logger.warning("%d", "no number")
    pipe.logger.warning("next")
    assert lines_of(pipe.source, 1) == ["next"]
    assert "no number" in capsys.readouterr().err
