"""The section about voices; `engine.config` puts it in the tree. Times are seconds."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """Who is speaking: speakers told apart by voice, and known voices given their names."""

    diarize: Annotated[
        bool,
        Meta(
            description="Tell speakers apart where the speech-to-text service does not; nothing of it is kept."
        ),
    ] = True
    identify: Annotated[
        bool,
        Meta(description="Recognise users who have enrolled their voice, and the people they have named."),
    ] = True
    preroll_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Of a user's enrolled voice, how much is played to speech-to-text services that tell speakers "
            "apart, over a second connection at the beginning of each session; they may charge for it. 0: none.",
        ),
    ] = 10.0
    core_share: Annotated[
        float,
        Meta(gt=0, le=64, description="Cores that voices may use, on average over ten seconds."),
    ] = 0.25
    threads: Annotated[int, Meta(ge=1, le=64, description="Voices computed at once.")] = 1
    threshold: Annotated[
        float, Meta(gt=0, le=1, description="Similarity from which a voice is somebody's.")
    ] = 0.84
    margin: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="By how much the most similar person must be ahead of the next, and of two speakers who pass "
            "for one person the more similar for the other to lose the name.",
        ),
    ] = 0.03
    least_speech: Annotated[
        float, Meta(ge=1.6, le=30, description="Speech that a decision needs at least.")
    ] = 2.5
    known_age: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="Known voices are read anew after this, for other workers may add some.",
        ),
    ] = 5.0
    profile_days: Annotated[
        int,
        Meta(ge=0, le=36500, description="Days after which recordings of voices are forgotten; 0: never."),
    ] = 0
    samples_per_person: Annotated[
        int, Meta(ge=0, le=50, description="Recordings kept of each person a user has named; 0: none.")
    ] = 5
    again_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long processing a conversation waits for its voices to be heard again.",
        ),
    ] = 30.0
    link_seconds: Annotated[
        float, Meta(ge=10, le=604800, description="How long a link to a recording of a voice works.")
    ] = 3600.0
