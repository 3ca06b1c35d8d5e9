"""Speech to text: a file per vendor, the local engine, language tables, selection; the session comes in."""

from engine.stt.languages import TABLES, LanguageTable
from engine.stt.local import LocalStatistics, LocalWhisper
from engine.stt.selection import Selection, UnsupportedLanguage, accepted_languages, choose
from engine.stt.vendor import (
    SAMPLE_RATE,
    Activity,
    AudioSource,
    Chunk,
    Fault,
    Final,
    Interim,
    Lag,
    Ready,
    StreamOptions,
    SttEvent,
    Vendor,
    VendorError,
)

__all__ = [
    "SAMPLE_RATE",
    "TABLES",
    "Activity",
    "AudioSource",
    "Chunk",
    "Fault",
    "Final",
    "Interim",
    "Lag",
    "LanguageTable",
    "LocalStatistics",
    "LocalWhisper",
    "Ready",
    "Selection",
    "StreamOptions",
    "SttEvent",
    "UnsupportedLanguage",
    "Vendor",
    "VendorError",
    "accepted_languages",
    "choose",
]
