"""What follows from an attempt: for the delivery, and for its endpoint. Pure functions of what happened.

                     2xx  done; failures are forgotten
                     410  dead, and the endpoint is off
  408, 425, 429, 5xx, no  again, after the schedule's next pause, or what Retry-After asks for if that is longer
     answer, a redirect   (a redirect is not followed: it is a failure like others)
              other 4xx   the same: endpoints are set up late, behind names that are not there yet
   not a public address   dead: trying again would ask for trouble
      no audio any more   dropped: a full spool, or one that was sent again too late

Standard Webhooks, "Deliverability and reliability". An endpoint with `breaker_failures` in a row gets a pause, after
which one request at a time is tried; 429 pauses it at once, as do 502, 503 and 504 that ask for it. After
`disable_after_failures`, or `disable_after_hours` without a success, it is off until its owner turns it on again.
"""

import math
import random
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from engine._config_webhooks import Webhook
from engine.moments import SECOND
from engine.store.deliveries import Result
from engine.store.webhook_records import (
    DEAD,
    DELIVERED,
    DROPPED,
    ORDERED,
    PENDING,
    DeliveryRow,
    WebhookRow,
)

__all__ = ["LIVE", "Attempt", "judge", "retry_after"]

LIVE = ORDERED
"""Triggers of a live session: in order, one at a time, bounded in age."""

GONE, TOO_MANY = 410, 429
THROTTLED = frozenset((TOO_MANY, 502, 503, 504))
OURS = frozenset(("off", "spool", "disk", "error"))
"""Why there was no request; its endpoint has no part in that."""
HOPELESS = frozenset(("address", "off"))
GONE_HERE = "spool"
HISTORY = 20
HOUR = 3600 * SECOND


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. `status`: of an answer; else `kind` and `reason` say why there was none. `at` in µs."""

    at: int
    milliseconds: int
    size: int
    status: int | None = None
    kind: str = ""
    reason: str = ""
    retry_after: float | None = None
    """Seconds that the answer asks to wait for."""

    @property
    def worked(self) -> bool:
        """Whether the endpoint said that it has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def outcome(self) -> str:
        """In one word, of a fixed set, for metrics."""
        if self.status is None:
            return self.kind
        return f"{self.status // 100}xx"

    @property
    def said(self) -> str | None:
        """Why it did not work, in words."""
        if self.worked:
            return None
        if self.status is None:
            return self.reason
        moved = " (redirects are not followed)" if 300 <= self.status < 400 else ""
        return f"answered {self.status}{moved}"


def judge(
    attempt: Attempt, delivery: DeliveryRow, endpoint: WebhookRow, settings: Webhook, rng: random.Random
) -> Result:
    """What is to be written down. `endpoint`: as it was when the attempt began or later."""
    now = attempt.at + attempt.milliseconds * 1000
    changed = _delivery(attempt, delivery, settings, now, rng)
    ours = attempt.kind in OURS
    counts = {} if ours else {"requests": 1, "bytes": attempt.size}
    if changed["state"] != PENDING:
        counts[changed["state"]] = 1
    return Result(
        id=delivery.id,
        delivery=changed,
        counts=counts,
        values={} if ours else _endpoint(attempt, endpoint, settings, now, rng),
        settings_at=endpoint.settings_at,
    )


def _delivery(
    attempt: Attempt, delivery: DeliveryRow, settings: Webhook, now: int, rng: random.Random
) -> dict[str, Any]:
    entry = [attempt.at, attempt.status, attempt.milliseconds, attempt.said]
    changed: dict[str, Any] = {
        "attempts": delivery.attempts + 1,
        "attempted_at": attempt.at,
        "status": attempt.status,
        "milliseconds": attempt.milliseconds,
        "reason": attempt.said,
        "history": [*delivery.history, entry][-HISTORY:],
    }
    if attempt.worked:
        return changed | _ended(DELIVERED, now)
    schedule = settings.live_schedule if delivery.trigger in LIVE else settings.schedule
    if attempt.kind == GONE_HERE:
        return changed | _ended(DROPPED, now)
    if attempt.status == GONE or attempt.kind in HOPELESS or delivery.attempts >= len(schedule):
        return changed | _ended(DEAD, now)
    pause = schedule[delivery.attempts] * (1 + settings.jitter * rng.random())
    due = now + round(max(pause, _asked(attempt, settings)) * SECOND)
    if delivery.expires_at is not None and due >= delivery.expires_at:
        return changed | _ended(DROPPED, now)
    return changed | {"state": PENDING, "due_at": due}


def _ended(state: str, now: int) -> dict[str, Any]:
    return {"state": state, "due_at": None, "ended_at": now}


def _asked(attempt: Attempt, settings: Webhook) -> float:
    return min(attempt.retry_after or 0.0, settings.pause_limit)


def _endpoint(
    attempt: Attempt, endpoint: WebhookRow, settings: Webhook, now: int, rng: random.Random
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "last_status": attempt.status,
        "last_reason": attempt.said,
        "last_attempt_at": now,
    }
    if attempt.worked:
        return values | {"last_success_at": now, "failures": 0, "failing_since": None, "paused_until": None}
    failures, since = endpoint.failures + 1, endpoint.failing_since or now
    values |= {"failures": failures, "failing_since": since}
    pause = _asked(attempt, settings) if attempt.status in THROTTLED else 0.0
    if failures >= settings.breaker_failures or (attempt.status == TOO_MANY and not pause):
        # Endpoints that failed together, as when a network does, must not all be tried in the same moment.
        pause = max(pause, settings.breaker_pause * (1 + settings.jitter * rng.random()))
    if pause:
        values["paused_until"] = max(now + round(pause * SECOND), endpoint.paused_until or 0)
    # It may be off by now, because of a request that was open beside this one.
    why = None if endpoint.disabled_at else _why_off(attempt, failures, since, now, settings)
    return values | ({"disabled_at": now, "disabled_reason": why} if why else {})


def _why_off(attempt: Attempt, failures: int, since: int, now: int, settings: Webhook) -> str | None:
    if attempt.status == GONE:
        return "it answered 410: it is gone for good"
    if failures >= settings.disable_after_failures:
        return f"{failures} requests in a row failed; the last: {attempt.said}"
    hours = (now - since) / HOUR
    if failures >= settings.breaker_failures and hours >= settings.disable_after_hours:
        return f"no request worked for {hours:.0f} hours; the last: {attempt.said}"
    return None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer asks to wait for, in a number or until a date; `now`: s since the epoch."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text) if text.isascii() else math.nan
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
