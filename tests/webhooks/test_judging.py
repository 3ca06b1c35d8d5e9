"""What follows from an attempt, for its delivery and its endpoint."""

import random
from typing import Any

import msgspec
import pytest

from engine._config_webhooks import Webhook
from engine.store.deliveries import Result
from engine.store.webhook_records import DeliveryRow, WebhookRow
from engine.webhooks.judging import HISTORY, Attempt, judge, retry_after

AT, SECOND, HOUR = 1_750_000_000_000_000, 1_000_000, 3_600_000_000
SETTINGS = Webhook(jitter=0.0)
DELIVERY = DeliveryRow(
    uid="ada", id="m1", endpoint="developer", trigger="memory_created", created_at=AT, due_at=AT
)
ENDPOINT = WebhookRow(uid="ada", name="developer", trigger="memory_created", settings_at=AT, created_at=AT)


def after(
    status: int | None = 500,
    *,
    delivery: dict[str, Any] | None = None,
    endpoint: dict[str, Any] | None = None,
    settings: Webhook = SETTINGS,
    **attempt: Any,
) -> Result:
    tried = Attempt(**{"at": AT, "milliseconds": 0, "size": 10, "status": status, **attempt})
    row = msgspec.structs.replace(DELIVERY, **(delivery or {}))
    known = msgspec.structs.replace(ENDPOINT, **(endpoint or {}))
    return judge(tried, row, known, settings, random.Random(1))


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_delivers_and_forgets_failures(status: int) -> None:
    result = after(status, endpoint={"failures": 7, "failing_since": AT - HOUR, "paused_until": AT})
    assert result.delivery["state"] == "delivered"
    assert result.delivery["reason"] is None
    assert (result.values["failures"], result.values["failing_since"], result.values["paused_until"]) == (
        0,
        None,
        None,
    )
    assert result.counts == {"requests": 1, "bytes": 10, "delivered": 1}


@pytest.mark.parametrize("status", [301, 307, 400, 404, 408, 429, 500, 502, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    result = after(status)
    assert result.delivery["state"] == "pending"
    assert result.delivery["due_at"] == AT + 5 * SECOND
    assert result.delivery["reason"].startswith(f"answered {status}")
    assert result.values["failures"] == 1


def test_the_pauses_are_those_of_the_schedule_and_after_the_last_it_is_dead() -> None:
    for tried, pause in enumerate(SETTINGS.schedule):
        assert after(delivery={"attempts": tried}).delivery["due_at"] == AT + pause * SECOND
    assert after(delivery={"attempts": len(SETTINGS.schedule)}).delivery["state"] == "dead"


def test_jitter_only_makes_pauses_longer_and_by_its_share_at_most() -> None:
    settings = Webhook(jitter=0.5)
    dues = {
        judge(
            Attempt(at=AT, milliseconds=0, size=1, status=500),
            DELIVERY,
            ENDPOINT,
            settings,
            random.Random(seed),
        ).delivery["due_at"]
        for seed in range(50)
    }
    assert len(dues) > 1
    assert all(AT + 5 * SECOND <= due <= AT + 7.5 * SECOND for due in dues)


def test_410_is_dead_and_turns_the_endpoint_off() -> None:
    result = after(410)
    assert result.delivery["state"] == "dead"
    assert result.values["disabled_at"] == AT
    assert "410" in result.values["disabled_reason"]


def test_retry_after_is_obeyed_up_to_the_limit_and_pauses_the_endpoint() -> None:
    result = after(429, retry_after=120.0)
    assert result.delivery["due_at"] == AT + 120 * SECOND
    assert result.values["paused_until"] == AT + 120 * SECOND
    assert after(503, retry_after=1e9).values["paused_until"] == AT + round(SETTINGS.pause_limit * SECOND)
    assert after(429).values["paused_until"] == AT + round(SETTINGS.breaker_pause * SECOND)
    assert "paused_until" not in after(500, retry_after=120.0).values


def test_failures_in_a_row_pause_the_endpoint_then_turn_it_off() -> None:
    almost = SETTINGS.breaker_failures - 1
    assert "paused_until" not in after(endpoint={"failures": almost - 1}).values
    assert after(endpoint={"failures": almost}).values["paused_until"] == AT + 30 * SECOND
    off = after(endpoint={"failures": SETTINGS.disable_after_failures - 1}).values
    assert off["disabled_at"] == AT
    assert off["disabled_reason"].startswith("100 requests in a row failed; the last: answered 500")


def test_an_endpoint_that_is_off_is_not_turned_off_again() -> None:
    assert "disabled_at" not in after(410, endpoint={"disabled_at": AT, "failures": 200}).values


def test_days_without_a_success_turn_it_off_but_not_two_failures_far_apart() -> None:
    long_ago = AT - round(SETTINGS.disable_after_hours * HOUR)
    assert "disabled_at" in after(endpoint={"failures": 20, "failing_since": long_ago}).values
    assert "disabled_at" not in after(endpoint={"failures": 1, "failing_since": long_ago}).values


def test_what_would_be_too_old_by_the_next_attempt_is_dropped() -> None:
    live = {"trigger": "realtime_transcript", "expires_at": AT + 2 * SECOND}
    assert after(delivery=live).delivery["state"] == "pending"
    assert after(delivery=live | {"attempts": 1}).delivery["state"] == "dropped"


def test_a_private_address_is_not_tried_again() -> None:
    result = after(None, kind="address", reason="10.0.0.1 is not on the public Internet")
    assert result.delivery["state"] == "dead"
    assert result.delivery["reason"] == "10.0.0.1 is not on the public Internet"
    assert result.values["failures"] == 1


@pytest.mark.parametrize(
    ("kind", "state"), [("off", "dead"), ("spool", "dropped"), ("disk", "pending"), ("error", "pending")]
)
def test_what_is_our_own_fault_is_not_held_against_the_endpoint(kind: str, state: str) -> None:
    result = after(None, kind=kind, reason="ours", size=0)
    assert result.delivery["state"] == state
    assert result.values == {}
    assert "requests" not in result.counts


def test_the_history_keeps_the_latest_attempts() -> None:
    old = [[AT - n, 500, 1, "answered 500"] for n in range(HISTORY, 0, -1)]
    history = after(404, delivery={"history": old}).delivery["history"]
    assert len(history) == HISTORY
    assert history[:-1] == old[1:]
    assert history[-1] == [AT, 404, 0, "answered 404"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("Sun, 15 Jun 2025 15:07:40 GMT", 60.0),
        ("Sun, 15 Jun 2025 15:00:00 GMT", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, 1_750_000_000.0) == seconds
    assert retry_after({}, 0.0) is None
