"""A group of REST routes, each said once: what it takes and answers is read by the server and by the OpenAPI document.

    api = Api("people", authenticator.identify_request, prefix="/v1/users/people", tag="People")

    @api.post("", "Make a person", body=NewPerson, answer=Person, status=201)
    async def create(uid: str, body: NewPerson) -> Person: ...

A handler is called with the caller's uid, then the parts of its path by name, then `query` and `body` where the
route declares them, already checked. It returns a value of the type `answer` (encoded as JSON), a finished
`Response`, or None where `answer` is None. What goes wrong is raised as `ApiError`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from quart import Blueprint, Request, Response, current_app, request

from engine.web.errors import json_response
from engine.web.reading import read_body, read_query

__all__ = ["Api", "Route"]

Identify = Callable[[Request], Awaitable[str]]
"""The uid of who makes a request. Raises `ApiError` 401 or 403."""

Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation. `path` is Quart's, whole; `query` a struct of which every field has a default.

    `answer` is the type of the JSON answered under `status`, None for an empty body. `errors` are the statuses it
    may give besides those that any route may (401, 422, 503 …). `public`: no caller is asked for, the handler gets
    no uid. `media`: of an answer that is no JSON.
    """

    method: str
    path: str
    summary: str
    tag: str
    name: str
    query: type | None = None
    body: Any = None
    answer: Any = None
    status: int = 200
    errors: tuple[int, ...] = ()
    public: bool = False
    media: str = "application/json"


class Api:
    """Routes under one prefix, whose callers are found by `identify`."""

    def __init__(self, name: str, identify: Identify, *, prefix: str = "", tag: str) -> None:
        self.blueprint = Blueprint(name, __name__)
        self.routes: list[Route] = []
        self._identify = identify
        self._prefix = prefix
        self._tag = tag

    def get(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        """A GET route; `options` are fields of `Route`."""
        return self.route("GET", path, summary, **options)

    def post(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        """A POST route."""
        return self.route("POST", path, summary, **options)

    def patch(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        """A PATCH route."""
        return self.route("PATCH", path, summary, **options)

    def delete(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        """A DELETE route."""
        return self.route("DELETE", path, summary, **options)

    def route(self, method: str, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        """A route of any method."""

        def register(handler: Handler) -> Handler:
            whole = self._prefix + path
            tag = options.pop("tag", self._tag)
            route = Route(
                method=method, path=whole, summary=summary, tag=tag, name=handler.__name__, **options
            )
            self.routes.append(route)
            self.blueprint.add_url_rule(
                whole,
                endpoint=f"{method.lower()}_{handler.__name__}",
                view_func=self._view(route, handler),
                methods=[method],
            )
            return handler

        return register

    def _view(self, route: Route, handler: Handler) -> Handler:
        @wraps(handler)
        async def view(**parts: str) -> Response:
            given: dict[str, Any] = dict(parts)
            caller: Sequence[str] = () if route.public else (await self._identify(request),)
            if route.query is not None:
                given["query"] = read_query(request.args, route.query)
            if route.body is not None:
                given["body"] = await read_body(request, route.body)
            result = await handler(*caller, **given)
            if isinstance(result, Response):
                return result
            if route.answer is None:
                return current_app.response_class(status=route.status)
            return json_response(result, route.status)

        return view
