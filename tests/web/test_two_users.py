"""One user calls every route with another's ids: nothing of the other is told, nothing of the other is changed.

The routes, and what they take, are read from the OpenAPI document, so that a new one is walked too, or fails the test
until it can be: it may need a value that its schema does not tell (`SAMPLES`), or an id that nobody has named
(`tests.web.filling.identifiers`).
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import trio
from sqlalchemy.engine import Engine

from engine.store import Store
from engine.store.database import open_engine
from tests.web.filling import UNFILLED, fill, identifiers, kept
from tests.web.serving import Site, site

ANN, BOB = "ann", "bob"
SECRET = "quokka"
"""In every text of Bob's."""

STRANGE = "strange"
"""An app that Bob has not enabled."""

SAMPLES = {"language": "de", "time_zone": "Europe/Berlin"}
"""Values by the name of a parameter or field, where not just any text is accepted."""

METHODS = ("get", "post", "put", "patch", "delete")
Document = Mapping[str, Any]


class Call:
    """An operation with all that it takes, as the owner of `ids` would make it."""

    def __init__(
        self, document: Document, method: str, path: str, operation: Document, ids: Mapping[str, str]
    ) -> None:
        self.name: str = operation["operationId"]
        self.method = method.upper()
        self.path = path
        self.public = not operation["security"]
        self.by_app = operation["security"] == [{"app": []}]
        self.query: dict[str, Any] = {}
        self.body: Any = None
        for parameter in operation["parameters"]:
            name = parameter["name"]
            if parameter["in"] == "path":
                self.path = self.path.replace(f"{{{name}}}", self._part(parameter, ids))
            elif parameter.get("required") or name in ids:
                self.query[name] = _sample(document, parameter["schema"], name, ids)
        if "requestBody" in operation:
            (content,) = operation["requestBody"]["content"].values()
            self.body = _sample(document, content["schema"], "", ids)
        self.names_a_thing = self.path != path

    def _part(self, parameter: Document, ids: Mapping[str, str]) -> str:
        if parameter["schema"]["type"] == "integer":
            return "0"
        assert parameter["name"] in ids, f"{self.name}: say in identifiers() what {parameter['name']} is"
        return ids[parameter["name"]]

    async def make(self, served: Site, uid: str, app_key: str) -> httpx2.Response:
        """The answer `uid` gets, or an app with its key."""
        json = {} if self.body is None else {"json": self.body}
        if self.by_app:
            headers = {"Authorization": f"Bearer {app_key}"}
            return await served.client.request(
                self.method, self.path, headers=headers, params=self.query, **json
            )
        return await served.request(self.method, self.path, uid=uid, params=self.query, **json)


def _sample(document: Document, schema: Document, name: str, ids: Mapping[str, str]) -> Any:
    """A value that fits; `name` is what it is the value of."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return _sample(document, schema["anyOf"][0], name, ids)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            properties: Document = schema.get("properties", {})
            return {key: _sample(document, value, key, ids) for key, value in properties.items()}
        case "array":
            if schema.get("maxItems") == 0:
                return []
            each = schema["items"], name.removesuffix("s")
            own = [_sample(document, *each, identifiers(ANN))] * (schema.get("minItems", 1) - 1)
            return [_sample(document, *each, ids), *own]
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
    if name in ids or name in SAMPLES:
        return {**SAMPLES, **ids}[name]
    return "2026-11-21T20:18:00Z" if name.endswith(("_at", "date", "start", "end")) else "a walk in the park"


def calls(document: Document, ids: Mapping[str, str]) -> Iterator[Call]:
    """Every operation; those that delete come last."""
    found = [
        Call(document, method, path, operations[method], ids)
        for path, operations in document["paths"].items()
        for method in METHODS
        if method in operations
    ]
    return iter(sorted(found, key=lambda call: call.method == "DELETE"))


@asynccontextmanager
async def filled(tmp_path: Path) -> AsyncIterator[tuple[Site, Engine, Document]]:
    """A server that has one of everything of Ann's and of Bob's."""
    async with site(tmp_path, filled=partial(_fill, tmp_path)) as served:
        engine = await trio.to_thread.run_sync(open_engine, tmp_path, 5.0, "")
        try:
            yield served, engine, (await served.get("/openapi.json")).json()
        finally:
            engine.dispose()


async def _fill(tmp_path: Path, store: Store) -> None:
    def both() -> None:
        engine = open_engine(tmp_path, 5.0, "")
        fill(engine, ANN, "heron")
        fill(engine, BOB, SECRET)
        engine.dispose()

    await trio.to_thread.run_sync(both)


async def test_nothing_of_one_user_is_told_to_another_or_changed_by_another(tmp_path: Path) -> None:
    wrong = []
    async with filled(tmp_path) as (served, engine, document):
        before = kept(engine, BOB)
        assert all(rows for table, rows in before.items() if table not in UNFILLED)
        strange = await served.store.apps.create_key(STRANGE, ANN)
        for call in calls(document, identifiers(BOB) | {"app_id": STRANGE}):
            answer = await call.make(served, ANN, strange)
            expected = 404 if call.names_a_thing else REFUSED.get(call.name, answer.status_code)
            if call.by_app:
                expected = 403
            walked = answer.status_code == expected and (
                answer.status_code not in (400, 405, 422, 429) or call.name in REFUSED
            )
            if SECRET in answer.text or answer.status_code >= 500 or not walked:
                wrong.append(f"{call.name}: {answer.status_code} {answer.text[:300]}")
        assert not wrong, "\n".join(wrong)
        assert kept(engine, BOB) == before


async def test_what_is_shared_is_told_by_its_public_route_alone_and_changed_by_nobody_else(
    tmp_path: Path,
) -> None:
    told = {}
    async with filled(tmp_path) as (served, engine, document):
        ids = identifiers(BOB) | {"app_id": STRANGE}
        strange = await served.store.apps.create_key(STRANGE, ANN)
        path = f"/v1/conversations/{ids['conversation_id']}/visibility"
        assert (await served.request("PATCH", path, uid=BOB, params={"value": "shared"})).status_code == 200
        before = kept(engine, BOB)
        for call in calls(document, ids):
            answer = await call.make(served, ANN, strange)
            if SECRET in answer.text:
                told[call.name] = answer.text
        assert kept(engine, BOB) == before
    assert told.keys() == {"conversations_get_shared"}
    assert f'"{BOB}"' not in told["conversations_get_shared"]


async def test_the_same_calls_give_their_owner_what_is_theirs(tmp_path: Path) -> None:
    """So that the walk above is known to ask for what is there."""
    wrong = []
    async with filled(tmp_path) as (served, _, document):
        key = await served.store.apps.create_key(identifiers(BOB)["app_id"], ANN)
        for call in calls(document, identifiers(BOB)):
            if call.method == "GET" and not call.public:
                answer = await call.make(served, BOB, key)
                if answer.status_code != 200 or not (SECRET in answer.text or call.name in WITHOUT_TEXT):
                    wrong.append(f"{call.name}: {answer.status_code} {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)


REFUSED = {"folders_post_reorder": 422}
"""Operations that take ids in their body alone, and how those of another user are refused."""

WITHOUT_TEXT = {
    "conversations_get_count",
    "conversations_get_recording",
    "conversations_get_suggested_apps",
    "developer_goals_get_history",
    "goals_get_history",
    "processing_get_finalization",
    "settings_get_cloud_sync",
    "settings_get_language",
    "settings_get_recording",
    "usage_get_read",
}
"""Operations whose answer says nothing that the user said."""
