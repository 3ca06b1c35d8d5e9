"""The section about voices; `engine.config` puts it in the tree. Times are seconds."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """Who is speaking: speakers told apart by voice."""

    diarize: Annotated[
        bool,
        Meta(
            description="Tell speakers apart where the speech-to-text service does not; nothing of it is kept."
        ),
    ] = True
    core_share: Annotated[
        float,
        Meta(gt=0, le=64, description="Cores that voices may use, on average over ten seconds."),
    ] = 0.25
    threads: Annotated[int, Meta(ge=1, le=64, description="Voices computed at once.")] = 1
