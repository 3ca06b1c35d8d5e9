"""The chat: questions about what was said and kept, answered with citations."""
