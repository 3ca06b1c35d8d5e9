"""Where each kind of blob goes, as configured: received audio and speech profiles may have buckets of their own.

All of a user's blobs are in these places: who erases a user erases their folder in each.
"""

from dataclasses import dataclass
from pathlib import Path

from engine._config_blobs import Blobs as Settings
from engine.off_loop import OffLoop, worker_threads
from engine.store.blob_files import FOLDER, Files
from engine.store.blobs import Blobs, Links

__all__ = ["BlobPlaces", "open_places", "url_of"]

MAIN, RECEIVED, PROFILES = "main", "received", "profiles"


@dataclass(frozen=True)
class BlobPlaces:
    """The places; one may stand for several."""

    main: Blobs
    received: Blobs
    profiles: Blobs

    def all(self) -> dict[str, Blobs]:
        """Each place once, by its name."""
        return {blobs.place: blobs for blobs in (self.main, self.received, self.profiles)}


def open_places(settings: Settings, data_dir: Path, off_loop: OffLoop, links: Links) -> BlobPlaces:
    """Open all of them; nothing is asked of buckets yet. Blocks. Raises `StoreError` naming what is wrong.

    Files are read and written through `off_loop`; buckets have threads of their own, for they may be slow.
    """
    threads = worker_threads(settings.parallel)
    signed = settings.links == "signed"

    def bucket(place: str, url: str) -> Blobs:
        from engine.store.blob_buckets import open_bucket

        return Blobs(place, open_bucket(url, settings), threads, links, signed=signed)

    files = Blobs(MAIN, Files(data_dir / FOLDER), off_loop, links)
    main = bucket(MAIN, settings.url) if settings.url else files
    own = {RECEIVED: settings.received_bucket, PROFILES: settings.profiles_bucket}
    found = {place: bucket(place, url_of(name)) for place, name in own.items() if name}
    return BlobPlaces(main, found.get(RECEIVED, main), found.get(PROFILES, main))


def url_of(bucket: str) -> str:
    """Of a bucket whose name alone may be given: variables that others gave their meaning name one of Google's."""
    return bucket if "://" in bucket else f"gs://{bucket}"
