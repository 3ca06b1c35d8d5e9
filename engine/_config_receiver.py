"""The section about receiving what other servers' webhooks send; `engine.config` puts it in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SECRET_PREFIX = "whsec_"
SECRET_BYTES = range(16, 129)


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Audio and other webhooks that are posted to this server: who may post, and what becomes of it."""

    path: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9_.~-]+)+$",
            max_length=200,
            description="Where audio is posted, as in POST /audio?sample_rate=16000&uid=….",
        ),
    ] = "/audio"
    transcribe: Annotated[
        bool, Meta(description="Have what is received transcribed, as if a device had streamed it.")
    ] = False
    language: Annotated[
        str, Meta(min_length=2, max_length=35, description="The language that is transcribed; multi: any.")
    ] = "en"
    save: Annotated[
        Literal["off", "request", "session"],
        Meta(
            description="WAV files in the blob store: none, one for each request, or for each session, which is what"
            " was received without a longer pause."
        ),
    ] = "request"
    file_minutes: Annotated[
        float,
        Meta(
            gt=0, le=60, description="With save = session, a file is at most this long; then comes the next."
        ),
    ] = 10.0
    republish: Annotated[
        str,
        Meta(
            pattern=r"^$|^(https?|wss?)://\S+$",
            max_length=2000,
            description="Send all audio on to this URL: POSTed as it came (http, https), or streamed as binary"
            " messages (ws, wss). uid and sample_rate are added to its query. Empty: nowhere.",
            extra={"secret": True},
        ),
    ] = ""
    processors: Annotated[
        tuple[str, ...],
        Meta(
            max_length=32,
            description="What is measured of each piece of audio, in this order: vad, level, spectrogram, embedding,"
            " tone, or a class of your own as package.module:Class.",
        ),
    ] = ()
    processor_threads: Annotated[
        int, Meta(ge=1, le=64, description="Threads in which processors run, for all users together.")
    ] = 1
    voices_of: Annotated[
        tuple[str, ...],
        Meta(
            description="The processor embedding makes vectors of the voices of users who have enrolled theirs, and of"
            " these uids, for whose consent you answer; *: of all."
        ),
    ] = ()
    session_gap: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="A gap in the audio of one user up to this long is filled with silence; a longer one ends the"
            " session.",
        ),
    ] = 30.0
    jitter: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Of a sender that says where audio belongs: what is ahead of its place waits this long for what"
            " is missing. Of others: what comes late by less than this has no gap before it.",
        ),
    ] = 5.0
    request_limit: Annotated[
        int, Meta(ge=1024, le=268435456, description="Largest request with audio, in bytes.")
    ] = 16777216
    user_queue_mib: Annotated[
        float,
        Meta(
            gt=0,
            le=65536,
            description="Audio of one user that waits in memory; over it requests are answered with 503.",
        ),
    ] = 32.0
    queue_mib: Annotated[
        float, Meta(gt=0, le=1048576, description="The same of all users together, in one process.")
    ] = 256.0
    retry_after: Annotated[
        float, Meta(gt=0, le=3600, description="Told to who is refused for want of room.")
    ] = 5.0
    events_delay: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="Events are kept together with those of so many seconds, and readers look for those of other"
            " workers as often.",
        ),
    ] = 0.25
    flush_interval: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="What was answered survives the process, and after this time a machine that loses power.",
        ),
    ] = 1.0
    placing_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="Longest that a request is not answered because its audio, which is on the disk, has not"
            " reached the worker that joins it.",
        ),
    ] = 2.0
    republish_timeout: Annotated[
        float, Meta(gt=0, le=300, description="Longest wait for who audio is sent on to.")
    ] = 15.0
    retry_initial: Annotated[
        float, Meta(gt=0, le=3600, description="Longest wait before what failed is tried again; it doubles.")
    ] = 1.0
    retry_limit: Annotated[float, Meta(gt=0, le=86400, description="Longest wait between two tries.")] = 60.0
    retention_days: Annotated[
        float, Meta(ge=0, le=36500, description="What was received is erased after so many days; 0: never.")
    ] = 30.0
    user_quota_mib: Annotated[
        float,
        Meta(ge=0, le=1e9, description="What is kept of one user; over it the oldest is erased. 0: any."),
    ] = 10240.0
    quota_mib: Annotated[
        float, Meta(ge=0, le=1e9, description="What is kept of all users together; 0: any.")
    ] = 0.0
    sweep_interval: Annotated[
        float, Meta(gt=0, le=86400, description="Between two times that retention and quota are enforced.")
    ] = 60.0
    signature_tolerance: Annotated[
        float, Meta(gt=0, le=86400, description="How old or early the time in a signature may be.")
    ] = 300.0
    secrets: Annotated[
        tuple[str, ...],
        Meta(
            description="Who may post by signature (Standard Webhooks): a list of UID:whsec_…, the secret that the"
            " sender signs that user's requests with.",
            extra={"secret": True},
        ),
    ] = ()
    app_key: Annotated[
        str,
        Meta(
            pattern=r"^$|^[A-Za-z0-9_-]{16,200}$",
            description="Whoever posts with ?key= this may post for any uid, and read nothing: for an app's webhook"
            " URL, which is one for all its users. Empty: nobody.",
            extra={"secret": True},
        ),
    ] = ""


def read_secrets(entries: Sequence[str]) -> dict[str, list[bytes]]:
    """The keys of each uid, of entries `UID:whsec_…`. Raises ValueError, which repeats no secret."""
    found: dict[str, list[bytes]] = {}
    for place, entry in enumerate(entries):
        uid, colon, secret = entry.rpartition(f":{SECRET_PREFIX}")
        try:
            key = base64.b64decode(secret, validate=True)
        except binascii.Error:
            key = b""
        if not (uid and colon and len(key) in SECRET_BYTES):
            raise ValueError(
                f"entry {place + 1} is no UID:{SECRET_PREFIX}…, with {SECRET_BYTES[0]} to"
                f" {SECRET_BYTES[-1]} bytes in base64"
            )
        found.setdefault(uid, []).append(key)
    return found
