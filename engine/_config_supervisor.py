"""The configuration of several worker processes; a section like those in `engine._config_sections`."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Supervisor(msgspec.Struct, frozen=True, kw_only=True):
    """Several worker processes on one port (`workers` above 1)."""

    lease_time: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="A worker that does not renew what it owns for this long has lost it to the others.",
        ),
    ] = 15.0
    handover_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="Longest wait for another worker to answer, or for a dead one's conversations.",
        ),
    ] = 5.0
    ready_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="A worker that is not ready within this has failed.")
    ] = 300.0
    restart_first: Annotated[
        float, Meta(gt=0, le=60, description="Wait before a crashed worker is started again; it doubles.")
    ] = 0.5
    restart_limit: Annotated[
        float, Meta(gt=0, le=600, description="Longest wait before a crashed worker is started again.")
    ] = 30.0
    crash_limit: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="So many crashes within `crash_window`, and the server drains and ends with an error.",
        ),
    ] = 5
    crash_window: Annotated[float, Meta(gt=0, le=86400, description="Seconds in which crashes add up.")] = (
        300.0
    )
