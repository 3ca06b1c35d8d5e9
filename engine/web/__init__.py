"""The Quart-Trio application: the standard WebSocket way into a session, REST, probes and metrics.

Only the server and embedders who serve the application themselves come in here.
"""

from engine.web.app import ListenApp, create_app, listen_service
from engine.web.auth import Authenticator
from engine.web.health import Check, Readiness
from engine.web.listen import LISTEN_PATHS, Visit
from engine.web.ports import Services
from engine.web.socket import AsgiSocket

__all__ = [
    "LISTEN_PATHS",
    "AsgiSocket",
    "Authenticator",
    "Check",
    "ListenApp",
    "Readiness",
    "Services",
    "Visit",
    "create_app",
    "listen_service",
]
