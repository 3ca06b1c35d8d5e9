"""One request: who it goes to now, how it is signed, what came of it, and who acts on the answer.

Operations: `attempt` makes one; `when_answered` names who is told of answers.
Invariants: nothing is sent to an endpoint that its owner has turned off. A request carries its delivery's id.
Bounded: by who calls; a body is in memory while it is sent.
Cancellation: cuts the request off; its endpoint may have taken it.
"""

from collections.abc import Callable
from typing import Protocol

import trio

from engine._config_webhooks import Webhook
from engine.log import get_logger
from engine.moments import SECOND
from engine.store.errors import DatabaseUnavailable
from engine.store.webhook_records import DeliveryRow
from engine.webhooks.client import Answer, NoAnswer, WebhookClient
from engine.webhooks.judging import LIVE, Attempt, retry_after
from engine.webhooks.metrics import DeliveryMetrics
from engine.webhooks.ports import Answered, Endpoint, Spool
from engine.webhooks.receiver.positions import POSITION, SESSION
from engine.webhooks.signing import signed_headers
from engine.webhooks.spooled import Spooled
from engine.webhooks.urls import with_query

__all__ = ["Sender"]

log = get_logger(__name__)


class Directory(Protocol):
    """Who is where; `engine.webhooks.directory` implements it."""

    async def endpoint(self, uid: str, name: str, trigger: str) -> Endpoint | None:
        """One of a user's endpoints, or None when they have none of that name."""
        ...

    def forget(self, uid: str) -> None:
        """What the user has set is another by now."""
        ...


class Sender:
    """One per process. `now`: µs since the epoch."""

    def __init__(
        self,
        directory: Directory,
        spool: Spool,
        client: WebhookClient,
        settings: Webhook,
        now: Callable[[], int],
        meter: DeliveryMetrics,
    ) -> None:
        self._directory = directory
        self._spool = spool
        self._client = client
        self._settings = settings
        self._now = now
        self._meter = meter
        self._answered: list[Answered] = []

    def when_answered(self, who: Answered) -> None:
        """Tell `who` what endpoints answer."""
        self._answered.append(who)

    async def attempt(self, delivery: DeliveryRow) -> Attempt:
        """Make one request. Raises `DatabaseUnavailable` before it is made."""
        endpoint = await self._find(delivery)
        began, at = trio.current_time(), self._now()
        if endpoint is None:
            reason = "the endpoint is off, or not there any more"
            return Attempt(at=at, milliseconds=0, size=0, kind="off", reason=reason)
        answer, kind, reason = None, "", ""
        try:
            answer = await self._send(endpoint, delivery, at)
        except NoAnswer as error:
            kind, reason = error.kind, str(error)
        except FileNotFoundError:
            kind, reason = "spool", "the audio is not kept any more (webhook.audio_keep, webhook.spool_mib)"
        except OSError as error:
            kind, reason = "disk", f"the audio cannot be read: {error.strerror}"
        except Exception as error:
            # One delivery that we cannot make must not keep others from being made.
            log.error("webhooks.failed", trigger=delivery.trigger, exc_info=error)
            kind, reason = "error", f"internal error: {type(error).__name__}"
        seconds = trio.current_time() - began
        attempt = Attempt(
            at=at,
            milliseconds=round(seconds * 1000),
            size=delivery.size,
            status=answer.status if answer else None,
            kind=kind,
            reason=reason,
            retry_after=retry_after(answer.headers, self._now() / SECOND) if answer else None,
        )
        self._meter.requested(
            delivery.uid, delivery.trigger, delivery.endpoint, attempt.outcome, delivery.size, seconds
        )
        if answer is not None and attempt.worked:
            await self._tell(endpoint, delivery, answer)
        return attempt

    async def _find(self, delivery: DeliveryRow) -> Endpoint | None:
        """What is remembered may be older than the delivery: another process may have turned the endpoint on."""
        where = (delivery.uid, delivery.endpoint, delivery.trigger)
        found = await self._directory.endpoint(*where)
        if found is None:
            self._directory.forget(delivery.uid)
            found = await self._directory.endpoint(*where)
        return found

    async def _send(self, endpoint: Endpoint, delivery: DeliveryRow, at: int) -> Answer:
        def signed(body: bytes) -> dict[str, str]:
            return signed_headers(delivery.id, body, endpoint.secrets, at // SECOND)

        if delivery.file is None:
            body = delivery.body or b""
            headers = signed(body)
        else:  # audio takes long to sign
            body, headers = await self._spool.made_of(delivery.file, signed)
            if (place := Spooled.read(delivery.file)) is not None:
                headers |= {SESSION: place.session, POSITION: str(place.position)}
        return await self._client.send(
            "POST",
            with_query(endpoint.url, delivery.query),
            body=body,
            headers={"Content-Type": delivery.content_type, **headers},
            timeout=self._settings.live_timeout if delivery.trigger in LIVE else self._settings.timeout,
        )

    async def _tell(self, endpoint: Endpoint, delivery: DeliveryRow, answer: Answer) -> None:
        for who in self._answered:
            try:
                await who.answered(endpoint, delivery, answer.status, answer.body)
            except DatabaseUnavailable as error:
                log.warning("webhooks.answer_lost", trigger=delivery.trigger, error=str(error))
            except Exception as error:
                # What an endpoint answers must not keep its next delivery from being made.
                log.error("webhooks.answer_failed", trigger=delivery.trigger, exc_info=error)
