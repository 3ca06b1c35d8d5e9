"""How long the last words of an utterance take to reach the client, over a real server in real time.

Starts `listen serve` with the local model on a free port, streams each recording with `listen stream --json`, and
prints, for each segment that came, the time from its last word's end being sent to its arrival.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec

RECORDINGS = Path(__file__).parents[1] / "tests" / "audio"
COMMAND = (sys.executable, "-c", "from engine.cli import main; main()")
TARGET_MS = 1500
UNBROKEN = frozenset({"phone-two-speakers"})
"""Two people who hardly pause: what they say is cut when the longest utterance is reached, not where it ends."""


@contextmanager
def server() -> Iterator[str]:
    """A server of its own; its WebSocket address."""
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {"LISTEN_DATA_DIR": folder, "LISTEN_PORT": "0", "LISTEN_LOG_FORMAT": "json"}
        process = subprocess.Popen((*COMMAND, "serve"), env=environ, stdout=subprocess.PIPE, text=True)
        try:
            yield _address(process)
        finally:
            process.terminate()
            process.communicate()


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        ready = re.search(r"Listening on http(://\S+)", line)
        if ready:
            return f"ws{ready[1]}"
    raise RuntimeError("the server did not become ready")


def latencies(url: str, recording: Path) -> list[int]:
    """Milliseconds from a segment's end being sent to its arrival, for each time one came or grew."""
    done = subprocess.run(
        (*COMMAND, "stream", str(recording), "--url", url, "--json", "--uid", recording.stem),
        capture_output=True,
        text=True,
        check=True,
    )
    messages = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    return [
        segment["latency_ms"]
        for message in messages
        if message["type"] == "segments"
        for segment in message["segments"]
        if segment.get("latency_ms") is not None
    ]


def main() -> int:
    """Print the table; exit status 1 when a last word took longer than the target."""
    worst = 0
    print(f"{'recording':<20} {'results':>8} {'median ms':>10} {'worst ms':>10}")
    with server() as url:
        for recording in sorted(RECORDINGS.glob("*.wav")):
            found = latencies(url, recording)
            worst = worst if recording.stem in UNBROKEN else max(worst, *found)
            print(f"{recording.stem:<20} {len(found):>8} {median(found):>10.0f} {max(found):>10}", flush=True)
    print(f"last word of an utterance to client: at most {worst} ms (target {TARGET_MS})")
    return int(worst > TARGET_MS)
