"""How a sender says where audio belongs, in headers that others may leave out."""

__all__ = ["POSITION", "SESSION"]

SESSION = "Listen-Session"
"""An id of the sender's session, which the audio is a part of."""

POSITION = "Listen-Position"
"""The number of the audio's first sample in that session, from 0, at the request's sample rate."""
