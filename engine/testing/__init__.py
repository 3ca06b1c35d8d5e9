"""For the tests of this project and of those who embed it: stand-ins that say what they were really given.

Public; imports from any room below `web`, is imported by none.
"""

from engine.testing._openai_answers import LlmRequest, Reply, SaidCall, filled_in
from engine.testing.deepgram_standin import DeepgramStandIn
from engine.testing.faults import Action, FaultPlan, Mishap, Refusal
from engine.testing.hearing import Heard, Hearing, Intervals
from engine.testing.line import Attempt, Ended, Line
from engine.testing.marks import MarkReader, Span, mark
from engine.testing.openai_faults import LlmFaultPlan, LlmMishap, Wrong
from engine.testing.openai_standin import OpenAiStandIn
from engine.testing.scripted import Script, ScriptedVendor, counted_words, script_of
from engine.testing.soniox_standin import SonioxStandIn
from engine.testing.speechmatics_standin import SpeechmaticsStandIn
from engine.testing.standin import StandIn, StandInStatistics
from engine.testing.vosk_standin import VoskStandIn

__all__ = [
    "Action",
    "Attempt",
    "DeepgramStandIn",
    "Ended",
    "FaultPlan",
    "Heard",
    "Hearing",
    "Intervals",
    "Line",
    "LlmFaultPlan",
    "LlmMishap",
    "LlmRequest",
    "MarkReader",
    "Mishap",
    "OpenAiStandIn",
    "Refusal",
    "Reply",
    "SaidCall",
    "Script",
    "ScriptedVendor",
    "SonioxStandIn",
    "Span",
    "SpeechmaticsStandIn",
    "StandIn",
    "StandInStatistics",
    "VoskStandIn",
    "Wrong",
    "counted_words",
    "filled_in",
    "mark",
    "script_of",
]
