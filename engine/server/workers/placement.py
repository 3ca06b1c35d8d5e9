"""Which worker has a user: where their sessions run and their conversations' silence is timed.

A user is at one worker at a time, by a lease named after them, for as long as they have a session or an open
conversation there, or connected within the last minute. So everything that is one user's is in one process, as
with one worker: sessions share the conversation, limits per user are exact, a conversation is closed once.

A session that lands on another worker:
    nobody has the user                    -> this one takes the lease, and the user's open conversation with it
    the other has no session of theirs     -> it hands both over, timer and all: the client has come back
    the other has a session of theirs      -> the new session is passed through to it, and runs beside the first
    the other is dead                      -> wait until its heir has replayed its journals, then as above

Operations: `enter` around a session; `taken_from` answers another worker's `Yield`; `whereabouts` before something is
done to a user; `inherit` takes over the dead's users; `run` renews; `holds` before a conversation is closed.
Invariants: `_homes` names only users whose lease this worker had at some time; one counts only until `until`. While a
user changes hands their lock is held on both sides, and what was said is in the database before the lease is given.
Bounded by the users that are here; a lock for each who is coming or going.
Cost: a committed write and two reads for a user who was nowhere; nothing for one who is here; one statement every
third of `lease_time`.
Known doubts: a worker that hangs for longer than `lease_time` loses its users, whose audio it may still hold in
memory; what it then transcribes is added to their conversations, whoever has them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

import msgspec
import trio

from engine.config import Supervisor
from engine.log import get_logger
from engine.server.workers.calls import CallFailed
from engine.server.workers.messages import Yielded
from engine.server.workers.users import Users
from engine.store import DatabaseUnavailable
from engine.store.leases import Lease, Leases

__all__ = ["Elsewhere", "Placement", "PlacementStatistics", "Unreachable"]

log = get_logger(__name__)

PREFIX = "user:"
RENEWALS = 3
"""Tries to renew within the time a lease runs."""


class Elsewhere(msgspec.Struct, frozen=True):
    """The worker that has the user."""

    owner: str


class Unreachable(Exception):
    """Whoever has the user does not answer, or the database does not say who; the text says which."""


class _Home(msgspec.Struct):
    """A user who is here, until `until` (Trio's clock) unless renewed."""

    lease: Lease
    until: float
    sessions: int = 0


class _Lock(msgspec.Struct):
    lock: trio.Lock = msgspec.field(default_factory=trio.Lock)
    users: int = 0


class PlacementStatistics(msgspec.Struct, frozen=True):
    """`users` that are here, `sessions` of theirs; totals since the start."""

    users: int
    sessions: int
    taken: int
    handed_over: int
    passed_on: int
    lost: int


class Placement:
    """One worker's part. `ask` sends a `Yield` for a user to another worker; raises `CallFailed`."""

    def __init__(
        self,
        owner: str,
        leases: Leases,
        users: Users,
        settings: Supervisor,
        ask: Callable[[str, str], Awaitable[Yielded]],
    ) -> None:
        self.owner = owner
        self._leases = leases
        self._users = users
        self._settings = settings
        self._ask = ask
        self._homes: dict[str, _Home] = {}
        self._locks: dict[str, _Lock] = {}
        self._news = trio.Event()
        self._taken = self._handed_over = self._passed_on = self._lost = 0

    # Where a session belongs

    @asynccontextmanager
    async def enter(self, uid: str) -> AsyncIterator[Elsewhere | None]:
        """Inside, the user is here (None) and stays, or at the worker that is named.

        Raises `Unreachable` when that cannot be found out within `handover_timeout`.
        """
        try:
            with trio.fail_after(self._settings.handover_timeout):
                found = await self._come(uid)
        except trio.TooSlowError:
            raise Unreachable(
                f"no answer within supervisor.handover_timeout ({self._settings.handover_timeout:g} s)"
            ) from None
        except DatabaseUnavailable as error:
            raise Unreachable(f"the database does not say who has the user: {error}") from error
        if isinstance(found, Elsewhere):
            yield found
            return
        try:
            yield None
        finally:
            found.sessions -= 1

    async def _come(self, uid: str) -> _Home | Elsewhere:
        """Where the user is; here, with one more session."""
        while True:
            news = self._news
            async with self._locked(uid):
                found = await self._find(uid)
                if isinstance(found, _Home):
                    found.sessions += 1
            if found is not None:
                return found
            await news.wait()  # until the heir, which may be this one, has everything

    async def _find(self, uid: str) -> _Home | Elsewhere | None:
        """None: at a worker that does not answer."""
        home = self._homes.get(uid)
        if home is not None and trio.current_time() < home.until:
            return home
        while True:
            until = self._until()
            lease = await self._leases.claim(PREFIX + uid, self.owner, self._settings.lease_time)
            if lease.owner == self.owner:
                return await self._settle(uid, lease, until)
            try:
                answer = await self._ask(lease.owner, uid)
            except CallFailed as error:
                log.info("placement.waiting", owner=lease.owner, error=str(error))
                return None
            if not answer.given:
                self._passed_on += 1
                return Elsewhere(lease.owner)
            self._users.taken_over(uid, answer.connects)

    async def _settle(self, uid: str, lease: Lease, until: float) -> _Home:
        """The lease is ours: so is what there is of the user, unless it never was anybody else's."""
        home = self._homes.get(uid)
        if home is not None and home.lease.token == lease.token:
            home.until = until
            return home
        if home is not None:
            self._lose(uid)
        await self._users.adopt(uid)
        self._taken += 1
        home = self._homes[uid] = _Home(lease, until)
        return home

    def _until(self) -> float:
        return trio.current_time() + self._settings.lease_time

    # What others ask

    async def taken_from(self, uid: str, to: str) -> Yielded:
        """Hand the user over to worker `to`, unless a session of theirs is here."""
        async with self._locked(uid):
            home = self._homes.get(uid)
            if home is None or home.sessions:
                return Yielded(given=False)
            if not await self._users.release(uid):
                return Yielded(given=False)
            del self._homes[uid]
            try:
                given = await self._leases.give(home.lease, to, self._settings.lease_time)
            except DatabaseUnavailable:
                return Yielded(given=False)  # the lease is still ours: `run` takes the user up again
            self._handed_over += 1
            return Yielded(given=given is not None, connects=self._users.hand_over(uid))

    async def whereabouts(self, uid: str) -> Elsewhere | None:
        """The worker that has the user; None: this one, or nobody. Raises `Unreachable`."""
        home = self._homes.get(uid)
        if home is not None and trio.current_time() < home.until:
            return None
        try:
            lease = await self._leases.holder(PREFIX + uid)
        except DatabaseUnavailable as error:
            raise Unreachable(f"the database does not say who has the user: {error}") from error
        return None if lease is None or lease.owner == self.owner else Elsewhere(lease.owner)

    def here(self, uid: str) -> bool:
        """Whether the user is at this worker."""
        return uid in self._homes

    # Owning

    async def holds(self, uid: str) -> bool:
        """Whether this worker may close the user's conversation. Raises `DatabaseUnavailable`."""
        home = self._homes.get(uid)
        if home is None:
            return False
        until = self._until()
        if not await self._leases.holds(home.lease, self._settings.lease_time):
            return False
        home.until = until
        return True

    async def inherit(self, owners: Collection[str] | None) -> None:
        """Take over the users of workers that are dead (None: of all), and those who are nobody's.

        What their journals held must be in the database. Raises `DatabaseUnavailable`; then `run` goes on with it.
        """
        seized = await self._leases.seize(self.owner, self._settings.lease_time, owners)
        left = [PREFIX + uid for uid in await self._users.unfinished()]
        claimed = await self._leases.claim_all(left, self.owner, self._settings.lease_time)
        mine = {lease.name for lease in (*seized, *claimed) if lease.owner == self.owner}
        await self._take_up(mine)
        log.info("placement.inherited", users=len(mine))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Renew what is ours, let go of who is idle, until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(self._settings.lease_time / RENEWALS)
            try:
                await self._renew()
            except DatabaseUnavailable as error:
                log.warning("placement.not_renewed", error=str(error))

    def changed(self) -> None:
        """Workers came or went: who waits for an heir should ask again."""
        self._news.set()
        self._news = trio.Event()

    async def until_changed(self) -> None:
        """Wait until workers came or went, `handover_timeout` at most."""
        with trio.move_on_after(self._settings.handover_timeout):
            await self._news.wait()

    async def _renew(self) -> None:
        before, until = dict(self._homes), self._until()
        held = await self._leases.renew(self.owner, self._settings.lease_time)
        for uid, home in before.items():
            if self._homes.get(uid) is not home:
                continue
            if PREFIX + uid in held:
                home.until = until
            else:
                self._lose(uid)
        await self._take_up(held)
        for uid in before:
            await self._let_go(uid)

    async def _take_up(self, names: Collection[str]) -> None:
        """Those leases are ours; whose users are not here yet, are now."""
        for uid in (name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)):
            if uid not in self._homes:
                async with self._locked(uid):
                    await self._find_again(uid)

    async def _find_again(self, uid: str) -> None:
        if uid in self._homes:
            return
        until = self._until()
        lease = await self._leases.claim(PREFIX + uid, self.owner, self._settings.lease_time)
        if lease.owner == self.owner:
            await self._settle(uid, lease, until)

    async def _let_go(self, uid: str) -> None:
        """Nobody needs the lease of a user of whom nothing is here."""
        home = self._homes.get(uid)
        if home is None or home.sessions or not self._users.idle(uid):
            return
        async with self._locked(uid):
            if self._homes.get(uid) is home and not home.sessions and self._users.idle(uid):
                await self._leases.release(home.lease)
                del self._homes[uid]

    def _lose(self, uid: str) -> None:
        """Somebody else took the lease when ours had run out: this worker was too slow."""
        log.error("placement.lost", hint="the process hung, or the database did not work for too long")
        self._lost += 1
        del self._homes[uid]
        self._users.drop(uid)

    @asynccontextmanager
    async def _locked(self, uid: str) -> AsyncIterator[None]:
        """One at a time decides about a user."""
        entry = self._locks.setdefault(uid, _Lock())
        entry.users += 1
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._locks[uid]

    def statistics(self) -> PlacementStatistics:
        """Who is here, and what changed hands."""
        return PlacementStatistics(
            users=len(self._homes),
            sessions=sum(home.sessions for home in self._homes.values()),
            taken=self._taken,
            handed_over=self._handed_over,
            passed_on=self._passed_on,
            lost=self._lost,
        )
