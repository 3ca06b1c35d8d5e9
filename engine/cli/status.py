"""Exit statuses of `listen`, and which error leads to which."""

import os
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130

TABLE = (
    "Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 the server cannot be reached, "
    "130 interrupted."
)


class Failure(Exception):
    """A command cannot do what was asked; the text says why, and what would help."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


# By name, so that looking an error up imports nothing. Subclasses are found through their bases.
_FORESEEN = {
    "engine.cli.status.Failure": FAILED,
    "engine._config_load.ConfigError": USAGE,
    "engine._client_connect.AddressError": USAGE,
    "engine._client_connect.ConnectFailed": UNREACHABLE,
    "engine._client_connect.ListenClosed": FAILED,
    "engine.store.errors.StoreError": FAILED,
    "engine.server.machine.DataDirInUse": FAILED,
    "engine.server.http.BindError": FAILED,
    "engine.server.run.DrainForced": FAILED,
    "engine.server.workers.supervisor.WorkersFailed": FAILED,
    "engine.audio.libraries.LibraryMissing": FAILED,
    "engine.stt.vendor.VendorError": FAILED,
    "engine.listen.pipeline.SttExhausted": FAILED,
    "builtins.OSError": FAILED,
}


def report(error: BaseException, console: Console) -> int | None:
    """Print what went wrong and return the exit status; None for an error nobody foresaw (a bug of ours)."""
    leaves = list(_leaves(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return INTERRUPTED
    statuses = [_status(leaf) for leaf in leaves]
    if not statuses or None in statuses:
        return None
    for leaf in leaves:
        for line in str(leaf).splitlines() or [type(leaf).__name__]:
            console.print(Text.assemble(("error: ", "bold red"), line), soft_wrap=True, highlight=False)
    if UNREACHABLE in statuses:
        console.print(
            "Is the server running? `listen serve` starts one; --url names another.", highlight=False
        )
    return max(status for status in statuses if status is not None)


def broken_pipe() -> int:
    """The reader of our output went away (`| head`): be quiet about it, also when Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _status(error: BaseException) -> int | None:
    if isinstance(error, Failure):
        return error.status
    for base in type(error).__mro__:
        status = _FORESEEN.get(f"{base.__module__}.{base.__qualname__}")
        if status is not None:
            return status
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
