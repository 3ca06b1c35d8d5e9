"""The server as `listen serve` runs it, in a process of its own, but for a vendor that hears a script.

Configured by the environment like the real one. Prints the port once it is ready; logs JSON to standard error.
"""

import os
from functools import partial

import trio

from engine.config import load_config
from engine.log import configure_logging
from engine.server import Bound, serve
from engine.testing import ScriptedVendor, counted_words

WORD_SECONDS = "SCRIPT_WORD_SECONDS"
"""Environment variable: seconds from word to word, 0.5 unless set."""


class _Announcement:
    def started(self, bound: Bound | None = None) -> None:
        """Called once, by the server."""
        if bound is not None:
            print(bound.port, flush=True)


def main() -> None:
    """Until SIGTERM."""
    config = load_config(None, os.environ)
    configure_logging("json", "info")
    vendor = ScriptedVendor(counted_words(float(os.environ.get(WORD_SECONDS, "0.5"))))
    trio.run(partial(serve, config, vendors=[vendor], task_status=_Announcement()))


if __name__ == "__main__":
    main()
