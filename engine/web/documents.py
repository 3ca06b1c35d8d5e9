"""What the server can do, for programs and for readers: /openapi.json, /asyncapi.json and /docs.

They are made at the first request, in a thread, and kept: they never change while the server runs.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
import trio
from quart import Response, current_app

from engine.web.api import Api, Identify, Route
from engine.web.docs_page import docs_page
from engine.web.openapi import openapi_document
from engine.wire.asyncapi import asyncapi_document

__all__ = ["documents"]

HTML = "text/html; charset=utf-8"
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'"


def documents(apis: Sequence[Api], identify: Identify) -> Api:
    """The routes, which describe those of `apis` and themselves."""
    api = Api("documents", identify, tag="Documents")
    kept = _Kept(lambda: [route for one in (*apis, api) for route in one.routes])

    @api.get("/openapi.json", "This API, as an OpenAPI 3.1 document", answer=dict[str, Any], public=True)
    async def openapi() -> Response:
        return await kept.response("application/json", _openapi)

    @api.get(
        "/asyncapi.json", "The listen sockets, as an AsyncAPI 3 document", answer=dict[str, Any], public=True
    )
    async def asyncapi() -> Response:
        return await kept.response("application/json", _asyncapi)

    @api.get("/docs", "This API, to read", public=True, media="text/html")
    async def docs() -> Response:
        response = await kept.response(HTML, _docs)
        response.headers["Content-Security-Policy"] = PAGE_POLICY
        return response

    return api


Make = Callable[[Sequence[Route]], bytes]


class _Kept:
    """Each document once it was made."""

    def __init__(self, routes: Callable[[], Sequence[Route]]) -> None:
        self._routes = routes
        self._made: dict[Make, bytes] = {}

    async def response(self, content_type: str, make: Make) -> Response:
        if make not in self._made:
            self._made[make] = await trio.to_thread.run_sync(make, self._routes())
        return current_app.response_class(self._made[make], content_type=content_type)


def _openapi(routes: Sequence[Route]) -> bytes:
    return msgspec.json.encode(openapi_document(routes, version("listen-engine")))


def _asyncapi(_: Sequence[Route]) -> bytes:
    return msgspec.json.encode(asyncapi_document(version("listen-engine")))


def _docs(routes: Sequence[Route]) -> bytes:
    return docs_page(openapi_document(routes, version("listen-engine"))).encode()
