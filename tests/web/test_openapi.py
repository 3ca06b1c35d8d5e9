"""The OpenAPI document of a few routes."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from openapi_spec_validator import OpenAPIV31SpecValidator
from quart import Request

from engine.web.api import Api
from engine.web.openapi import openapi_document, statuses


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which."""

    limit: Annotated[int, Meta(ge=1, le=9, description="How many.")] = 3
    since: datetime | None = None
    kinds: tuple[Literal["a", "b"], ...] = ()
    title: str


class New(msgspec.Struct, frozen=True):
    """What is made."""

    name: str
    size: int | None = None


class Optional(msgspec.Struct, frozen=True):
    """A body of which nothing is needed."""

    name: str = ""


class Thing(msgspec.Struct, frozen=True):
    """One thing."""

    id: str
    parts: list["Thing"] = []


async def identify(request: Request) -> str:
    return "alice"


def document() -> dict[str, Any]:
    api = Api("things", identify, prefix="/v1/things", tag="Things")

    @api.get("", "All of them", query=Filter, answer=list[Thing])
    async def page(uid: str, query: Filter) -> list[Thing]:
        return []

    @api.post("", "Make one", body=New, answer=Thing, status=201, errors=(409,))
    async def make(uid: str, body: New) -> Thing:
        return Thing("1")

    @api.post("/<thing>/start", "Start it", body=Optional, status=204)
    async def start(uid: str, thing: str, body: Optional) -> None: ...

    @api.delete("/<thing>/parts/<int:index>", "Remove a part", status=204)
    async def remove(uid: str, thing: str, index: int) -> None: ...

    @api.get("/<thing>/shared", "Anybody's", public=True, media="text/plain")
    async def shared(thing: str) -> str:
        return thing

    assert [list(statuses(route)) for route in api.routes] == [
        [200, 401, 403, 422, 429, 503],
        [201, 400, 401, 403, 408, 409, 413, 422, 429, 503],
        [204, 400, 401, 403, 404, 408, 413, 422, 429, 503],
        [204, 401, 403, 404, 422, 429, 503],
        [200, 404, 422, 503],
    ]
    return openapi_document(api.routes, "1.2.3")


def test_it_is_an_openapi_document() -> None:
    made = document()
    OpenAPIV31SpecValidator(made).validate()
    assert made["info"]["version"] == "1.2.3"
    assert list(made["paths"]) == [
        "/v1/things",
        "/v1/things/{thing}/parts/{index}",
        "/v1/things/{thing}/shared",
        "/v1/things/{thing}/start",
    ]


def test_parameters_have_the_bounds_that_the_server_checks() -> None:
    operation = document()["paths"]["/v1/things"]["get"]
    limit, since, kinds, title = operation["parameters"]
    assert limit == {
        "name": "limit",
        "in": "query",
        "description": "How many.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
    }
    assert since["schema"] == {"type": "string", "format": "date-time"}
    assert (kinds["style"], kinds["explode"]) == ("form", False)
    assert kinds["schema"]["items"] == {"enum": ["a", "b"]}
    assert title["required"] is True
    index = document()["paths"]["/v1/things/{thing}/parts/{index}"]["delete"]["parameters"][1]
    assert index["schema"] == {"type": "integer", "minimum": 0}


def test_a_body_is_required_where_something_in_it_is() -> None:
    paths = document()["paths"]
    assert paths["/v1/things"]["post"]["requestBody"]["required"] is True
    assert paths["/v1/things/{thing}/start"]["post"]["requestBody"]["required"] is False


def test_every_error_has_the_one_shape_and_says_when_to_try_again() -> None:
    made = document()
    for operations in made["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert response == {"$ref": f"#/components/responses/{status}"}
    for status, response in made["components"]["responses"].items():
        schema = response["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
        assert ("headers" in response) == (status in ("429", "503"))
    assert made["components"]["schemas"]["ErrorAnswer"]["required"] == ["detail"]


def test_schemas_are_of_bodies_and_answers_alone() -> None:
    made = document()
    assert sorted(made["components"]["schemas"]) == ["ErrorAnswer", "New", "Optional", "Thing"]
    answer = made["paths"]["/v1/things"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}


def test_who_may_call_is_said() -> None:
    paths = document()["paths"]
    assert paths["/v1/things/{thing}/shared"]["get"]["security"] == []
    assert paths["/v1/things"]["get"]["security"] == [{"user": []}, {"development": []}]
