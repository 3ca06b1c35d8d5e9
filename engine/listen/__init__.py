"""The live session, from socket to segments. May import audio, wire, stt and transcript; `web` comes in.

`open_session` is the embedder's way in, `ListenService` the server's.
"""

from engine.listen.embed import EmbeddedSession, open_session
from engine.listen.ports import ClientGone, ClientSocket
from engine.listen.service import ListenService
from engine.listen.session import SessionStatistics
from engine.listen.unpacking import Unpacking
from engine.stt.failover import SttExhausted

__all__ = [
    "ClientGone",
    "ClientSocket",
    "EmbeddedSession",
    "ListenService",
    "SessionStatistics",
    "SttExhausted",
    "Unpacking",
    "open_session",
]
