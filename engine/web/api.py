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
from typing import Any, TypedDict, Unpack

from quart import Blueprint, Request, Response, current_app, request

from engine.web.errors import json_response
from engine.web.idempotency import Once
from engine.web.reading import check_part, query_fields, read_body, read_query

__all__ = ["APP", "DEVELOPER", "USER", "Api", "Identify", "Route", "RouteOptions"]

Identify = Callable[[Request], Awaitable[str]]
"""The uid of who makes a request. Raises `ApiError` 401 or 403."""

Handler = Callable[..., Awaitable[Any]]

USER = "user"
"""The security scheme of routes that users call with their own token."""
DEVELOPER = "developer"
"""That of the Developer API, for keys with scopes."""
APP = "app"
"""That of the Integration API, for keys of apps."""


class RouteOptions(TypedDict, total=False):
    """What a route may say beside its method, path and summary; see `Route`."""

    tag: str
    query: type | None
    body: Any
    form: str | None
    answer: Any
    status: int
    errors: tuple[int, ...]
    public: bool
    media: str
    creates: bool
    takes: str
    limit: int


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation. `path` is Quart's, whole; `query` a struct, whose fields without a default must be given.

    `form`: the body may also come as this field of `multipart/form-data`, with files beside it.
    `answer` is the type of the JSON answered under `status`, None for an empty body. `errors` are the statuses it
    may give besides those that follow from the rest of it (`engine.web.openapi` says which). `public`: no caller is
    asked for, the handler gets no uid. `media`: of an answer that is no JSON. `takes`: of a body that is no JSON, which
    the handler reads; `limit`: its most bytes, if not `web.body_limit`. `creates`: asked for twice under one
    `Idempotency-Key` it is done once. `name` is unique.
    """

    method: str
    path: str
    summary: str
    tag: str
    name: str
    query: type | None = None
    body: Any = None
    form: str | None = None
    answer: Any = None
    status: int = 200
    errors: tuple[int, ...] = ()
    public: bool = False
    media: str = "application/json"
    creates: bool = False
    takes: str = ""
    limit: int = 0
    security: str = USER


class Api:
    """Routes under one prefix, whose callers are found by `identify` and name themselves as `security` says.

    `once` is where those that create look up idempotency keys; without one they ignore them.
    """

    def __init__(
        self, name: str, identify: Identify, *, prefix: str = "", tag: str, security: str = USER
    ) -> None:
        self.blueprint = Blueprint(name, __name__)
        self.routes: list[Route] = []
        self.once: Once | None = None
        self._identify = identify
        self._prefix = prefix
        self._tag = tag
        self._security = security

    def get(self, path: str, summary: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """A GET route."""
        return self.route("GET", path, summary, **options)

    def post(self, path: str, summary: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """A POST route."""
        return self.route("POST", path, summary, **options)

    def patch(self, path: str, summary: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """A PATCH route."""
        return self.route("PATCH", path, summary, **options)

    def delete(
        self, path: str, summary: str, **options: Unpack[RouteOptions]
    ) -> Callable[[Handler], Handler]:
        """A DELETE route."""
        return self.route("DELETE", path, summary, **options)

    def route(
        self, method: str, path: str, summary: str, **options: Unpack[RouteOptions]
    ) -> Callable[[Handler], Handler]:
        """A route of any method. Raises TypeError when the query's struct has a field that no query can carry."""

        def register(handler: Handler) -> Handler:
            endpoint = f"{method.lower()}_{handler.__name__}"
            said: RouteOptions = {"tag": self._tag, **options}
            route = Route(
                method=method,
                path=self._prefix + path,
                summary=summary,
                name=f"{self.blueprint.name}_{endpoint}",
                security=self._security,
                **said,
            )
            if route.query is not None:
                query_fields(route.query)
            self.routes.append(route)
            view = self._view(route, handler)
            self.blueprint.add_url_rule(route.path, endpoint=endpoint, view_func=view, methods=[method])
            return handler

        return register

    def _view(self, route: Route, handler: Handler) -> Handler:
        @wraps(handler)
        async def view(**parts: Any) -> Response:
            given: dict[str, Any] = dict(parts)
            caller: Sequence[str] = () if route.public else (await self._identify(request),)
            for name, part in parts.items():
                check_part(name, part)
            if route.query is not None:
                given["query"] = read_query(request.args, route.query)
            if route.body is not None:
                given["body"] = await read_body(request, route.body, route.form)

            async def do() -> Response:
                return _response(route, await handler(*caller, **given))

            if route.creates and caller and self.once is not None:
                return await self.once.answer(request, caller[0], do)
            return await do()

        return view


def _response(route: Route, result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if route.answer is None:
        return current_app.response_class(status=route.status)
    return json_response(result, route.status)
