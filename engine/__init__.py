"""A low-latency listen engine: audio in, speaker-labelled transcript out while people are still talking.

The names below are what embedders import; nothing of the server comes with them, and a name's module is only
loaded when the name is first used.

Layers, each importing only from those to its left:

    audio wire  <-  stt transcript speaker  <-  listen  <-  conversation webhooks  <-  web  <-  server cli

`audio`, `wire` and `transcript` do no I/O and import no Trio. `store` is reached through Protocols owned by
whoever uses them. `config` and `client` stand beside the layers: `config` imports nothing of the engine, and
`client` only `wire`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.audio import Resampler as Resampler
    from engine.audio import Ring as Ring
    from engine.audio import create_decoder as create_decoder
    from engine.client import ListenClient as ListenClient
    from engine.client import open_listen as open_listen
    from engine.config import Config as Config
    from engine.config import load_config as load_config
    from engine.listen import EmbeddedSession as EmbeddedSession
    from engine.listen import open_session as open_session
    from engine.server import serve as serve
    from engine.stt import LocalWhisper as LocalWhisper
    from engine.transcript import Word as Word
    from engine.wire import Segment as Segment

_HOMES = {
    "Config": "engine.config",
    "EmbeddedSession": "engine.listen",
    "ListenClient": "engine.client",
    "LocalWhisper": "engine.stt",
    "Resampler": "engine.audio",
    "Ring": "engine.audio",
    "Segment": "engine.wire",
    "Word": "engine.transcript",
    "create_decoder": "engine.audio",
    "load_config": "engine.config",
    "open_listen": "engine.client",
    "open_session": "engine.listen",
    "serve": "engine.server",
}

__all__ = [
    "Config",
    "EmbeddedSession",
    "ListenClient",
    "LocalWhisper",
    "Resampler",
    "Ring",
    "Segment",
    "Word",
    "create_decoder",
    "load_config",
    "open_listen",
    "open_session",
    "serve",
]


def __getattr__(name: str) -> object:
    # PEP 562: numba, CTranslate2 and the web server take seconds to import, and most users need one of them.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
