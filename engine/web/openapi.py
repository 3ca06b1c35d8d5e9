"""The OpenAPI 3.1 document, made of the routes themselves: what the server reads is what the document says.

Which errors a route may give follows from what it takes: `statuses` is the rule.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import inspect

from engine.web.api import APP, DEVELOPER, USER, Route
from engine.web.errors import MEANINGS
from engine.web.idempotency import HEADER, KEY_CHARACTERS
from engine.web.reading import query_fields

__all__ = ["ErrorAnswer", "openapi_document", "statuses"]

OPENAPI = "3.1.0"
SCHEMAS = "#/components/schemas/{name}"
RETRIED = (429, 503)
"""Statuses whose answer may carry Retry-After."""

_PART = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")

ABOUT = """\
Every error is answered as `{"detail": "…"}`, which names the parameter, its value and what is accepted. Times are \
ISO 8601 in UTC. Lists have `limit` and `offset`, newest first unless said otherwise. Parameters nobody knows are \
ignored. What is streamed over WebSockets is described by `/asyncapi.json`."""

SECURITY: Mapping[str, dict[str, str]] = {
    USER: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key made by `listen token create`, as `Authorization: Bearer omi_dev_…`. On a server in"
        " development mode (`auth = dev`, loopback only) `dev:<uid>` does as well.",
    },
    DEVELOPER: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `/v1/dev/keys` or `listen token create`, as `Authorization: Bearer omi_dev_…`. One"
        " with scopes needs `…:read` of what the route is about (conversations, memories, action_items or goals), and"
        " `…:write` for what is no GET.",
    },
    APP: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of the app, made by `listen app key create`, as `Authorization: Bearer sk_…`. The user"
        " named by `uid` must have enabled the app.",
    },
    "development": {
        "type": "apiKey",
        "in": "query",
        "name": "uid",
        "description": "In development mode only: the user. Elsewhere it may be given and must be the token's own.",
    },
}


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What every error is answered with."""

    detail: str


def statuses(route: Route) -> Sequence[int]:
    """Every status that an operation may answer, the good one first."""
    may = {503, *route.errors}
    if not route.public:
        may |= {401, 403, 429}
    if _PART.search(route.path):
        may |= {404, 422}
    if route.query is not None:
        may.add(422)
    if route.body is not None:
        may |= {400, 408, 413, 422}
    if route.takes:
        may |= {408, 413, 422}
    if route.creates:
        may |= {409, 422}
    return [route.status, *sorted(may)]


def openapi_document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document."""
    routes = sorted(routes, key=lambda route: (route.path, route.method))
    carried = [kind for route in routes for kind in (route.body, route.answer) if kind is not None]
    asked = [route.query for route in routes if route.query is not None]
    types = [ErrorAnswer, *carried, *asked]
    found, components = msgspec.json.schema_components(types, ref_template=SCHEMAS)
    schemas = dict(zip(map(_key, types), found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = paths.setdefault(_PART.sub(r"{\g<name>}", route.path), {})
        path[route.method.lower()] = _operation(route, schemas, components)
    for kind in set(asked) - {kind for kind in carried if isinstance(kind, type)}:
        components.pop(_name(schemas[_key(kind)]), None)  # said parameter by parameter
    document = {
        "openapi": OPENAPI,
        "info": {"title": "listen-engine", "version": version, "description": ABOUT},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": {str(status): _error(status) for status in MEANINGS},
            "securitySchemes": dict(SECURITY),
            "headers": {"RetryAfter": _RETRY_AFTER},
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))  # defaults may be tuples
    return plain


_RETRY_AFTER = {
    "description": "Seconds after which to try again.",
    "schema": {"type": "integer", "minimum": 1},
}


def _key(kind: Any) -> str:
    # Types such as list[X] are equal without being the same object, and not all of them can be hashed.
    return f"{kind!r}"


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _operation(
    route: Route, schemas: Mapping[str, Any], components: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "security": _security(route),
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(route, schemas, components),
            *_header_parameters(route),
        ],
        "responses": {str(status): _response(route, status, schemas) for status in statuses(route)},
    }
    if route.body is not None:
        schema = schemas[_key(route.body)]
        operation["requestBody"] = {
            "required": bool(components.get(_name(schema), schema).get("required")),
            "content": {"application/json": {"schema": schema}},
        }
        if route.form is not None:
            operation["requestBody"]["description"] = (
                f"Also as `multipart/form-data`, this JSON in the field `{route.form}`, and a picture in `file`."
            )
    elif route.takes:
        content = {"schema": {"type": "string", "contentMediaType": route.takes}}
        operation["requestBody"] = {"required": False, "content": {route.takes: content}}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.public:
        return []
    schemes = [route.security] if route.security == APP else [route.security, "development"]
    return [{scheme: []} for scheme in schemes]


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": part["name"],
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 0} if part["converter"] == "int" else {"type": "string"},
        }
        for part in _PART.finditer(route.path)
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if not route.creates:
        return []
    return [
        {
            "name": HEADER,
            "in": "header",
            "description": "The same request under the same key is done once and answered alike every time.",
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS, "pattern": "^[ -~]+$"},
        }
    ]


def _query_parameters(
    route: Route, schemas: Mapping[str, Any], components: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    properties = components[_name(schemas[_key(route.query)])]["properties"]
    return [
        _query_parameter(field, kind, properties[field.encode_name])
        for field, kind in query_fields(route.query)
    ]


def _query_parameter(field: inspect.Field, kind: inspect.Type, schema: Mapping[str, Any]) -> dict[str, Any]:
    schema = dict(schema)
    parameter: dict[str, Any] = {"name": field.encode_name, "in": "query"}
    if field.required:
        parameter["required"] = True
    options = [option for option in schema.pop("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        schema |= options[0]
    elif options:
        schema["anyOf"] = options
    if schema.get("default", "") is None:
        del schema["default"]
    if isinstance(kind, inspect.DateTimeType):
        schema["format"] = "date-time"
    if isinstance(kind, inspect.VarTupleType):
        parameter |= {"style": "form", "explode": False}
    if description := schema.pop("description", None):
        parameter["description"] = description
    return {**parameter, "schema": schema}


def _response(route: Route, status: int, schemas: Mapping[str, Any]) -> dict[str, Any]:
    if status != route.status:
        return {"$ref": f"#/components/responses/{status}"}
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if route.media != "application/json":
        response["content"] = {route.media: {}}
    elif route.answer is not None:
        response["content"] = {route.media: {"schema": schemas[_key(route.answer)]}}
    return response


def _error(status: int) -> dict[str, Any]:
    schema = {"$ref": SCHEMAS.format(name=ErrorAnswer.__name__)}
    response = {"description": MEANINGS[status], "content": {"application/json": {"schema": schema}}}
    if status in RETRIED:
        response["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    return response
