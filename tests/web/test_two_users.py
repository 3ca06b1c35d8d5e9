"""One user calls every route with another's ids: nothing of the other is told, nothing of the other is changed.

The routes, and what they take, are read from the OpenAPI document, so that a new one is walked too, or fails the test
until it can be: it may need a value that its schema does not tell (`SAMPLES`), or an id that nobody has named
(`tests.web.filling.identifiers`).
"""

import base64
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import trio
from sqlalchemy.engine import Engine

from engine.config import Receiver
from engine.store import Store
from engine.store.database import open_engine
from tests.web.filling import UNFILLED, fill, identifiers, kept
from tests.web.serving import Site, site

ANN, BOB = "ann", "bob"
OWN, SECRET = "heron", "quokka"
"""In every text of Ann's, and of Bob's."""

STRANGE = "strange"
"""An app that Bob has not enabled."""

SHARED_WORDS = "segments text"
"""In texts of both: whoever looks for them finds what is theirs."""

SAMPLES = {
    "language": "de",
    "time_zone": "Europe/Berlin",
    "date": "2023-11-14",
    "since": "2023-11-14T00:00:00Z",
    "until": "2023-11-14T00:00:00Z",
    "trigger": "memory_created",
    "url": "https://93.184.216.34/hook",
}
"""Values by the name of a parameter or field, where not just any text is accepted."""

CHOICES = {"type"}
"""Parts of a path that every user has."""

METHODS = ("get", "post", "put", "patch", "delete")
Document = Mapping[str, Any]


class Call:
    """An operation with all that it takes, as the owner of `ids` would make it.

    `bare`: without what may be left out of the query, and of what is posted.
    """

    def __init__(
        self,
        document: Document,
        method: str,
        path: str,
        operation: Document,
        ids: Mapping[str, str],
        *,
        bare: bool,
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
            elif parameter.get("required") or (name in ids and not bare):
                self.query[name] = _sample(document, parameter["schema"], name, ids)
        if "requestBody" in operation:
            (content,) = operation["requestBody"]["content"].values()
            self.body = _sample(document, content["schema"], "", ids, bare=bare and method == "post")
        self.names_a_thing = not set(re.findall(r"{(\w+)}", path)) <= CHOICES

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


def _sample(
    document: Document, schema: Document, name: str, ids: Mapping[str, str], *, bare: bool = False
) -> Any:
    """A value that fits; `name` is what it is the value of. `bare`: with the fields alone that must be there."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return _sample(document, schema["anyOf"][0], name, ids)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            fields: Document = schema.get("properties", {})
            wanted = schema.get("required", ()) if bare else fields
            return {key: _sample(document, fields[key], key, ids) for key in wanted}
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
    if not re.search(schema.get("pattern", ""), SHARED_WORDS):
        return SHARED_WORDS.replace(" ", "_")
    return "2026-11-21T20:18:00Z" if name.endswith(("_at", "date", "start", "end")) else SHARED_WORDS


def calls(document: Document, ids: Mapping[str, str]) -> Iterator[Call]:
    """Every operation; those that delete come last."""
    found = []
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                one, other = (
                    Call(document, method, path, operations[method], ids, bare=bare) for bare in (False, True)
                )
                found += [one, other] if (one.query, one.body) != (other.query, other.body) else [one]
    return iter(sorted(found, key=lambda call: call.method == "DELETE"))


@asynccontextmanager
async def filled(tmp_path: Path) -> AsyncIterator[tuple[Site, Engine, Document]]:
    """A server that has one of everything of Ann's and of Bob's."""
    receiver = Receiver(retention_days=0)  # what is there is older than is kept otherwise
    async with site(tmp_path, filled=partial(_fill, tmp_path), receiver=receiver) as served:
        engine = await trio.to_thread.run_sync(open_engine, tmp_path, 5.0, "")
        try:
            yield served, engine, (await served.get("/openapi.json")).json()
        finally:
            engine.dispose()


async def _fill(tmp_path: Path, store: Store) -> None:
    def both() -> None:
        engine = open_engine(tmp_path, 5.0, "")
        fill(engine, ANN, OWN)
        fill(engine, BOB, SECRET)
        engine.dispose()

    await trio.to_thread.run_sync(both)


async def test_nothing_of_one_user_is_told_to_another_or_changed_by_another(tmp_path: Path) -> None:
    wrong: list[str] = []
    searched: set[str] = set()
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
            said = readable(answer)
            searched |= {call.name} if call.name in SEARCHES and SHARED_WORDS in said else set()
            if SECRET in said or answer.status_code >= 500 or not walked:
                wrong.append(f"{call.name}: {answer.status_code} {answer.text[:300]}")
        assert not wrong, "\n".join(wrong)
        assert searched == SEARCHES
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
            if SECRET in readable(answer):
                told[call.name] = answer.text
        assert kept(engine, BOB) == before
    assert told.keys() == {"conversations_get_shared"}
    assert f'"{BOB}"' not in told["conversations_get_shared"]


async def test_the_same_calls_give_their_owner_what_is_theirs(tmp_path: Path) -> None:
    """So that the walk above is known to ask for what is there."""
    told: dict[str, list[str]] = {}
    async with filled(tmp_path) as (served, _, document):
        key = await served.store.apps.create_key(identifiers(BOB)["app_id"], ANN)
        for call in calls(document, identifiers(BOB)):
            if call.method == "GET" and not call.public:
                answer = await call.make(served, BOB, key)
                assert answer.status_code == 200, f"{call.name}: {answer.status_code} {answer.text[:300]}"
                told.setdefault(call.name, []).append(answer.text)
    silent = {name for name, answers in told.items() if not any(SECRET in answer for answer in answers)}
    assert silent == WITHOUT_TEXT


def readable(answer: httpx2.Response) -> str:
    """All that an answer says: the last line of a chat's is in base64."""
    hidden = [line.removeprefix("done: ") for line in answer.text.splitlines() if line.startswith("done: ")]
    return "\n".join([answer.text, *(base64.b64decode(line).decode() for line in hidden)])


SEARCHES = {"chat_post_send_message", "search_post_search_conversations"}
"""Operations that look among all that a user has for words that are in Bob's texts as well as in Ann's."""

REFUSED = {
    "apps_post_register": 422,
    "folders_post_reorder": 422,
    "receiver_post_receive_audio": 422,
    "speech_profile_delete_forget_sample": 422,
    "speech_profile_post_extend": 422,
    "speech_profile_post_upload": 422,
    "voice_post_transcribe_voice": 422,
    "voice_post_send_voice": 422,
}
"""Operations that take ids in their body alone, and how those of another user are refused; and those that want a file
or addresses, which are nobody's.
"""

WITHOUT_TEXT = {
    "app_access_get_enabled_apps",
    "app_access_get_setup_of",
    "app_catalog_get_capabilities",
    "app_catalog_get_categories",
    "app_catalog_get_scopes",
    "conversations_get_count",
    "conversations_get_files",
    "conversations_get_suggested_apps",
    "day_summaries_get_settings",
    "developer_goals_get_history",
    "goals_get_history",
    "processing_get_finalization",
    "recordings_get_audio",
    "recordings_get_page",
    "recordings_get_pieces",
    "recordings_get_recording",
    "received_get_get_status",
    "settings_get_cloud_sync",
    "settings_get_language",
    "settings_get_recording",
    "speech_profile_get_available",
    "speech_profile_get_has_profile",
    "speech_profile_get_link",
    "speech_profile_get_samples",
    "speech_profile_get_speaker_of",
    "speech_profile_get_status",
}
"""Operations whose answer says nothing that the user said."""
