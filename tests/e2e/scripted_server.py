"""The server as `listen serve` runs it, in a process of its own, but for a vendor that hears a script.

Configured by the environment like the real one. Prints the port once it is ready; logs JSON to standard error. With
LISTEN_WORKERS above 1 the workers are `tests.e2e.scripted_worker`.
"""

import os
import sys
from collections.abc import Callable
from functools import partial

import trio

from engine.audio.resample import warm
from engine.config import Config, load_config
from engine.log import configure_logging
from engine.server import Bound, serve, supervise
from engine.stt.vendor import SAMPLE_RATE, AudioSource, StreamOptions, SttEvent, Vendor
from engine.testing import ScriptedVendor, counted_words

WORD_SECONDS = "SCRIPT_WORD_SECONDS"
"""Environment variable: seconds from word to word, 0.5 unless set."""

CHUNK_SECONDS = "SCRIPT_CHUNK_SECONDS"
"""Environment variable: seconds of audio that the vendor reads at a time, 0.1 unless set."""

OWN = "SCRIPT_OWN_VENDORS"
"""Environment variable: set, the vendors are those of the configuration, which are none that hear a script."""


class _Forgetful(ScriptedVendor):
    """Keeps no account of sessions that are over: the memory of this process is measured."""

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        try:
            await super().transcribe(audio, emit, options)
        finally:
            self.samples.pop(options.session_id, None)
            self.words.pop(options.session_id, None)


class _Announcement:
    def started(self, bound: Bound | None = None) -> None:
        """Called once, by the server."""
        if bound is not None:
            print(bound.port, flush=True)


def scripted(config: Config) -> list[Vendor]:
    """Who transcribes."""
    chunk = round(float(os.environ.get(CHUNK_SECONDS, "0.1")) * SAMPLE_RATE)
    return [_Forgetful(counted_words(float(os.environ.get(WORD_SECONDS, "0.5"))), chunk=chunk)]


def preload() -> None:
    """What a server loads when it starts, for those that are forked off (`tests.forking`)."""
    warm()


def main() -> None:
    """Until SIGTERM."""
    config = load_config(None, os.environ)
    configure_logging("json", "info")
    if config.workers > 1:
        command = (sys.executable, "-m", "tests.e2e.scripted_worker")
        trio.run(partial(supervise, config, command=command, task_status=_Announcement()))
    else:
        vendors = None if OWN in os.environ else scripted(config)
        trio.run(partial(serve, config, vendors=vendors, task_status=_Announcement()))


if __name__ == "__main__":
    main()
