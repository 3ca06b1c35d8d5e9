"""The sections of the configuration, one struct each; `engine.config` puts them together.

Every leaf carries its meaning and bounds, from which checks, errors and `listen config example` are made. Times are
seconds unless a name says otherwise.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ServiceModel = Literal["dg-nova-3", "soniox-stt-rt", "speechmatics-rt", "dg-nova-2", "vosk", "local-whisper"]

MOST_SESSIONS = 20_000
"""Each ring takes two memory maps, of which Linux gives a process 65,530 unless told otherwise."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One live session."""

    ping_interval: Annotated[
        float, Meta(gt=0, le=300, description="Between two text `ping`s to the client.")
    ] = 10.0
    inactivity_timeout: Annotated[
        float,
        Meta(ge=1, le=86400, description="A client that sends nothing for this long is closed with 1001."),
    ] = 90.0
    ring_seconds: Annotated[
        int,
        Meta(ge=2, le=60, description="Audio kept in memory for readers that fall behind (32 kB a second)."),
    ] = 16
    spill_margin: Annotated[
        float,
        Meta(
            gt=0,
            le=30,
            description="When unread audio comes this close to being overwritten, it goes to disk.",
        ),
    ] = 5.0
    spill_minutes: Annotated[
        float,
        Meta(ge=0, le=1440, description="Most audio one session may keep on disk, in minutes; 0 keeps none."),
    ] = 30.0
    aac_threads: Annotated[
        int, Meta(ge=1, le=64, description="Threads that decode AAC, for all sessions together.")
    ] = 1
    message_limit: Annotated[
        int,
        Meta(
            ge=1024,
            le=16777216,
            description="Largest WebSocket message in bytes; a larger one is closed with 1009.",
        ),
    ] = 1048576
    texts_per_second: Annotated[
        float,
        Meta(
            gt=0, le=10000, description="Text messages taken from one client; one that says more must wait."
        ),
    ] = 100.0
    texts_at_once: Annotated[
        int, Meta(ge=1, le=10000, description="Text messages taken from one client at once, after a rest.")
    ] = 200
    photo_limit: Annotated[
        int,
        Meta(
            ge=1024, le=16777216, description="Largest picture that a client may send, in bytes of its file."
        ),
    ] = 2097152
    client_write_timeout: Annotated[
        float,
        Meta(
            gt=0, le=600, description="A client that takes longer than this to read one message is dropped."
        ),
    ] = 30.0
    flush_timeout: Annotated[
        float, Meta(gt=0, le=600, description="Longest wait for the last results when a session ends.")
    ] = 10.0
    idle_flush: Annotated[
        float,
        Meta(
            gt=0, le=60, description="When no audio came for this long, what came is transcribed to its end."
        ),
    ] = 1.0
    close_timeout: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait for the client's answer to a close frame.")
    ] = 5.0
    web_auth_timeout: Annotated[
        float,
        Meta(
            gt=0, le=60, description="On /v4/web/listen, the first message (the token) must come within this."
        ),
    ] = 5.0
    stt_exhausted_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=86400,
            description="When no speech-to-text works for this long, the session is closed with 1011.",
        ),
    ] = 300.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much the server takes on; over a limit a connection is refused with 1013 and a retry time."""

    sessions: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_SESSIONS,
            description="Live sessions in all. Without a value: what `listen doctor --capacity` measured on this"
            " machine, and before it has, the default.",
        ),
    ] = 1000
    sessions_per_user: Annotated[int, Meta(ge=1, le=20000, description="Live sessions of one user.")] = 8
    connects_per_minute: Annotated[
        int, Meta(ge=1, le=100000, description="New connections of one user in a minute.")
    ] = 60
    retry_after: Annotated[
        float, Meta(gt=0, le=3600, description="Told to a refused client: try again after this many seconds.")
    ] = 5.0


class Stt(msgspec.Struct, frozen=True, kw_only=True):
    """Which speech-to-text service a session gets."""

    service_models: Annotated[
        tuple[ServiceModel, ...],
        Meta(
            min_length=1,
            description="The order of preference; those without a key or a model are passed over.",
        ),
    ] = ("dg-nova-3", "soniox-stt-rt", "speechmatics-rt", "dg-nova-2", "vosk", "local-whisper")
    connect_timeout: Annotated[
        float, Meta(gt=0, le=60, description="A vendor must have answered the handshake within this.")
    ] = 3.5
    send_timeout: Annotated[
        float, Meta(gt=0, le=60, description="A vendor that takes no audio for this long has failed.")
    ] = 3.0
    hang_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=120,
            description="A vendor that is sent speech and says nothing for this long has failed.",
        ),
    ] = 6.0
    finish_timeout: Annotated[
        float, Meta(gt=0, le=120, description="Longest wait for a vendor's last results.")
    ] = 10.0
    chunk_shortest: Annotated[
        float,
        Meta(
            ge=0.01,
            le=0.25,
            description="Audio in one message of the lane to a vendor over ws:// when the server is idle.",
        ),
    ] = 0.02
    chunk_longest: Annotated[
        float,
        Meta(ge=0.01, le=0.25, description="The same when a quarter of a core is busy, or more."),
    ] = 0.1
    backoff_first: Annotated[
        float,
        Meta(gt=0, le=60, description="Longest wait before the first retry; it doubles, with full jitter."),
    ] = 1.0
    backoff_limit: Annotated[float, Meta(gt=0, le=600, description="Longest wait between two retries.")] = (
        32.0
    )
    refused_pause: Annotated[
        float,
        Meta(gt=0, le=86400, description="A vendor that refused a session is not asked again before this."),
    ] = 60.0
    breaker_failures: Annotated[
        int,
        Meta(ge=1, le=1000, description="So many failures in a row, and all sessions leave a vendor alone."),
    ] = 3
    connects_per_second: Annotated[
        float,
        Meta(gt=0, le=10000, description="Most connections per second to one vendor, all sessions together."),
    ] = 20.0
    gate: Annotated[
        Literal["off", "shadow", "on"],
        Meta(description="Keep silence from the vendors; `shadow` only counts what would be kept."),
    ] = "off"
    gate_hangover: Annotated[
        float, Meta(ge=0.3, le=30, description="Silence that is still sent after speech, in seconds.")
    ] = 2.0


ApiKey = Annotated[str, Meta(description="Without a key the service is not used.", extra={"secret": True})]


class Deepgram(msgspec.Struct, frozen=True, kw_only=True):
    """Deepgram, or a server that speaks its protocol."""

    api_key: ApiKey = ""
    url: Annotated[
        str, Meta(pattern="^wss?://", description="WebSocket endpoint without query; ws:// is allowed.")
    ] = "wss://api.deepgram.com/v1/listen"


class Soniox(msgspec.Struct, frozen=True, kw_only=True):
    """Soniox."""

    api_key: ApiKey = ""
    url: Annotated[str, Meta(pattern="^wss?://", description="WebSocket endpoint without query.")] = (
        "wss://stt-rt.soniox.com/transcribe-websocket"
    )
    model: Annotated[str, Meta(min_length=1, description="The real-time model to ask for.")] = "stt-rt-v5"


class Speechmatics(msgspec.Struct, frozen=True, kw_only=True):
    """Speechmatics."""

    api_key: ApiKey = ""
    url: Annotated[str, Meta(pattern="^wss?://", description="WebSocket endpoint without query.")] = (
        "wss://eu.rt.speechmatics.com/v2"
    )
    model: Annotated[str, Meta(min_length=1, description="The operating point to ask for.")] = "enhanced"


class Vosk(msgspec.Struct, frozen=True, kw_only=True):
    """A vosk-server."""

    url: Annotated[
        str, Meta(pattern="^(wss?://.*)?$", description="WebSocket endpoint; without one it is not used.")
    ] = ""
    languages: Annotated[tuple[str, ...], Meta(min_length=1, description="What its model speaks.")] = ("en",)


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded speech-to-text: Whisper on CTranslate2."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="`tiny.en`, `base` (many languages), or a folder with a model for CTranslate2.",
        ),
    ] = "tiny.en"
    threads: Annotated[
        int, Meta(ge=0, le=256, description="Utterances decoded at once; 0 means one per core.")
    ] = 0
    endpoint_silence: Annotated[float, Meta(ge=0.1, le=5, description="Silence that ends an utterance.")] = (
        0.5
    )
    utterance_limit: Annotated[
        float, Meta(ge=2, le=29, description="An utterance this long is cut and decoded.")
    ] = 10.0
    window: Annotated[
        float,
        Meta(
            ge=10,
            le=30,
            description="Shortest stretch the encoder is fed; below 10 s Whisper repeats itself.",
        ),
    ] = 10.0
    vocabulary: Annotated[
        tuple[str, ...],
        Meta(max_length=100, description="Names and terms the model should prefer to similar words."),
    ] = ()
    interim_interval: Annotated[
        float, Meta(ge=0.2, le=10, description="Between two decodings of an utterance still being spoken.")
    ] = 0.5


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """The journal and the database behind it."""

    write_interval: Annotated[
        float, Meta(ge=0.01, le=60, description="Between two batches from journal to database.")
    ] = 0.2
    sync_interval: Annotated[
        float, Meta(ge=0.05, le=60, description="Between two flushes of a journal to the disk.")
    ] = 1.0
    busy_timeout: Annotated[
        float,
        Meta(gt=0, le=60, description="Longest wait for a lock held by another process on the database."),
    ] = 5.0
    retry_initial: Annotated[
        float, Meta(gt=0, le=60, description="First wait after a failed write; it doubles.")
    ] = 0.1
    retry_limit: Annotated[
        float, Meta(gt=0, le=600, description="Longest wait between two tries of a write.")
    ] = 5.0
    settings_age: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="What a user has set is read anew after this, for other workers may change it; 0: always.",
        ),
    ] = 5.0
    batch_limit: Annotated[int, Meta(ge=1, le=10000, description="Most records in one transaction.")] = 500


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counting what each user has used."""

    interval: Annotated[
        float, Meta(ge=1, le=3600, description="Between two usage records of a live session.")
    ] = 60.0


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Watching the event loop, on which everything waits that does not compute."""

    stall_interval: Annotated[
        float, Meta(gt=0, le=10, description="Between two measurements of how late the loop wakes.")
    ] = 0.1
    stall_threshold: Annotated[
        float,
        Meta(
            gt=0, le=600, description="A loop held for this long is logged with the stack of what holds it."
        ),
    ] = 0.25
    garbage_interval: Annotated[
        float,
        Meta(
            ge=1,
            le=86400,
            description="Between two full passes of Python's cycle collector, at most, while people speak.",
        ),
    ] = 600.0
    stall_log_interval: Annotated[
        float, Meta(gt=0, le=86400, description="Between two of these lines, at least.")
    ] = 30.0
