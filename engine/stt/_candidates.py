"""Vendors as one session sees them: which may be tried when, after which fault (`RULES`; see `failover.py`)."""

import math
from collections.abc import Callable

import msgspec
import trio

from engine.stt.backoff import Backoff
from engine.stt.breaker import Breaker, Turn
from engine.stt.vendor import Fault, Vendor, VendorError


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `elsewhere_pause`: before a vendor that refused this session is asked again.

    `pause_patience`: how long a stream that was played a pre-roll waits for somebody to draw breath.
    """

    exhausted_after: float = 300.0
    elsewhere_pause: float = 60.0
    proof: float = 2.0
    backoff_first: float = 1.0
    backoff_limit: float = 32.0
    pause_patience: float = 10.0


class _Rule(msgspec.Struct, frozen=True):
    """What a fault means: `at_once` after it had been working for long; else the pause named."""

    at_once: bool
    pause: Callable[["Candidate", VendorError, Policy], float]


RULES = {
    Fault.ELSEWHERE: _Rule(False, lambda candidate, error, policy: policy.elsewhere_pause),
    Fault.RETRY_AFTER: _Rule(
        False, lambda candidate, error, policy: error.retry_after or candidate.backoff.next()
    ),
    Fault.RETRY_NOW: _Rule(True, lambda candidate, error, policy: candidate.backoff.next()),
}


class Candidate:
    """A vendor as one session sees it."""

    backoff: Backoff

    def __init__(self, rank: int, vendor: Vendor, breaker: Breaker, policy: Policy) -> None:
        self.rank = rank
        self.vendor = vendor
        self.breaker = breaker
        self.turn = Turn()
        self.backoff = Backoff(policy.backoff_first, policy.backoff_limit)
        self.not_before = -math.inf
        self.works_since = math.inf
        self.has_failed = False

    def wait(self) -> float:
        """0 when it may be tried now (which then counts as a try), else seconds until it may be asked again."""
        pause = self.not_before - trio.current_time()
        return pause if pause > 0 else self.breaker.may_try(self.turn)

    def worked(self) -> None:
        """It gave the first result of a stream."""
        self.works_since = trio.current_time()
        self.breaker.worked()

    def failed(self, error: VendorError, policy: Policy, *, worked: bool, took_over: bool) -> None:
        """A try, or a stream; whether that one had `worked`, and whether a vendor that did gave way to it."""
        now = trio.current_time()
        steady = worked and now - self.works_since >= policy.backoff_limit
        if steady:
            self.backoff.reset()
        rule = RULES[error.fault]
        pause = rule.pause(self, error, policy)
        if rule.at_once and worked and (steady or not self.has_failed):
            pause = 0.0
        if took_over and not worked:
            pause = max(pause, policy.elsewhere_pause)
        self.has_failed = True
        self.not_before = now + pause
        self.breaker.failed()
