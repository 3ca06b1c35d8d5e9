"""Routes that are said once, served by Quart-Trio without a socket."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta
from quart import Request, Response
from quart_trio import QuartTrio

from engine.web.api import Api
from engine.web.errors import ApiError, register_errors


class Page(msgspec.Struct, frozen=True):
    """A query."""

    limit: Annotated[int, Meta(ge=1, le=9)] = 3


class New(msgspec.Struct, frozen=True):
    """A body."""

    name: str


class Made(msgspec.Struct, frozen=True):
    """An answer."""

    uid: str
    name: str
    limit: int = 0


async def identify(request: Request) -> str:
    uid = request.headers.get("X-User")
    if uid is None:
        raise ApiError(401, "who are you?")
    return str(uid)


def things() -> Api:
    api = Api("things", identify, prefix="/v1/things", tag="Things", security="key")

    @api.get("", "All", query=Page, answer=Made)
    async def all_of(uid: str, query: Page) -> Made:
        return Made(uid, "all", query.limit)

    @api.post("", "Make one", body=New, answer=Made, status=201, errors=(409,))
    async def make(uid: str, body: New) -> Made:
        if body.name == "taken":
            raise ApiError(409, "name=taken is in use")
        return Made(uid, body.name)

    @api.delete("/<thing>/parts/<int:index>", "Remove a part", status=204)
    async def remove(uid: str, thing: str, index: int) -> None:
        assert (thing, index) == ("car", 2)

    @api.get("/<thing>/shared", "Anybody's", answer=Made, public=True, tag="Shared")
    async def shared(thing: str) -> Response | Made:
        return Response("as it is", content_type="text/plain") if thing == "plain" else Made("", thing)

    return api


async def ask(method: str, path: str, uid: str | None = "alice", **options: Any) -> tuple[int, Any]:
    app = QuartTrio(__name__)
    register_errors(app)
    app.register_blueprint(things().blueprint)
    headers = {"X-User": uid} if uid else {}
    answer = await app.test_client().open(path, method=method, headers=headers, **options)
    return answer.status_code, await answer.get_json() if answer.is_json else await answer.get_data(
        as_text=True
    )


async def test_a_handler_gets_who_asks_and_what_was_declared() -> None:
    assert await ask("GET", "/v1/things") == (200, {"uid": "alice", "name": "all", "limit": 3})
    assert await ask("GET", "/v1/things?limit=9") == (200, {"uid": "alice", "name": "all", "limit": 9})
    assert await ask("POST", "/v1/things", json={"name": "car"}) == (
        201,
        {"uid": "alice", "name": "car", "limit": 0},
    )


async def test_an_answer_may_be_empty_or_a_finished_response() -> None:
    assert await ask("DELETE", "/v1/things/car/parts/2") == (204, "")
    assert await ask("GET", "/v1/things/plain/shared") == (200, "as it is")


async def test_a_public_route_asks_nobody() -> None:
    assert await ask("GET", "/v1/things/x/shared", uid=None) == (200, {"uid": "", "name": "x", "limit": 0})


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "said"),
    [
        ("GET", "/v1/things", {"uid": None}, 401, "who are you?"),
        ("POST", "/v1/things", {"uid": None, "data": "{"}, 401, "who are you?"),
        ("GET", "/v1/things?limit=0", {}, 422, "limit=0 is not accepted: use 1 to 9"),
        ("GET", "/v1/things/%00/shared", {"uid": None}, 422, "thing=? is not accepted"),
        ("POST", "/v1/things", {"data": "{"}, 400, "use JSON"),
        ("POST", "/v1/things", {"json": {}}, 422, "missing required field `name`"),
        ("POST", "/v1/things", {"json": {"name": "taken"}}, 409, "name=taken is in use"),
        ("DELETE", "/v1/things/car/parts/two", {}, 404, "not found"),
        ("PUT", "/v1/things", {}, 405, "not allowed"),
    ],
)
async def test_what_is_wrong_is_said_in_one_shape(
    method: str, path: str, options: dict[str, Any], status: int, said: str
) -> None:
    answered, body = await ask(method, path, **options)
    assert answered == status
    assert body.keys() == {"detail"}
    assert said in body["detail"]


def test_a_route_says_all_that_the_document_needs() -> None:
    routes = {route.name: route for route in things().routes}
    make = routes["things_post_make"]
    assert (make.method, make.path, make.status, make.errors) == ("POST", "/v1/things", 201, (409,))
    assert (make.body, make.answer, make.tag, make.security) == (New, Made, "Things", "key")
    assert routes["things_get_shared"].tag == "Shared"


def test_a_query_that_cannot_be_written_is_refused_when_the_route_is_said() -> None:
    class Impossible(msgspec.Struct, frozen=True):
        """A mapping."""

        labels: dict[str, str] = {}

    async def handler(uid: str, query: Impossible) -> None: ...

    api = Api("wrong", identify, tag="Wrong")
    with pytest.raises(TypeError, match=r"Impossible\.labels"):
        api.get("/wrong", "Wrong", query=Impossible)(handler)
