"""Of what others can be told."""

from typing import Literal

__all__ = ["AUDIO_BYTES", "DAY_SUMMARY", "MEMORY_CREATED", "REALTIME_TRANSCRIPT", "TRIGGERS", "Trigger"]

Trigger = Literal["audio_bytes", "memory_created", "realtime_transcript", "day_summary"]
AUDIO_BYTES: Trigger = "audio_bytes"
MEMORY_CREATED: Trigger = "memory_created"
REALTIME_TRANSCRIPT: Trigger = "realtime_transcript"
DAY_SUMMARY: Trigger = "day_summary"
TRIGGERS: tuple[Trigger, ...] = (AUDIO_BYTES, MEMORY_CREATED, REALTIME_TRANSCRIPT, DAY_SUMMARY)
