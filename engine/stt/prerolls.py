"""The user's own voice, played to vendors that tell speakers apart: which of their numbers is the user's.

Operations: `load` finds out whether there is a recording; `candidate` is the vendor that transcribes, to be opened once
more and played it; `applied`; `pending` says whether words are told that it may yet say something about.
Invariants: nothing waits for it: another stream to the vendor is opened for it beside the one that transcribes, and
takes over when it has heard it (`failover.py`). Its failures are its own: they pause no vendor and open no breaker.
Bounded: `TRIES` a session and vendor; one connection a session, under the vendor's rate of connects.
"""

from collections.abc import Awaitable, Callable

import msgspec
import trio

from engine.stt._candidates import RULES, Candidate, Policy
from engine.stt.vendor import PlayedVendor, Vendor, VendorError

__all__ = ["FetchPreroll", "PlayedCandidate", "Preroll", "Prerolls"]

TRIES = 3


class Preroll(msgspec.Struct, frozen=True):
    """A recording of the user's, s16le mono 16 kHz, and the names of the vendors it may be played to."""

    pcm: bytes
    vendors: frozenset[str]


FetchPreroll = Callable[[], Awaitable[Preroll | None]]
"""The user's, or None. Must not raise."""


class PlayedCandidate(Candidate):
    """A vendor that a voice is to be played to. `plain`: the same without."""

    def __init__(self, plain: Candidate, preroll: bytes, policy: Policy) -> None:
        super().__init__(plain.rank, plain.vendor, plain.breaker, policy)
        self.preroll = preroll
        self.tries = TRIES
        self._pause = policy.backoff_limit

    def wait(self) -> float:
        """See `Candidate.wait`: of a vendor that others find failing, nothing more is asked."""
        pause = self.not_before - trio.current_time()
        if pause > 0:
            return pause
        return self.breaker.may_try(self.turn) if self.breaker.closed else self._pause

    def worked(self) -> None:
        """See `Candidate.worked`."""
        self.works_since = trio.current_time()

    def failed(self, error: VendorError, policy: Policy, *, worked: bool, took_over: bool) -> None:
        """See `Candidate.failed`."""
        if not worked:
            self.tries -= 1
        self.not_before = trio.current_time() + RULES[error.fault].pause(self, error, policy)


class Prerolls:
    """One session's."""

    def __init__(self, fetch: FetchPreroll | None, policy: Policy) -> None:
        self._fetch = fetch
        self._policy = policy
        self._preroll: Preroll | None = None
        self._loaded = fetch is None
        self._applied = False
        self._candidates: dict[str, PlayedCandidate] = {}

    async def load(self) -> None:
        """Ask for it."""
        if self._fetch is not None:
            self._preroll = await self._fetch()
            self._loaded = True

    def candidate(self, plain: Candidate) -> PlayedCandidate | None:
        """The one that may take over from `plain`; None when there is no voice to be played to it, or it failed."""
        preroll = self._preroll
        if preroll is None or isinstance(plain, PlayedCandidate) or not self._takes(plain.vendor):
            return None
        name = plain.vendor.name
        if name not in self._candidates:
            self._candidates[name] = PlayedCandidate(plain, preroll.pcm, self._policy)
        found = self._candidates[name]
        return found if found.tries > 0 else None

    def applied(self) -> None:
        """A stream that heard it transcribes."""
        self._applied = True

    def pending(self, vendor: Vendor) -> bool:
        """Whether what `vendor` says may yet be said by a stream that knows the voice."""
        if self._applied or (self._loaded and self._preroll is None) or not self._takes(vendor):
            return False
        candidate = self._candidates.get(vendor.name)
        return candidate is None or candidate.tries > 0

    def _takes(self, vendor: Vendor) -> bool:
        known = self._preroll is None or vendor.name in self._preroll.vendors
        return known and isinstance(vendor, PlayedVendor) and vendor.takes_preroll
