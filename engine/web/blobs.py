"""/v1/blobs: files, for whoever has a link to one; see `engine.store.blob_links`.

Browsers play what they get here: ranges are answered, and nothing is taken for what it does not say it is.
"""

from typing import Protocol

from quart import Response, current_app, request
from werkzeug.http import parse_range_header

from engine.store.blob_links import PATH, LinkedBlob
from engine.store.blob_names import media_type
from engine.store.blob_places import BlobPlaces
from engine.store.blobs import Blob, Blobs
from engine.web.answers import missing
from engine.web.api import Api, Identify
from engine.web.errors import ApiError

__all__ = ["Links", "blobs"]

SHOWN = ("audio/", "image/")
"""Kinds of files that browsers may show; others they save."""


class Links(Protocol):
    """Who knows what a link leads to."""

    async def read(self, token: str) -> LinkedBlob | None:
        """What the path's last part leads to; None when it was not made here, was changed, or has ended."""
        ...


def blobs(places: BlobPlaces, links: Links, identify: Identify) -> Api:
    """The routes."""
    api = Api("blobs", identify, prefix=PATH.rstrip("/"), tag="Files")

    @api.get(
        "/<token>",
        "A file, for whoever has a link to it",
        public=True,
        media="application/octet-stream",
        errors=(416, 503),
    )
    async def read(token: str) -> Response:
        link = await links.read(token)
        place = None if link is None else places.all().get(link.place)
        if link is None or place is None:
            raise missing("File")
        blob = await place.find(link.uid, link.name)
        if blob is None:
            raise missing("File")
        return _file(place, link, blob)

    return api


def _file(place: Blobs, link: LinkedBlob, blob: Blob) -> Response:
    start, end = _range(blob.size)
    media = media_type(link.name)
    headers = _headers(media, link.name.rpartition("/")[2])
    headers["Content-Length"] = str(end - start)
    if (start, end) != (0, blob.size):
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
    body = place.stream(link.uid, link.name, start=start, end=end)
    status = 206 if "Content-Range" in headers else 200
    response: Response = current_app.response_class(body, status=status, headers=headers, content_type=media)
    response.timeout = None  # a slow client may take long
    return response


def _headers(media: str, name: str) -> dict[str, str]:
    shown = "inline" if media.startswith(SHOWN) else "attachment"
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'{shown}; filename="{name}"',
    }


def _range(size: int) -> tuple[int, int]:
    """The bytes that are asked for; all of them unless one range is. Raises `ApiError` 416."""
    asked = parse_range_header(request.headers.get("Range"))
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, size
    found = asked.range_for_length(size)
    if found is None:
        raise ApiError(416, f"Range={asked.to_header()} is not accepted: the file has {size} bytes")
    return found
