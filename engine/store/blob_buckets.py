"""Blobs in a bucket, of S3, of Google Cloud Storage, or of a server that speaks like one of them.

Requests are made by obstore, which tries again what failed on the way. Nothing is asked of the bucket until the first
call; keys that are not configured are looked for where each vendor's own tools look (AWS_*, GOOGLE_*, the machine's
role).
Invariants: what obstore raises comes out as `BlobMissing` or `BlobsUnavailable`, whose text names the bucket.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import GCSStore, S3Store

from engine._config_blobs import Blobs as Settings
from engine.moments import micros
from engine.store.blob_names import media_type
from engine.store.blobs import Blob
from engine.store.errors import BlobMissing, BlobsUnavailable, StoreError

__all__ = ["Bucket", "open_bucket"]

AT_ONCE = 1000
"""Blobs that are removed with one request, where the protocol can; S3 takes no more."""


class Bucket:
    """A `Shelf` in a bucket, below a prefix."""

    def __init__(self, store: S3Store | GCSStore, url: str, *, can_sign: bool) -> None:
        self._store = store
        self._url = url
        self._can_sign = can_sign

    @property
    def where(self) -> str:
        """See `Shelf`."""
        return self._url

    def put(self, key: str, data: bytes) -> None:
        """See `Shelf`."""
        with self._mapped(key):
            obstore.put(self._store, key, data, attributes={"Content-Type": media_type(key)})

    def read(self, key: str, start: int, end: int | None) -> bytes:
        """See `Shelf`."""
        with self._mapped(key):
            if end is None and start == 0:
                return bytes(obstore.get(self._store, key).bytes())
            if end is None:
                return bytes(obstore.get(self._store, key, options={"range": {"offset": start}}).bytes())
            return bytes(obstore.get_range(self._store, key, start=start, end=end)) if start < end else b""

    def find(self, key: str) -> Blob | None:
        """See `Shelf`."""
        try:
            with self._mapped(key):
                return _blob(obstore.head(self._store, key))
        except BlobMissing:
            return None

    def list(self, folder: str, after: str, limit: int) -> list[Blob]:
        """See `Shelf`."""
        with self._mapped(folder):
            pages = obstore.list(self._store, folder, offset=after or None, chunk_size=min(limit, AT_ONCE))
            # Not all that speak a protocol know of offsets.
            found = (meta for page in pages for meta in page if meta["path"] > after)
            return [_blob(meta) for meta in islice(found, limit)]

    def delete(self, keys: Sequence[str]) -> None:
        """See `Shelf`."""
        for first in range(0, len(keys), AT_ONCE):
            try:
                with self._mapped(keys[first]):
                    obstore.delete(self._store, list(keys[first : first + AT_ONCE]))
            except BlobMissing:  # of several the others may be left: one after the other
                for key in keys[first : first + AT_ONCE]:
                    self._delete_one(key)

    def sign(self, key: str, seconds: float) -> str | None:
        """See `Shelf`."""
        if not self._can_sign:
            return None
        with self._mapped(key):
            return obstore.sign(self._store, "GET", key, timedelta(seconds=seconds))

    def _delete_one(self, key: str) -> None:
        try:
            with self._mapped(key):
                obstore.delete(self._store, key)
        except BlobMissing:
            return

    @contextmanager
    def _mapped(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise BlobMissing(key) from None
        except (BaseError, OSError) as error:
            raise BlobsUnavailable(f"{self._url}: {_first_line(error)}") from error


def open_bucket(url: str, settings: Settings) -> Bucket:
    """The bucket at `url` (s3://BUCKET/PREFIX, gs://BUCKET/PREFIX). Raises `StoreError` naming what is wrong."""
    open_one: Callable[..., Bucket] = _open_google if url.startswith("gs:") else _open_s3
    options: dict[str, Any] = {
        "client_options": {
            "timeout": timedelta(seconds=settings.timeout),
            "connect_timeout": timedelta(seconds=settings.timeout),
            "allow_http": settings.endpoint.startswith("http:"),
        },
        "retry_config": {"retry_timeout": timedelta(seconds=settings.retry_time)},
    }
    try:
        return open_one(url, settings, options)
    except BaseError as error:
        raise StoreError(f"blobs in {url} cannot be opened: {_first_line(error)}") from error


def _open_s3(url: str, settings: Settings, options: dict[str, Any]) -> Bucket:
    given = {
        "endpoint": settings.endpoint,
        "region": settings.region,
        "access_key_id": settings.access_key_id,
        "secret_access_key": settings.secret_access_key,
    }
    options["config"] = {name: value for name, value in given.items() if value}
    return Bucket(S3Store(**_bucket(url), **options), url, can_sign=True)


def _open_google(url: str, settings: Settings, options: dict[str, Any]) -> Bucket:
    account = _service_account(settings.service_account)
    config: dict[str, Any] = {"service_account_key": msgspec.json.encode(account).decode()} if account else {}
    if settings.endpoint:
        config["base_url"] = settings.endpoint
        if not account:  # only Google can say who somebody is, and is not to be asked
            config["bearer_token"] = "none"
    options["config"] = config
    return Bucket(GCSStore(**_bucket(url), **options), url, can_sign="bearer_token" not in config)


def _bucket(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"bucket": parts.netloc, "prefix": parts.path.strip("/") or None}


def _service_account(text: str) -> dict[str, Any]:
    """A key file as it is, or in base64. Raises `StoreError`, whose text does not quote it."""
    if not text:
        return {}
    try:
        data = text.encode() if text.lstrip().startswith("{") else base64.b64decode(text, validate=True)
        return msgspec.json.decode(data, type=dict[str, Any])
    except (binascii.Error, ValueError) as error:
        accepted = "use the service account's key file in base64, as `base64 -w0 key.json` prints it"
        raise StoreError(f"blobs.service_account is not accepted: {accepted}") from error


def _blob(meta: Any) -> Blob:
    return Blob(meta["path"], meta["size"], micros(meta["last_modified"]))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
