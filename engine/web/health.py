"""Whether this process lives, has started and can take work: /livez, /startupz, /readyz, /metrics.

The answers come from memory: no probe touches the disk, the database or a worker thread, so they come while
the server is saturated. What a probe cannot know by itself is reported to `Readiness` by whoever does.
"""

from collections.abc import Awaitable, Callable

import msgspec
from quart import Blueprint, Response, current_app

from engine.metrics import CONTENT_TYPE, Metrics
from engine.web.errors import json_response

__all__ = ["Check", "Exposition", "Readiness", "health"]

Exposition = Callable[[], Awaitable[bytes]]
"""Metrics in Prometheus' text format: of this process, or of all that share the port."""


class Check(msgspec.Struct, frozen=True):
    """One condition of readiness; `detail` says what is so."""

    ok: bool
    detail: str


class Readiness:
    """Why this server takes work, or does not.

    Models count as cold and the database as unwritable until somebody says otherwise. Once all was well,
    the server counts as started for good.
    """

    def __init__(self, session_limit: int) -> None:
        self._session_limit = session_limit
        self._load: Callable[[], float] = lambda: 0.0
        self._transcribes: Callable[[], bool] = lambda: False
        self._models = Check(False, "loading")
        self._database = Check(False, "not checked yet")
        self._workers: Check | None = None
        self._draining = False
        self._started = False

    def watch_load(self, load: Callable[[], float]) -> None:
        """`load()`: live sessions over the most there may be."""
        self._load = load

    def watch_transcription(self, transcribes: Callable[[], bool]) -> None:
        """`transcribes()`: whether some speech-to-text service works, or is worth a try."""
        self._transcribes = transcribes

    def models_loading(self, detail: str) -> None:
        """Models or kernels are not warm yet: no session is taken."""
        self._models = Check(False, detail)

    def models_warm(self, detail: str) -> None:
        """They are: sessions may come."""
        self._models = Check(True, detail)

    def database_writable(self) -> None:
        """It could be written to."""
        self._database = Check(True, "writable")

    def database_failed(self, detail: str) -> None:
        """It could not, for this reason."""
        self._database = Check(False, detail)

    def workers_ready(self, ready: int, of: int) -> None:
        """So many processes share the port, and so many of them take sessions: one is enough."""
        self._workers = Check(ready > 0, f"{ready} of {of}")

    def drain(self) -> None:
        """The server is going: it is not ready from now on."""
        self._draining = True

    def checks(self) -> dict[str, Check]:
        """Each reason to take work or not, by name."""
        load = self._load()
        checks = {
            "models": self._models,
            "database": self._database,
            "draining": Check(not self._draining, "yes" if self._draining else "no"),
            "capacity": Check(load < 1, f"{load:.0%} of {self._session_limit} sessions"),
        }
        if self._workers is not None:
            checks["workers"] = self._workers
        self._started = self._started or all(check.ok for check in checks.values())
        return checks

    @property
    def models_ok(self) -> bool:
        """Whether sessions may come, as far as models are concerned."""
        return self._models.ok

    @property
    def database_ok(self) -> bool:
        """Whether the database could be written to, when it was last tried."""
        return self._database.ok

    @property
    def transcribes(self) -> bool:
        """Whether audio that came now would be transcribed."""
        return self._transcribes() and not self._draining

    @property
    def draining(self) -> bool:
        """Whether the server is going."""
        return self._draining

    @property
    def ready(self) -> bool:
        """Whether all checks are right."""
        return all(check.ok for check in self.checks().values())

    @property
    def started(self) -> bool:
        """Whether all checks were right once."""
        self.checks()
        return self._started


def health(readiness: Readiness, metrics: Metrics, exposition: Exposition | None = None) -> Blueprint:
    """The probes and the metrics. None of them asks who is there. Without `exposition` the metrics are `metrics`."""
    routes = Blueprint("health", __name__)
    metrics.watch(
        ready=lambda: float(readiness.ready),
        draining=lambda: float(readiness.draining),
        database_writable=lambda: float(readiness.database_ok),
    )

    @routes.get("/livez")
    async def livez() -> Response:
        """200 from the moment the port is open: the event loop turned to answer this."""
        return json_response({"status": "ok"})

    @routes.get("/startupz")
    async def startupz() -> Response:
        """200 once everything was ready for the first time."""
        return _answer(readiness.started, readiness)

    @routes.get("/readyz")
    async def readyz() -> Response:
        """200 while this server takes new sessions."""
        return _answer(readiness.ready, readiness)

    @routes.get("/metrics")
    async def expose() -> Response:
        text = metrics.expose() if exposition is None else await exposition()
        return current_app.response_class(text, content_type=CONTENT_TYPE)

    return routes


def _answer(ok: bool, readiness: Readiness) -> Response:
    return json_response({"ok": ok, "checks": readiness.checks()}, 200 if ok else 503)
