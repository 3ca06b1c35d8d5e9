"""The section about what other systems are told; `engine.config` puts it in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds unless a name says
otherwise.
"""

import ssl
from typing import Annotated

import msgspec
from msgspec import Meta


def authorities_fault(ca_file: str) -> str | None:
    """Why the certificates in a file cannot be trusted; None when they can, or no file is named. Blocks."""
    if not ca_file:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        return "there is no certificate in it"
    except OSError as error:
        return error.strerror or str(error)
    return None


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to addresses that users give: which are allowed, how often they are tried, when they are given up."""

    allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Ranges (CIDR, with commas) that may be reached although they are private, as 10.1.0.0/16;"
            " there also on any port."
        ),
    ] = ()
    ca_file: Annotated[
        str,
        Meta(description="Certificate authorities (PEM) that are trusted besides the usual ones."),
    ] = ""
    connect_timeout: Annotated[
        float, Meta(gt=0, le=60, description="A name must be resolved and a connection made within this.")
    ] = 5.0
    timeout: Annotated[
        float, Meta(gt=0, le=300, description="A request must have been answered within this.")
    ] = 30.0
    live_timeout: Annotated[
        float, Meta(gt=0, le=300, description="The same for audio and live transcripts.")
    ] = 15.0
    drain_timeout: Annotated[
        float,
        Meta(ge=0, le=300, description="Requests that are open when the server stops may end within this."),
    ] = 5.0
    answer_limit: Annotated[
        int, Meta(ge=1024, le=16777216, description="Bytes of an answer that are read; then it is cut.")
    ] = 65536
    schedule: Annotated[
        tuple[float, ...],
        Meta(
            description="Pauses before the second attempt, the third and so on (Standard Webhooks' by default);"
            " after the last one a delivery is dead."
        ),
    ] = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
    live_schedule: Annotated[
        tuple[float, ...], Meta(description="The same for audio and live transcripts.")
    ] = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
    jitter: Annotated[
        float, Meta(ge=0, le=1, description="Each pause is longer by up to this share of itself.")
    ] = 0.2
    audio_age: Annotated[
        float, Meta(gt=0, le=86400, description="Audio older than this is dropped, and counted.")
    ] = 300.0
    transcript_age: Annotated[
        float, Meta(gt=0, le=86400, description="A live transcript older than this is dropped, and counted.")
    ] = 60.0
    audio_keep: Annotated[
        float,
        Meta(
            ge=0,
            le=2592000,
            description="Audio stays on the disk for so long after it was cut, delivered or not, so that it can be sent"
            " again; within webhook.spool_mib.",
        ),
    ] = 3600.0
    audio_behind: Annotated[
        float,
        Meta(
            ge=5,
            le=600,
            description="Audio of one session that is kept in memory for webhooks while disk or database are slow"
            " (32 kB a second); then it is dropped, and counted.",
        ),
    ] = 30.0
    audio_gather: Annotated[
        float,
        Meta(
            ge=0,
            le=5,
            description="Chunks of all sessions that are cut within so long go to disk and database together. 0: each"
            " at once.",
        ),
    ] = 0.2
    audio_look: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How often it is looked whether somebody wants to hear a session by now, and whether a process"
            " died with audio that was not cut.",
        ),
    ] = 15.0
    spool_mib: Annotated[
        int,
        Meta(
            ge=1,
            le=1048576,
            description="Audio on disk for webhooks, in MiB; beyond this the oldest is dropped, and counted if it may"
            " not have been delivered.",
        ),
    ] = 1024
    transcript_batch: Annotated[
        float, Meta(ge=0, le=60, description="Segments are gathered so long before they are sent.")
    ] = 1.0
    transcript_segments: Annotated[
        int,
        Meta(
            ge=1,
            le=100000,
            description="Segments of one session that wait for the database; beyond this the oldest are dropped, and"
            " counted.",
        ),
    ] = 1000
    concurrency: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Requests to one endpoint at once; audio and live transcripts go one by one.",
        ),
    ] = 4
    requests_per_second: Annotated[
        float, Meta(gt=0, le=100000, description="Requests to one endpoint in a second.")
    ] = 20.0
    audio_spread: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Audio that is due for many endpoints in the same moment is sent to one after the other, to the"
            " last at most so much later: live sessions must not notice. 0: to all at once.",
        ),
    ] = 5.0
    endpoints: Annotated[
        int, Meta(ge=1, le=100000, description="Endpoints that a process talks to at once; others wait.")
    ] = 256
    breaker_failures: Annotated[
        int, Meta(ge=1, le=1000, description="After so many failures in a row an endpoint gets a pause.")
    ] = 5
    breaker_pause: Annotated[
        float, Meta(gt=0, le=86400, description="How long that is; then one request tries whether it works.")
    ] = 30.0
    pause_limit: Annotated[
        float, Meta(gt=0, le=86400, description="Longest pause that an endpoint may ask for (Retry-After).")
    ] = 3600.0
    disable_after_failures: Annotated[
        int, Meta(ge=1, le=1000000, description="An endpoint is turned off after so many failures in a row.")
    ] = 100
    disable_after_hours: Annotated[
        float, Meta(gt=0, le=8760, description="The same after so many hours without a success, in hours.")
    ] = 120.0
    secret_overlap_hours: Annotated[
        float,
        Meta(ge=0, le=8760, description="A secret that was replaced goes on signing for so long, in hours."),
    ] = 24.0
    settings_age: Annotated[
        float,
        Meta(ge=0, le=300, description="How old settings may be that another process has changed."),
    ] = 15.0
    claim_time: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="The deliveries of a process that died are taken up after this; beyond every timeout.",
        ),
    ] = 90.0
    log_days: Annotated[
        float, Meta(gt=0, le=3650, description="How long a delivery that has ended is kept, in days.")
    ] = 7.0
    log_limit: Annotated[
        int, Meta(ge=1, le=1000000, description="Deliveries that have ended, kept of one endpoint.")
    ] = 1000
    endpoint_metrics: Annotated[
        int,
        Meta(
            ge=0,
            le=100000,
            description="So many endpoints have requests and bytes of their own in /metrics, with the user's id as a"
            " label; others are counted together. /metrics asks nobody who they are: 0 leaves ids out of it.",
        ),
    ] = 0
