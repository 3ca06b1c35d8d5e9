"""The sections about files that are kept, and about recordings; `engine.config` puts them in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Blobs(msgspec.Struct, frozen=True, kw_only=True):
    """Files: recordings, received audio, voices. What is empty here is looked for in AWS_* and GOOGLE_* variables."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^((s3|gs)://[A-Za-z0-9._-]+(/[A-Za-z0-9._=/-]*)?)?\Z",
            description="s3://BUCKET/PREFIX or gs://BUCKET/PREFIX. Empty: files in the data directory.",
        ),
    ] = ""
    endpoint: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/]+)?\Z",
            description="Of a server that speaks the protocol of S3 or Google Cloud Storage, as http://minio:9000.",
        ),
    ] = ""
    region: Annotated[str, Meta(description="Of an S3 bucket.")] = ""
    access_key_id: Annotated[str, Meta(description="For S3.")] = ""
    secret_access_key: Annotated[str, Meta(description="For S3.", extra={"secret": True})] = ""
    service_account: Annotated[
        str,
        Meta(
            description="For Google Cloud Storage: the service account's key file, in base64 or as it is.",
            extra={"secret": True},
        ),
    ] = ""
    received_bucket: Annotated[
        str,
        Meta(
            pattern=r"^(((s3|gs)://)?[A-Za-z0-9._-]+(/[A-Za-z0-9._=/-]*)?)?\Z",
            description="Where received audio goes, if not to `url`: a bucket of Google's, or a URL as there.",
        ),
    ] = ""
    profiles_bucket: Annotated[
        str,
        Meta(
            pattern=r"^(((s3|gs)://)?[A-Za-z0-9._-]+(/[A-Za-z0-9._=/-]*)?)?\Z",
            description="Where speech profiles go, if not to `url`: a bucket of Google's, or a URL as there.",
        ),
    ] = ""
    links: Annotated[
        Literal["signed", "proxied"],
        Meta(
            description="`signed`: links to files lead to the bucket, where that can sign them. `proxied`: always to"
            " this server."
        ),
    ] = "signed"
    link_time: Annotated[
        float, Meta(ge=1, le=604800, description="How long a link to a file is good, unless asked otherwise.")
    ] = 3600.0
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Longest a request to a bucket may take.")] = (
        30.0
    )
    retry_time: Annotated[
        float, Meta(ge=0, le=3600, description="How long a request to a bucket is tried again.")
    ] = 10.0
    parallel: Annotated[
        int,
        Meta(ge=1, le=256, description="Requests of one process to buckets at once; each takes a thread."),
    ] = 16


class Recordings(msgspec.Struct, frozen=True, kw_only=True):
    """Recordings of conversations: of users who allow it (POST /v1/users/store-recording-permission)."""

    keep: Annotated[bool, Meta(description="Whether any are made.")] = False
    piece_seconds: Annotated[
        float,
        Meta(ge=5, le=600, description="Each file has so much; it is made when that has been transcribed."),
    ] = 60.0
    retention_days: Annotated[
        float, Meta(ge=0, le=36500, description="How long they are kept, in days; 0: until they are deleted.")
    ] = 30.0
    quota_mib: Annotated[
        float,
        Meta(
            ge=0, le=1e9, description="Most of one user, in MiB; then their oldest are erased. 0: any number."
        ),
    ] = 2048.0
    sweep_interval: Annotated[
        float, Meta(gt=0, le=86400, description="Between two looks for recordings that are too old.")
    ] = 3600.0
