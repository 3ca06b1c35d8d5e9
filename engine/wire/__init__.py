"""The listen socket's language: messages, parameters, close codes and the session's states, without any I/O.

Everyone may import from here; nothing here imports from another room.
"""

from engine.wire.codes import CloseCode, truncate_reason
from engine.wire.messages import (
    PING,
    AuthResponse,
    ConversationSession,
    ErrorEvent,
    Event,
    FreemiumThresholdReached,
    InterimSegments,
    LastMemory,
    MemoryCreated,
    MemoryProcessingStarted,
    PhotoDescribed,
    PhotoProcessing,
    ProactiveMessage,
    Segment,
    SegmentsDeleted,
    ServiceStatus,
    SpeakerLabelSuggestion,
    Translating,
    Translation,
    encode,
    encode_segments,
    speaker_label,
    speaker_number,
)
from engine.wire.parameters import CODEC_RATES, ListenParameters, describe_rates, parse_parameters
from engine.wire.refusal import Refusal

__all__ = [
    "CODEC_RATES",
    "PING",
    "AuthResponse",
    "CloseCode",
    "ConversationSession",
    "ErrorEvent",
    "Event",
    "FreemiumThresholdReached",
    "InterimSegments",
    "LastMemory",
    "ListenParameters",
    "MemoryCreated",
    "MemoryProcessingStarted",
    "PhotoDescribed",
    "PhotoProcessing",
    "ProactiveMessage",
    "Refusal",
    "Segment",
    "SegmentsDeleted",
    "ServiceStatus",
    "SpeakerLabelSuggestion",
    "Translating",
    "Translation",
    "describe_rates",
    "encode",
    "encode_segments",
    "parse_parameters",
    "speaker_label",
    "speaker_number",
    "truncate_reason",
]
