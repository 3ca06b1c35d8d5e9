"""What `listen doctor` says of where files are kept. Blocks: a bucket is written to, and what was written removed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine._config_blobs import Blobs
from engine._doctor_check import FAIL, OK, Check
from engine.config import Config
from engine.store.errors import StoreError

__all__ = ["files"]

PROBE = ".doctor/probe"
"""The key of what is written to a bucket: no user's folder begins with a dot."""
PATIENCE = 10.0
"""Seconds that a bucket is waited for."""


def files(config: Config) -> Iterator[Check]:
    """A line for each place that files go to."""
    settings = config.blobs
    yield _bucket("files", settings.url, settings) if settings.url else _folder(config.data_dir)
    for name, bucket in (
        ("received audio", settings.received_bucket),
        ("speech profiles", settings.profiles_bucket),
    ):
        if bucket:
            yield _bucket(name, bucket, settings)


def _folder(data_dir: Path) -> Check:
    """Whether the data directory can be written has a line of its own."""
    there = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    free = shutil.disk_usage(there).free
    return Check("files", OK, f"in {data_dir / 'blobs'}, {free / 1e9:.1f} GB free")


def _bucket(name: str, where: str, settings: Blobs) -> Check:
    from engine.store.blob_buckets import open_bucket
    from engine.store.blob_places import url_of

    url = url_of(where)
    try:
        shelf = open_bucket(url, msgspec.structs.replace(settings, timeout=PATIENCE, retry_time=0.0))
        shelf.put(PROBE, b"listen")
        read = shelf.read(PROBE, 0, None)
        shelf.delete([PROBE])
    except StoreError as error:
        advice = "see the message; keys and addresses are in the section [blobs]"
        return Check(name, FAIL, str(error), advice)
    if read != b"listen":
        return Check(name, FAIL, f"{url} gives back something else than was put", "is it the right server?")
    return Check(name, OK, f"in {url}: written, read and removed")
