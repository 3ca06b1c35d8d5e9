"""Apps on a whole server: what they are told, what they answer, and whom they reach."""

from pathlib import Path
from typing import Any

import httpx2
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook as Verifier

from engine.config import Webhook
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words
from engine.wire.messages import ProactiveMessage
from tests.e2e.process import started
from tests.e2e.running import Api, Shown, config, hear_all, running, talking
from tests.web.apps import MAKER, submission
from tests.webhooks.receiving import Connection, Received, receiver

TELLERS = 30
"""Requests of which both workers have had one: the kernel deals them out as if by lot."""


class App:
    """An app that Ada has enabled."""

    def __init__(self, server: Api, id: str) -> None:
        self.server = server
        self.id = id

    async def ask(self, method: str, path: str, uid: str = "ada", **query: Any) -> httpx2.Response:
        answer = await self.server._http.request(method, path, params={"uid": uid, **query})
        assert answer.status_code == 200, answer.text
        return answer

    async def key(self) -> str:
        made: str = (await self.ask("POST", f"/v1/apps/{self.id}/keys", MAKER)).json()["secret"]
        return made

    async def notify(self, key: str, message: str) -> None:
        """Over a connection of its own, so that any worker may take it."""
        path = f"/v2/integrations/{self.id}/notification"
        headers = {"Authorization": f"Bearer {key}", "Connection": "close"}
        query = {"uid": "ada", "message": message}
        answer = await self.server._http.post(path, params=query, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})

    async def chat(self) -> list[str]:
        """What was kept in its chat with Ada, newest first."""
        kept = (await self.ask("GET", "/v2/messages", app_id=self.id)).json()
        return [message["text"] for message in kept]


async def enabled(server: Api, **said: Any) -> App:
    answer = await server._http.post("/v1/apps", params={"uid": MAKER}, json=submission(**said))
    assert answer.status_code == 200, answer.text
    app = App(server, answer.json()["app_id"])
    await app.ask("POST", "/v1/apps/enable", app_id=app.id)
    return app


def told(shown: Shown) -> list[ProactiveMessage]:
    return [event for event in shown.events if isinstance(event, ProactiveMessage)]


async def test_an_app_is_told_of_a_conversation_and_its_answer_is_a_message_of_its_chat(
    tmp_path: Path,
) -> None:
    async def answer(connection: Connection, request: Received) -> None:
        said = b'{"is_setup_completed": true}' if request.method == "GET" else b'{"message": "Filed it."}'
        await connection.send(200, said)

    settings = replace(config(tmp_path), webhook=Webhook(allow=("127.0.0.0/8",)))
    async with receiver(answer) as there, running(settings, ScriptedVendor(counted_words())) as server:
        integration = {
            "triggers_on": "memory_creation",
            "webhook_url": there.url("/memory?a=1"),
            "setup_completed_url": there.url("/setup"),
        }
        app = await enabled(server, capabilities=["external_integration"], external_integration=integration)
        secret = (await app.ask("GET", f"/v1/apps/{app.id}/secret", MAKER)).json()["secret"]
        given = {"text": "I have to renew my passport before the trip."}
        await server._http.post("/v1/dev/user/conversations", params={"uid": "ada"}, json=given)
        await there.until(2)
        setup, memory = there.requests
        assert (setup.target, memory.target) == ("/setup?uid=ada", "/memory?a=1&uid=ada")
        body = Verifier(secret).verify(memory.body, dict(memory.headers))
        (conversation,) = await server.conversations("ada")
        assert body["id"] == conversation["id"]
        await server.log.until("app.message_kept")
        assert await app.chat() == ["Filed it."]
        (message,) = (await app.ask("GET", "/v2/messages", app_id=app.id)).json()
        assert message["memories_id"] == [conversation["id"]]


async def test_a_notification_reaches_a_live_session_or_waits_in_the_chat(tmp_path: Path) -> None:
    async with running(config(tmp_path), ScriptedVendor(counted_words())) as server:
        app = await enabled(server, name="Notes")
        key = await app.key()
        async with talking(server.url, "ada") as (client, shown):
            await hear_all(client, shown, [bytes(SAMPLE_RATE * 2)])
            await app.notify(key, "Drink some water.")
            await shown.until(told)
            assert told(shown) == [ProactiveMessage(app.id, "Notes", "Drink some water.")]
        assert await app.chat() == []
        await server.log.until("session.ended")
        await app.notify(key, "Go to bed.")
        assert await app.chat() == ["Go to bed."]
        for number in range(8):
            await app.notify(key, f"Message {number}")
        path = f"/v2/integrations/{app.id}/notification?uid=ada&message=x"
        refused = await server._http.post(path, headers={"Authorization": f"Bearer {key}"})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 60


async def test_of_two_workers_the_one_that_has_the_session_tells_it(tmp_path: Path) -> None:
    settings = {"LISTEN_WORKERS": 2, "LISTEN_APPS_NOTIFICATIONS_PER_HOUR": 100}
    async with started(tmp_path, **settings) as server:
        app = await enabled(server)
        key = await app.key()
        async with talking(server.url, "ada") as (client, shown):
            await hear_all(client, shown, [bytes(SAMPLE_RATE * 2)])
            for number in range(TELLERS):
                await app.notify(key, f"Message {number}")
            await shown.until(lambda seen: len(told(seen)) == TELLERS)
            assert [event.message for event in told(shown)] == [f"Message {n}" for n in range(TELLERS)]
            assert await app.chat() == []
            await client.close()
        told_by = await server.log.until("app.told", count=TELLERS)
        assert {line["worker"] for line in told_by} == {0, 1}
        assert await server.terminate() == 0
