"""The sections about REST and about what users may use; `engine.config` puts them in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds.
"""

from typing import Annotated

import msgspec
from msgspec import Meta


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """REST."""

    request_timeout: Annotated[float, Meta(gt=0, le=600, description="Longest a REST request may take.")] = (
        30.0
    )
    body_limit: Annotated[int, Meta(ge=1024, le=104857600, description="Largest request body in bytes.")] = (
        1048576
    )
    requests_per_minute: Annotated[
        int,
        Meta(
            ge=1,
            le=1000000,
            description="Requests of one user in a minute, also all at once; over it they get 429. Each worker counts"
            " for itself.",
        ),
    ] = 1200
    developer_requests_per_minute: Annotated[
        int,
        Meta(
            ge=1,
            le=1000000,
            description="Requests of the Developer API with one key in a minute, also all at once.",
        ),
    ] = 100
    developer_requests_per_day: Annotated[
        int,
        Meta(ge=1, le=100000000, description="Requests of the Developer API of one user in a day."),
    ] = 10000
    idempotency_hours: Annotated[
        float,
        Meta(
            gt=0,
            le=8760,
            description="How long the answer to a request with an Idempotency-Key is kept, in hours.",
        ),
    ] = 24.0
    keep_alive_timeout: Annotated[
        float, Meta(gt=0, le=600, description="An idle HTTP connection is closed after this long.")
    ] = 5.0


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How much users may have transcribed; what is made of more is locked: listed, but not to be read."""

    audio_minutes: Annotated[
        float,
        Meta(ge=0, le=1e6, description="Audio of one user in a calendar month (UTC), in minutes; 0: any."),
    ] = 0.0
