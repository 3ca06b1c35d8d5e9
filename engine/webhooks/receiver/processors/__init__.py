"""What can be measured of received audio, each by a class with one method; `measuring` runs them."""

from engine.webhooks.receiver.processors.loading import load_processors
from engine.webhooks.receiver.processors.ports import SAMPLE_RATE, Piece, Processor, Result

__all__ = ["SAMPLE_RATE", "Piece", "Processor", "Result", "load_processors"]
