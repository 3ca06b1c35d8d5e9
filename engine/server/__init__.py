"""The process: hypercorn on Trio, signals, start-up and drain. The command line and embedders come in."""

from engine.server.http import BindError, HttpServer
from engine.server.machine import DataDirInUse
from engine.server.run import Bound, DrainForced, configured_vendors, serve
from engine.server.workers.supervisor import WorkersFailed, supervise

__all__ = [
    "BindError",
    "Bound",
    "DataDirInUse",
    "DrainForced",
    "HttpServer",
    "WorkersFailed",
    "configured_vendors",
    "serve",
    "supervise",
]
