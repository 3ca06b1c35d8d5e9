"""What holds for every route, read from the OpenAPI document."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.web.serving import site

Document = Mapping[str, Any]

BOUNDED = {
    "app_access_get_app_keys",  # as many as an app may have
    "app_access_get_enabled_apps",  # ids alone, of as many as there are apps
    "app_catalog_get_capabilities",  # always the same
    "app_catalog_get_categories",  # always the same
    "app_catalog_get_scopes",  # always the same
    "conversations_get_files",  # as many as a conversation may have
    "conversations_get_photos",  # as many as a conversation may have
    "developer_folders_get_every",  # as many as a user may have
    "developer_goals_get_history",  # of so many days
    "developer_keys_get_every",  # as many as a user may have
    "folders_get_all_folders",  # as many as a user may have
    "goals_get_history",  # of so many days
    "speech_profile_get_samples",  # as many as are kept of a voice
}
"""Lists without pages, because they cannot grow long."""


async def document(tmp_path: Path) -> Any:
    async with site(tmp_path) as served:
        return (await served.get("/openapi.json")).json()


def operations(described: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def resolved(described: Document, schema: Document) -> Document:
    while "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def lists(described: Document, operation: Document) -> bool:
    """Whether the answer is a list, or one in an envelope."""
    content = operation["responses"]["200"].get("content", {}).get("application/json", {})
    schema = resolved(described, content.get("schema", {}))
    fields = [resolved(described, field) for field in schema.get("properties", {}).values()]
    return (
        schema.get("type") == "array"
        or "has_more" in schema.get("properties", {})
        or (len(fields) == 1 and fields[0].get("type") == "array")
    )


async def test_what_the_document_refers_to_is_in_it(tmp_path: Path) -> None:
    described = await document(tmp_path)
    for reference in references(described):
        found: Any = described
        for step in reference.removeprefix("#/").split("/"):
            assert step in found, reference
            found = found[step]
    schemes = described["components"]["securitySchemes"]
    for _, _, operation in operations(described):
        for way in operation["security"]:
            assert way.keys() <= schemes.keys()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


async def test_every_list_of_a_users_things_comes_in_pages(tmp_path: Path) -> None:
    described = await document(tmp_path)
    found = set()
    for _, method, operation in operations(described):
        if method == "GET" and "200" in operation["responses"] and lists(described, operation):
            names = {parameter["name"] for parameter in operation["parameters"]}
            if not {"limit", "offset"} <= names:
                found.add(operation["operationId"])
            for parameter in operation["parameters"]:
                if parameter["name"] == "limit":
                    assert parameter["schema"].get("maximum"), operation["operationId"]
    assert found == BOUNDED


async def test_every_operation_is_said_in_a_sentence_under_a_name_of_its_own(tmp_path: Path) -> None:
    described = await document(tmp_path)
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(described):
        assert operation["summary"][0].isupper(), (method, path)
        assert not operation["summary"].endswith("."), (method, path)


async def test_whoever_does_not_say_who_they_are_gets_nothing_but_what_is_public(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        described = (await served.get("/openapi.json", uid=None)).json()
        for path, method, operation in operations(described):
            answer = await served.request(method, re.sub(r"\{\w+\}", "0", path), uid=None)
            refused = answer.status_code == 401
            assert refused == bool(operation["security"]), f"{method} {path}: {answer.status_code}"
            if refused:
                assert answer.json().keys() == {"detail"}
                assert answer.headers["www-authenticate"] == "Bearer"
