"""From a stub to a finished conversation. May import everything below `web`; `web` and `server` come in."""

from engine.conversation.document import conversation_document
from engine.conversation.lifecycle import Lifecycle

__all__ = ["Lifecycle", "conversation_document"]
