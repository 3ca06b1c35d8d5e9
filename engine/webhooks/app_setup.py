"""What is asked of an app's own server before its users may enable it: whether it is set up, and what tools it has."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from engine.store.app_registry import AppRow
from engine.webhooks.client import Answer, NoAnswer
from engine.webhooks.submission import ChatTool, ExternalIntegration, Manifest
from engine.webhooks.urls import with_query
from engine.wire.refusal import printable

__all__ = ["AppSetup", "Http", "NotToBeHad", "integration_of"]

SAID = 200
"""Characters of a refusal that are shown."""


class Http(Protocol):
    """Requests to addresses that users have given; `engine.webhooks.client` implements it."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Raises `NoAnswer`."""
        ...

    async def check(self, url: str) -> str | None:
        """What is wrong with a URL, as the end of a sentence; None: nothing that is known now."""
        ...


class NotToBeHad(Exception):
    """The app's server did not answer, or not what it should. The text says which."""


def integration_of(app: AppRow) -> ExternalIntegration:
    """What it says of its server, which may be nothing."""
    return msgspec.convert(app.external_integration or {}, ExternalIntegration)


class AppSetup:
    """Asks apps' servers, each within `timeout` seconds."""

    def __init__(self, http: Http, timeout: float) -> None:
        self._http = http
        self._timeout = timeout

    async def completed(self, integration: ExternalIntegration, uid: str) -> bool:
        """Whether the user may enable the app: it says so, or wants nothing set up. Raises `NotToBeHad`."""
        if not integration.setup_completed_url:
            return True
        said = await self._get(with_query(integration.setup_completed_url, {"uid": uid}))
        if not isinstance(said, dict) or not isinstance(said.get("is_setup_completed"), bool):
            raise NotToBeHad('it did not answer {"is_setup_completed": true} or false')
        return bool(said["is_setup_completed"])

    async def tools(self, manifest_url: str) -> list[ChatTool]:
        """The tools that the app offers to chats. Raises `NotToBeHad`."""
        said = await self._get(manifest_url)
        try:
            return msgspec.convert(said, Manifest).tools
        except msgspec.ValidationError as error:
            raise NotToBeHad(f"what it answered is no manifest: {error}") from None

    async def wrong_with(self, urls: Sequence[str]) -> str | None:
        """Why one of these addresses cannot be asked, as "URL is not accepted: …"; None: nothing that is known now."""
        hosts = {urlsplit(url)[:2]: url for url in urls}
        for url in hosts.values():
            if wrong := await self._http.check(url):
                return f"{printable(url)} is not accepted: {wrong}"
        return None

    async def _get(self, url: str) -> Any:
        try:
            answer = await self._http.send(
                "GET", url, headers={"Accept": "application/json"}, timeout=self._timeout
            )
        except NoAnswer as error:
            raise NotToBeHad(str(error)[:SAID]) from None
        if answer.status != 200:
            raise NotToBeHad(f"it answered {answer.status}")
        if answer.cut:
            raise NotToBeHad("its answer was too long")
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, RecursionError):
            raise NotToBeHad("its answer is not JSON") from None
