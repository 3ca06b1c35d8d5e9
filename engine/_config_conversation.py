"""The section about what is done to conversations once they end; `engine.config` puts it in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds.
"""

from typing import Annotated

import msgspec
from msgspec import Meta


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Processing conversations that have ended, and erasing those that were deleted."""

    parallel: Annotated[
        int, Meta(ge=1, le=1000, description="Conversations of one process that are processed at once.")
    ] = 4
    tries: Annotated[
        int, Meta(ge=1, le=100, description="Times processing is tried until the conversation has failed.")
    ] = 6
    retry_initial: Annotated[
        float, Meta(gt=0, le=3600, description="Longest wait before the second try; it doubles.")
    ] = 5.0
    retry_limit: Annotated[float, Meta(gt=0, le=86400, description="Longest wait between two tries.")] = 600.0
    claim_time: Annotated[
        float,
        Meta(
            ge=0.3,
            le=3600,
            description="What a process was working on when it died is taken up after this, by it or another.",
        ),
    ] = 30.0
    answer_wait: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="A request that ends a conversation waits so long for it to be processed; then it is"
            " answered with a conversation that is `processing`. At most two thirds of web.request_timeout.",
        ),
    ] = 20.0
    erase_delay: Annotated[
        float,
        Meta(
            ge=0,
            le=31536000,
            description="From deleting a conversation, when it is hidden, to erasing it; 0 is at once.",
        ),
    ] = 0.0
