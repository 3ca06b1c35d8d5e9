"""Sends what was offered: takes endpoints that are due, and works through what each is to be told.

Operations: `run` works until cancelled; `wake` says that there is something to send; `drain` lets what is being sent
end and begins nothing more; `when_disabled` names who is told of endpoints that are turned off.
Invariants: an endpoint is worked on by one task of one process at a time, which alone decides on order, concurrency,
rate and pauses. What came of a request is written down before the next of an ordered endpoint is made. A request is
made under its delivery's id however often it is made.
Bounded: `webhook.endpoints` endpoints at once, `webhook.concurrency` requests to each. Audio that is due for many at
once is sent to one after the other, within `webhook.audio_spread`: live sessions share the loop.
Cost: two commits a delivery besides the offer, those of a tenth of a second together; a look every third of
`webhook.claim_time` while nothing is to be done.
Cancellation: requests are cut off and endpoints let go of, which takes a write; what was cut off is sent again, by
whoever comes next.
"""

import math
import random
from collections.abc import Callable, Collection, Sequence
from typing import Protocol
from uuid import uuid4

import msgspec
import trio

from engine._config_webhooks import Webhook
from engine.log import get_logger
from engine.moments import SECOND
from engine.store.deliveries import Claiming, Result, Step
from engine.store.errors import DatabaseUnavailable
from engine.store.webhook_records import DEAD, DROPPED, PENDING, DeliveryRow, WebhookRow
from engine.stt.backoff import Backoff
from engine.webhooks.held import Held
from engine.webhooks.judging import LIVE, judge
from engine.webhooks.metrics import DeliveryMetrics
from engine.webhooks.sending import Sender
from engine.webhooks.spreading import Spread
from engine.webhooks.triggers import AUDIO_BYTES
from engine.webhooks.upkeep import Log, Upkeep

__all__ = ["Delivery", "DeliveryStatistics", "Disabled"]

log = get_logger(__name__)

LOOKS = 3
"""Times within `claim_time` that a claim is renewed, and that a process looks whether others left something."""
GATHER = 0.1
"""Seconds between two looks for endpoints that are due, in which others become due that are taken with them; and from
one writing down of results to the next, so that those of many endpoints are one transaction."""
SHORTEST_PAUSE = 0.05
"""Seconds between two looks at endpoints that are due and that somebody else is just taking."""

Key = tuple[str, str, str]
"""An endpoint: user, name, trigger."""


class Kept(Log, Protocol):
    """What this needs of the store; `engine.store.deliveries` says what each does."""

    async def claim(self, claiming: Claiming, limit: int) -> list[Step]:
        """Take at most `limit` endpoints that are due, those that waited longest first."""
        ...

    async def step(
        self, claiming: Claiming, endpoint: WebhookRow, results: Sequence[Result], busy: Collection[str]
    ) -> Step:
        """Write `results` down, and say what is to be sent besides what is being sent (`busy`)."""
        ...

    async def release(self, owner: str) -> None:
        """Let go of all endpoints that `owner` holds; they are due as before."""
        ...

    async def next_due(self) -> int | None:
        """When there is something to do that nobody does (µs, maybe in the past); None: nothing waits."""
        ...


class Disabled(Protocol):
    """Who tells a user that an endpoint of theirs was turned off."""

    async def disabled(self, uid: str, name: str, trigger: str, reason: str) -> None:
        """It was turned off, for `reason`. What this raises is logged."""
        ...


class DeliveryStatistics(msgspec.Struct, frozen=True):
    """`endpoints` worked on and `requests` open in this process; `waiting` deliveries of all, when last looked at."""

    endpoints: int
    requests: int
    waiting: int


class Delivery:
    """One per process."""

    def __init__(
        self,
        kept: Kept,
        sender: Sender,
        settings: Webhook,
        wall_clock: Callable[[], int],
        meter: DeliveryMetrics,
        rng: random.Random | None = None,
    ) -> None:
        self._kept = kept
        self._sender = sender
        self._settings = settings
        self._now = wall_clock
        self._meter = meter
        self._rng = rng or random.Random()
        self._spacing = 1 / settings.requests_per_second
        self._spread = Spread(settings.audio_spread)
        self._owner = uuid4().hex
        self._held: dict[Key, Held] = {}
        self._upkeep = Upkeep(kept, settings, wall_clock)
        self._work = trio.Event()
        self._disabled: list[Disabled] = []
        self._draining = trio.Event()
        self._let_go_of = trio.Event()

    def wake(self, *endpoints: Key) -> None:
        """There may be something to send, to these endpoints among others."""
        if not endpoints or any(key not in self._held for key in endpoints):
            self._work.set()
        for key in endpoints:
            held = self._held.get(key)
            if held is not None and (self._draining.is_set() or not held.full):
                held.news.set()

    def when_disabled(self, who: Disabled) -> None:
        """Tell `who` of endpoints that were turned off."""
        self._disabled.append(who)

    def statistics(self) -> DeliveryStatistics:
        """What is going on."""
        requests = sum(len(held.busy) for held in self._held.values())
        return DeliveryStatistics(len(self._held), requests, self._upkeep.waiting)

    async def drain(self) -> None:
        """Begin no request any more, and return once those that were have ended and are written down."""
        self._draining.set()
        self.wake(*self._held)
        while self._held:
            self._let_go_of = trio.Event()
            await self._let_go_of.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._upkeep.run)
                task_status.started()
                while True:
                    self._work = trio.Event()
                    try:
                        pause = await self._take(nursery)
                    except DatabaseUnavailable as error:
                        log.warning("webhooks.waiting_for_database", error=str(error))
                        pause = self._pause()
                    with trio.move_on_after(pause):
                        await self._work.wait()
                    await trio.sleep(GATHER)
        finally:
            with trio.CancelScope(shield=True):
                await self._let_go()

    async def _let_go(self) -> None:
        """The process is stopping: whoever comes next need not wait until the claims have run out."""
        try:
            await self._kept.release(self._owner)
        except DatabaseUnavailable as error:
            log.info("webhooks.not_released", error=str(error))

    def _pause(self) -> float:
        return self._settings.claim_time / LOOKS

    async def _take(self, nursery: trio.Nursery) -> float:
        """Begin with what is due and there is room for; the seconds until it is worth while to look again."""
        room = self._settings.endpoints - len(self._held)
        if room <= 0 or self._draining.is_set():
            return self._pause()
        due, now = await self._kept.next_due(), self._now()
        if due is None or due > now:
            return self._pause() if due is None else min((due - now) / SECOND, self._pause())
        steps = await self._kept.claim(self._claiming(), room)
        for step in steps:
            key = (step.endpoint.uid, step.endpoint.name, step.endpoint.trigger)
            if key not in self._held:  # else our own claim had run out, and is good again by this
                self._held[key] = Held(step, self._first_slot(step.endpoint))
                nursery.start_soon(self._attend, key)
        return 0.0 if steps else SHORTEST_PAUSE

    def _claiming(self) -> Claiming:
        now, settings = self._now(), self._settings
        return Claiming(
            owner=self._owner,
            now=now,
            until=now + round(settings.claim_time * SECOND),
            ordered=LIVE,
            room=settings.concurrency,
            threshold=settings.breaker_failures,
        )

    def _first_slot(self, endpoint: WebhookRow) -> float:
        """When it may be sent to again (Trio's clock), after what it was sent before this process held it."""
        ago = (self._now() - (endpoint.last_attempt_at or 0)) / SECOND
        return trio.current_time() + max(self._spacing - max(ago, 0.0), 0.0)

    async def _attend(self, key: Key) -> None:
        """One endpoint, until there is nothing to send to it for a while."""
        held = self._held[key]
        try:
            async with trio.open_nursery() as nursery:
                await self._begin(held, nursery)
                while not (held.over or (self._draining.is_set() and not held.busy)):
                    with trio.move_on_after(self._until(held.step)):
                        await held.news.wait()
                    await trio.sleep_until(math.ceil(trio.current_time() / GATHER) * GATHER)
                    held.news = trio.Event()
                    await self._step(held)
                    await self._begin(held, nursery)
        finally:
            del self._held[key]
            self._let_go_of.set()
            self.wake()

    async def _begin(self, held: Held, nursery: trio.Nursery) -> None:
        """Send what is due; count what was ended unsent."""
        step = held.step
        for delivery in () if self._draining.is_set() else step.due:
            held.busy.add(delivery.id)
            nursery.start_soon(self._send, held, delivery, held.slot(self._spacing))
        if step.dropped:
            endpoint = step.endpoint
            state = DROPPED if endpoint.enabled and endpoint.disabled_at is None else DEAD
            self._meter.ended(endpoint.trigger, endpoint.name, state, len(step.dropped))

    def _until(self, step: Step) -> float:
        """Seconds until the endpoint is looked at again, if no request ends before."""
        ahead = math.inf if step.next_at is None else (step.next_at - self._now()) / SECOND
        # What is due already waits for a request to end, not for time to pass.
        return min(ahead, self._pause()) if ahead > 0 else self._pause()

    async def _send(self, held: Held, delivery: DeliveryRow, at: float) -> None:
        """One request, its result left for the next step."""
        if not await self._turn(delivery, at):
            held.busy.discard(delivery.id)
            held.news.set()
            return
        backoff = Backoff(SHORTEST_PAUSE, self._pause(), self._rng)
        while True:
            try:
                attempt = await self._sender.attempt(delivery)
                break
            except DatabaseUnavailable as error:
                log.warning("webhooks.waiting_for_database", error=str(error))
                await trio.sleep(backoff.next())
        held.attempts.append((attempt, delivery))
        held.news.set()

    async def _turn(self, delivery: DeliveryRow, at: float) -> bool:
        """Wait until a request may begin, not before `at`; False when nothing begins any more."""
        if at > trio.current_time():
            with trio.move_on_at(at):
                await self._draining.wait()
        if delivery.trigger == AUDIO_BYTES:
            with trio.move_on_at(self._spread.take()):
                await self._draining.wait()
        return not self._draining.is_set()

    async def _step(self, held: Held) -> None:
        """Write down what came of requests, as soon as the database can; take what is next."""
        ended, held.attempts = held.attempts, []
        endpoint, results = held.step.endpoint, []
        for attempt, delivery in ended:
            results.append(judge(attempt, delivery, endpoint, self._settings, self._rng))
            endpoint = msgspec.structs.replace(endpoint, **results[-1].values)
        held.busy -= {result.id for result in results}
        backoff = Backoff(SHORTEST_PAUSE, self._pause(), self._rng)
        while True:
            try:
                held.step = await self._kept.step(self._claiming(), held.step.endpoint, results, held.busy)
                break
            except DatabaseUnavailable as error:
                log.warning("webhooks.waiting_for_database", error=str(error))
                await trio.sleep(backoff.next())
        await self._written(held.step.endpoint, results)

    async def _written(self, endpoint: WebhookRow, results: Sequence[Result]) -> None:
        """What follows from results, beside the database."""
        for result in results:
            if result.delivery["state"] != PENDING:
                self._meter.ended(endpoint.trigger, endpoint.name, result.delivery["state"])
        offs = [result.values["disabled_at"] for result in results if "disabled_at" in result.values]
        if endpoint.disabled_at is not None and endpoint.disabled_at in offs:
            await self._tell_disabled(endpoint)

    async def _tell_disabled(self, endpoint: WebhookRow) -> None:
        reason = endpoint.disabled_reason or ""
        log.warning("webhooks.disabled", endpoint=endpoint.name, trigger=endpoint.trigger, reason=reason)
        self._meter.disabled(endpoint.trigger)
        for who in self._disabled:
            try:
                await who.disabled(endpoint.uid, endpoint.name, endpoint.trigger, reason)
            except Exception as error:
                log.error("webhooks.notice_failed", trigger=endpoint.trigger, exc_info=error)
