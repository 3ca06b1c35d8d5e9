"""The section about apps; `engine.config` puts it in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds.
"""

from typing import Annotated

import msgspec
from msgspec import Meta


class Apps(msgspec.Struct, frozen=True, kw_only=True):
    """Apps that users have enabled."""

    registered: Annotated[int, Meta(ge=0, le=100000, description="Apps that one user may register.")] = 100
    prompts: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="Prompt-based apps of one user that are put to each conversation, the preferred one first.",
        ),
    ] = 3
    setup_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="An app must have said within this whether it is set up, or what tools it has.",
        ),
    ] = 10.0
    tool_timeout: Annotated[
        float, Meta(gt=0, le=300, description="An app's tool must have answered a chat within this.")
    ] = 30.0
    notifications_per_hour: Annotated[
        int,
        Meta(
            ge=1,
            le=100000,
            description="Messages that an app may send one user in an hour, also all at once.",
        ),
    ] = 10
    answers_per_minute: Annotated[
        int,
        Meta(
            ge=1,
            le=100000,
            description="Messages that an app may put into its answers to webhooks, for one user in a minute; others"
            " are dropped.",
        ),
    ] = 10
    prompt_pause: Annotated[
        float,
        Meta(
            gt=0,
            le=86400,
            description="Between two notifications that a model writes for the same app and user; others are dropped.",
        ),
    ] = 30.0
