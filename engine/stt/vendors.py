"""The vendors that a configuration names and this machine can use.

This is the only place that knows all of them: a vendor is one file (see `protocol.py`), its table in
`languages.py`, its section in `engine.config`, and one entry in `_ENTRIES` here.
"""

from collections.abc import Callable
from importlib.util import find_spec

import msgspec

from engine.config import Config
from engine.off_loop import worker_threads
from engine.stt._silero import SileroPool
from engine.stt.deepgram import DeepgramProtocol
from engine.stt.gating import GatedVendor, GateMode
from engine.stt.languages import TABLES, LanguageTable
from engine.stt.local import LocalWhisper, cores
from engine.stt.protocol import Endpoint, VendorProtocol
from engine.stt.soniox import SonioxProtocol
from engine.stt.speechmatics import SpeechmaticsProtocol
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import Transport
from engine.stt.vendor import StreamOptions, Vendor
from engine.stt.vosk import VoskProtocol
from engine.stt.websocket import WebSocketTransport

MakeProtocol = Callable[[StreamOptions, Endpoint], VendorProtocol]

VOICES_PER_CORE = 4
"""Voice activity instances (9 MB each) for the silence gate: more streams take turns, replaying 256 ms."""


class _Entry(msgspec.Struct, frozen=True):
    """A streaming service: where it is reached (None: not configured), what it speaks, how."""

    provider: str
    endpoint: Callable[[Config], Endpoint | None]
    languages: Callable[[Config], LanguageTable]
    protocol: MakeProtocol
    diarizes: bool = True


def _table(name: str) -> Callable[[Config], LanguageTable]:
    return lambda config: TABLES[name]


def _deepgram(model: str) -> Callable[[Config], Endpoint | None]:
    return lambda config: _keyed(config.deepgram.url, config.deepgram.api_key, model)


def _keyed(url: str, key: str, model: str) -> Endpoint | None:
    return Endpoint(url, key, model) if key else None


_ENTRIES = {
    "dg-nova-3": _Entry("deepgram", _deepgram("nova-3"), _table("dg-nova-3"), DeepgramProtocol),
    "dg-nova-2": _Entry("deepgram", _deepgram("nova-2-general"), _table("dg-nova-2"), DeepgramProtocol),
    "soniox-stt-rt": _Entry(
        "soniox",
        lambda config: _keyed(config.soniox.url, config.soniox.api_key, config.soniox.model),
        _table("soniox-stt-rt"),
        SonioxProtocol,
    ),
    "speechmatics-rt": _Entry(
        "speechmatics",
        lambda config: _keyed(
            config.speechmatics.url, config.speechmatics.api_key, config.speechmatics.model
        ),
        _table("speechmatics-rt"),
        SpeechmaticsProtocol,
    ),
    "vosk": _Entry(
        "vosk",
        lambda config: Endpoint(config.vosk.url) if config.vosk.url else None,
        lambda config: LanguageTable({code.lower(): code for code in config.vosk.languages}),
        VoskProtocol,
        diarizes=False,
    ),
}


def configured_vendors(config: Config, transport: Transport | None = None) -> list[Vendor]:
    """Those in `stt.service_models`, in that order, that have a key, an address or an installed model."""
    line = transport or WebSocketTransport()
    vendors = [_vendor(name, config, line) for name in config.stt.service_models]
    usable = [vendor for vendor in vendors if vendor is not None]
    mode = GateMode(config.stt.gate)
    if mode is GateMode.OFF:
        return usable
    voices = SileroPool(VOICES_PER_CORE * cores(), worker_threads(cores()))
    return [
        GatedVendor(vendor, mode=mode, voices=voices, hangover=config.stt.gate_hangover) for vendor in usable
    ]


def _vendor(name: str, config: Config, transport: Transport) -> Vendor | None:
    if name == "local-whisper":
        installed = find_spec("ctranslate2") is not None
        return LocalWhisper(config.local, data_dir=config.data_dir) if installed else None
    entry = _ENTRIES[name]
    endpoint = entry.endpoint(config)
    if endpoint is None:
        return None
    return _streaming(name, entry, endpoint, config, transport)


def _streaming(
    name: str, entry: _Entry, endpoint: Endpoint, config: Config, transport: Transport
) -> StreamingVendor:
    table = entry.languages(config)
    return StreamingVendor(
        name=name,
        provider=entry.provider,
        takes_preroll=entry.diarizes,
        speaks=lambda language: table.match(language) is not None,
        protocol=lambda options: entry.protocol(options, endpoint),
        transport=transport,
        limits=StreamLimits(
            connect=config.stt.connect_timeout,
            send=config.stt.send_timeout,
            hang=config.stt.hang_timeout,
            finish=config.stt.finish_timeout,
            chunk_shortest=config.stt.chunk_shortest,
            chunk_longest=config.stt.chunk_longest,
        ),
    )
