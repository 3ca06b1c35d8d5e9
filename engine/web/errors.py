"""How REST says no: always JSON, `{"detail": "…"}`, the status saying whose fault it is."""

import math
from typing import Any

import msgspec
from quart import Quart, Response, current_app
from werkzeug.exceptions import HTTPException

from engine.log import get_logger
from engine.store import DatabaseUnavailable
from engine.store.errors import BlobsUnavailable

__all__ = ["MEANINGS", "ApiError", "json_response", "register_errors"]

log = get_logger(__name__)
DATABASE_RETRY = 5.0
"""Seconds in the Retry-After of a request the database, or where files are, could not answer."""

MEANINGS = {
    400: "The body cannot be read, or what has to be done elsewhere first is not done",
    401: "Nobody is known by this token, or none was sent",
    402: "Locked: more was used than the quota allows",
    403: "The caller may not do this",
    404: "There is no such thing of this user",
    408: "The body did not come in time",
    409: "It cannot be done as things are now",
    413: "The body is larger than web.body_limit",
    416: "The file does not have the bytes of this Range",
    422: "A parameter is not accepted; the answer names it, its value and what is accepted",
    429: "Too many requests; Retry-After says in how many seconds there is room for one",
    502: "A model that was asked gave no answer that could be used",
    503: "It cannot be answered right now; trying again may help",
}
"""What each status means that a route may answer when it does not do what it was asked for."""

_encoder = msgspec.json.Encoder()


class ApiError(Exception):
    """Answered with `status` and `detail`, which names the parameter, its value and what is accepted."""

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after


def json_response(value: object, status: int = 200) -> Response:
    """`value`, of dicts, lists and structs, as the body of a response."""
    body = _encoder.encode(value)
    return current_app.response_class(body, status=status, content_type="application/json")


def register_errors(app: Quart) -> None:
    """Answer every error of a request in JSON; one nobody foresaw is logged, and is a 500 without details."""

    @app.errorhandler(ApiError)
    async def refused(error: ApiError) -> Response:
        response = json_response({"detail": error.detail}, error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = f"{max(1, math.ceil(error.retry_after))}"
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(HTTPException)
    async def http(error: HTTPException) -> Response:
        """404, 405, 413 …, raised by Quart itself."""
        response = json_response({"detail": error.description}, error.code or 500)
        methods: Any = getattr(error, "valid_methods", None)
        if methods:
            response.headers["Allow"] = ", ".join(sorted(methods))
        return response

    @app.errorhandler(DatabaseUnavailable)
    async def database(error: DatabaseUnavailable) -> Response:
        """The database is locked, full or gone; what was asked for may work in a moment."""
        log.error("request.database_failed", error=str(error))
        return await refused(ApiError(503, "The database cannot be used right now", DATABASE_RETRY))

    @app.errorhandler(BlobsUnavailable)
    async def files(error: BlobsUnavailable) -> Response:
        """The disk is full, or a bucket is away."""
        log.error("request.blobs_failed", error=str(error))
        return await refused(ApiError(503, "Files cannot be read or written right now", DATABASE_RETRY))

    @app.errorhandler(Exception)
    async def unforeseen(error: Exception) -> Response:
        log.error("request.failed", exc_info=error)
        return json_response({"detail": "Internal error"}, 500)
