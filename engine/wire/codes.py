"""Close codes of the listen socket (RFC 6455 section 7.4 and the 4000 range), and close reasons."""

from enum import IntEnum

REASON_BYTES = 123
"""Room for the reason in a close frame: 125 bytes of control payload less two for the code."""


class CloseCode(IntEnum):
    """What the server closes with, and what it is told when the client closes."""

    NORMAL = 1000
    GOING_AWAY = 1001
    """The server ends by itself: drain, inactivity."""
    UNSUPPORTED_DATA = 1003
    """codec, sample_rate or channels that cannot be decoded."""
    NO_STATUS = 1005
    """Never sent: the client's close frame carried no code."""
    ABNORMAL = 1006
    """Never sent: the client went without a close frame."""
    POLICY_VIOLATION = 1008
    """Any other refused parameter, missing or bad credentials."""
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    """A limit is reached; the error event before it carries a retry time."""
    TOKEN_EXPIRED = 4001


def truncate_reason(text: str) -> str:
    """`text` cut to what fits in a close frame, on a character; lone surrogates become `?`."""
    return text.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore")
