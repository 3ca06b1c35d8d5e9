"""The section about summaries of days; `engine.config` puts it in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class DaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """Summaries of users' days, made when their hour comes."""

    schedule: Annotated[
        Literal["on", "off"],
        Meta(
            description="`on`: each user's day is summarised at the hour they have set, unless they want none."
            " `off`: only when they ask for it."
        ),
    ] = "on"
    parallel: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Summaries of one process that are made at once; many fall due in the same hour.",
        ),
    ] = 2
    lock_time: Annotated[
        float,
        Meta(
            ge=60,
            le=86400,
            description="Once one was begun, the schedule begins with that user's day not again for so long.",
        ),
    ] = 7200.0
    wait_for_processing: Annotated[
        float,
        Meta(
            ge=0,
            le=7200,
            description="A day of which a conversation is still being processed when its hour comes is summarised so"
            " much later; what is not completed then is left out.",
        ),
    ] = 300.0
    catch_up: Annotated[
        float,
        Meta(
            ge=0,
            le=172800,
            description="An hour that came while no server was running is made up for at most so much later.",
        ),
    ] = 43200.0
