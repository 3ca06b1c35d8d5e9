"""Where log lines are written, so that a reader who does not read holds nobody up.

Operations: a `logging.Handler`; `flush` waits until what was logged is written, or until `PATIENCE` is over.
Invariants: lines come out in the order in which they were logged; where some were lost a line says how many.
Bounded: `WAITING` lines; one thread, begun when a line must wait for the first time.
Cost: one `poll` a line. The line is then written by whoever logs it, so that a kill loses nothing that was logged;
only while the pipe is full, or for a line longer than a pipe takes at once, the thread writes.
Known doubts: where several processes write to one pipe, each may find the room that only one of them gets.
"""

import logging
import select
import threading
from collections import deque
from contextlib import suppress
from typing import IO

__all__ = ["PATIENCE", "WAITING", "LineHandler"]

WAITING = 10_000
"""Lines."""

PATIENCE = 1.0
"""Seconds that the end of a process waits for a reader."""


class LineHandler(logging.Handler):
    """Writes each record as a line, or several."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream
        self._poll = _poll(stream)
        self._waiting: deque[str] = deque()
        self._lost = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write it now, or leave it to the thread. What cannot be formatted or written is `logging`'s to report."""
        try:
            line = self.format(record) + "\n"
            with self._changed:
                if not self._waiting and not self._lost and self._has_room(line):
                    self._write(line)
                else:
                    self._leave(line)
        except Exception:  # noqa: BLE001 - logging is nobody's reason to fail; `handleError` says so on standard error
            self.handleError(record)

    def flush(self) -> None:
        """Wait until what was logged is written, for at most `PATIENCE`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._lost, PATIENCE)

    def _has_room(self, line: str) -> bool:
        """Whether writing it cannot block. A pipe that can be written to takes `PIPE_BUF` bytes at once."""
        if self._poll is None:
            return True
        return len(line.encode(errors="replace")) <= select.PIPE_BUF and bool(self._poll.poll(0))

    def _leave(self, line: str) -> None:
        if len(self._waiting) >= WAITING:
            self._lost += 1
            return
        self._tell_lost()
        self._waiting.append(line)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_waiting, name="log", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _write_waiting(self) -> None:
        """The thread. A line stays first in the queue until it is written: those after it wait behind it."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line = self._waiting[0]
            with suppress(OSError, ValueError):  # nobody will read any more: there is nowhere to say so
                self._write(line)
            with self._changed:
                self._waiting.popleft()
                self._tell_lost()
                self._changed.notify_all()

    def _tell_lost(self) -> None:
        """Where there is room again, say what there was none for."""
        if self._lost:
            text = "%d log lines are lost: nobody read them"
            record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (self._lost,), None)
            self._waiting.append(self.format(record) + "\n")
            self._lost = 0

    def _write(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()


def _poll(stream: IO[str]) -> "select.poll | None":
    """Says whether the stream takes a line; None for one that is no file."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return None
    poll = select.poll()
    poll.register(number, select.POLLOUT | select.POLLERR)
    return poll
