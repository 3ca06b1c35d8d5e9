"""Texts as vectors: the port, and which text stands for a conversation, a memory or an action item.

Vectors of different models cannot be compared: each is kept with the name of the model that made it, and searched
only with queries of the same.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.conversation.structured import Structured

__all__ = ["Embedder", "EmbedderUnavailable", "conversation_text"]


class EmbedderUnavailable(Exception):
    """The local model cannot be loaded. The text says what is missing or wrong, and what installs it."""


class Embedder(Protocol):
    """Turns texts into vectors whose inner product says how near their meanings are."""

    @property
    def model(self) -> str:
        """The model's name, kept with every vector."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row of length 1 for each text: shape (texts, dimensions).

        Works off the loop, or asks a server and raises its `LlmError`. Cancelled, nothing is left of it.
        """
        ...


def conversation_text(structured: Structured) -> str:
    """What is embedded of a conversation: title, category, overview, action items and events; not the transcript.

    Of a memory its content is embedded, of an action item its description.
    """
    items = [f"- {item.description}" for item in structured.action_items]
    events = [f"- {event.title}: {event.description}".removesuffix(": ") for event in structured.events]
    lines = [structured.title, f"Category: {structured.category}", structured.overview]
    if items:
        lines += ["Action items:", *items]
    if events:
        lines += ["Events:", *events]
    return "\n".join(lines)
