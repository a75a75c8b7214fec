"""A live run: the lanes it holds are drained until its life is over and a successor has come.

Prevents five ways of standing still: a tenant whose store or CRM hangs keeps one worker busy and
no other tenant waiting; many whose CRM hung before share a few workers of their own, so that an
outage at one vendor leaves the rest to the others; one that sends on and on goes back to the end of
the line after each pass, and gives way where it comes too often (`turns.py`); a tenant whose passes
break is taken less often, not each moment; and a run that has lost its lanes (its connection broke)
ends in place of believing that it drains.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock

from sqlalchemy.exc import SQLAlchemyError

from crm_integration.errors import CrmIntegrationError
from crm_integration.intake.hearing import Ear
from crm_integration.intake.lanes import (
    Lanes,
    ready_tenants,
    tenants_in_flight,
    tenants_with_retries,
)
from crm_integration.sync.live_pass import LivePass, Passed
from crm_integration.sync.orphaned_claims import GRACE, release
from crm_integration.sync.report import unforeseen
from crm_integration.sync.setbacks import Setbacks
from crm_integration.sync.turns import Turns
from crm_integration.tenancy.tenants import all_tenants
from crm_integration.transport.slots import Slots

AT_ONCE = 32
"""Passes at once: most of one is waiting, for a store or a CRM."""

COMPUTING = 4
"""Those of them that do not wait for a remote host: while one asks the database another goes on."""

ASIDE = 4
"""Passes at once of tenants whose CRM did not answer when it was asked last."""

LOOK_EVERY = 1.0
"""Seconds between two looks at the queue, whatever was heard."""

RETRIES_EVERY = 5.0
"""Seconds between two looks for records that are to be tried again."""

DRAIN_WITHIN = 20.0
"""Seconds that passes on their way have when the run is to end."""

LONGEST_PAUSE = 60.0
"""Seconds until a tenant whose passes break is taken again."""

OVERTIME = 1.5
"""A run without a successor goes on for so many lives; then the sensor starts another."""

_log = logging.getLogger(__name__)


@dataclass
class LiveRun:
    """Drains the lanes of `lanes`; `stopped` ends it from outside (SIGTERM)."""

    lanes: Lanes
    one_pass: LivePass
    stopped: Event = field(default_factory=Event)
    told: Callable[[Passed], None] = lambda passed: None
    done: Counter[str] = field(default_factory=Counter[str])
    _pool: ThreadPoolExecutor = field(init=False, repr=False)
    _aside: ThreadPoolExecutor = field(init=False, repr=False)
    _running: set[Future[None]] = field(default_factory=set[Future[None]])
    _busy: set[str] = field(default_factory=set[str])
    _again: set[str] = field(default_factory=set[str])
    _turns: Turns = field(default_factory=Turns)
    _lock: Lock = field(default_factory=Lock)
    _next: dict[str, float] = field(default_factory=dict[str, float])
    _slots: Slots = field(default_factory=lambda: Slots(COMPUTING), repr=False)
    _later: dict[str, float] = field(default_factory=dict[str, float])
    """When tenants are to be taken again, whether somebody tells of them or not."""
    _broken: Setbacks = field(default_factory=lambda: Setbacks(LONGEST_PAUSE))
    """Tenants whose last pass broke."""

    def run(self) -> Counter[str]:
        """Until the life is over and somebody takes over, the lanes are lost, or it is stopped.

        Returns counts: `passes`, `kept`, `writes`, `problems`, `failed`.
        """
        began = time.monotonic()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pass")
        self._aside = ThreadPoolExecutor(ASIDE, thread_name_prefix="aside")
        with Ear(self.lanes.ops, self.lanes.held) as ear:
            try:
                self._take_over()
                while self._goes_on(began):
                    heard = ear.listen(0.2)
                    self._line_up([*heard, *self._waiting()])
            finally:
                with self._lock:
                    self.stopped.set()  # from now on no pass is followed by another one
                # The lanes first: who comes next need not wait for what is on its way here.
                self.lanes.give_back()
                wait(self._running, timeout=DRAIN_WITHIN)
                for pool in (self._pool, self._aside):
                    pool.shutdown(wait=False, cancel_futures=True)
        return self.done

    def _take_over(self) -> None:
        """What a run whose process is gone had claimed is to be written soon, and what it had kept
        and not derived is to be derived: no delivery tells of that any more."""
        try:
            tenants = tenants_in_flight(self.lanes.ops) if self.lanes.orphans else set[str]()
            for tenant in filter(self.lanes.drains, tenants):
                with self.one_pass.house.engines.tenancy.scope(tenant) as scope:
                    held = sum(release(scope, one) for one in self.lanes.orphans)
                if held:
                    self._later[tenant] = time.monotonic() + GRACE
            for tenant in all_tenants(self.lanes.ops) if self.lanes.orphans else ():
                if self.lanes.drains(tenant) and self.one_pass.left_underived(tenant):
                    self._later.setdefault(tenant, time.monotonic())
        except (SQLAlchemyError, CrmIntegrationError) as error:
            _log.warning("claims of a lost run stay until they run out: %s", type(error).__name__)

    def _goes_on(self, began: float) -> bool:
        if self.stopped.is_set():
            return False
        lived = time.monotonic() - began
        if not self._every("lanes", LOOK_EVERY):
            return True
        if not self.lanes.still_held():
            _log.warning("the lanes are lost: another run drains them")
            return False
        try:
            if self.lanes.take_rest():
                self._take_over()
            return lived < OVERTIME * self.lanes.life and not self.lanes.succeeded()
        except SQLAlchemyError as error:
            _log.warning("the lanes cannot be looked at: %s", type(error).__name__)
            return False

    def _waiting(self) -> Sequence[str]:
        """Tenants that nobody told us of: the queue is looked at as well."""
        now = time.monotonic()
        found = [one for one, at in list(self._later.items()) if at <= now]
        try:
            if self._every("queue", LOOK_EVERY):
                found += ready_tenants(self.lanes.ops, sorted(self.lanes.held), limit=1_000)
            first = "retries" not in self._next
            if self._every("retries", RETRIES_EVERY):
                due = tenants_with_retries(self.lanes.ops, unsent=first)
                found += [one for one in due if self.lanes.drains(one)]
        except SQLAlchemyError as error:
            _log.warning("the queue cannot be looked at: %s", type(error).__name__)
        return found

    def _every(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(name, 0.0):
            return False
        self._next[name] = now + seconds
        return True

    def _line_up(self, tenants: Sequence[str]) -> None:
        """A pass for each that has none; the others are taken once more after theirs."""
        with self._lock:
            named = dict.fromkeys(tenants)
            free = [one for one in named if one not in self._busy and self._may(one)]
            self._again |= set(named) & self._busy
            self._running = {one for one in self._running if not one.done()}
            for one in free:
                self._busy.add(one)
                self._submit(one)

    def _submit(self, tenant: str) -> None:
        """One more pass in the line; only under the lock."""
        self._turns.take(tenant)
        self._later.pop(tenant, None)
        silent = self.one_pass.silent.doubts(tenant)
        behind = silent or self._turns.gives_way(tenant)
        pool = self._aside if silent else self._pool
        self._running.add(pool.submit(self._take, tenant, behind))

    def _may(self, tenant: str) -> bool:
        return not self._broken.seconds(tenant) and self._turns.may(tenant)

    def _take(self, tenant: str, behind: bool) -> None:
        """A pass over one tenant; what was told of meanwhile waits behind the others' turn."""
        self._pass(tenant, behind=behind)
        with self._lock:
            more = tenant in self._again and self._may(tenant) and not self.stopped.is_set()
            self._again.discard(tenant)
            if more:
                self._submit(tenant)
            else:
                self._busy.discard(tenant)

    def _pass(self, tenant: str, *, behind: bool) -> None:
        try:
            with self._slots.taken(behind=behind):
                passed = self.one_pass(tenant)
        except SQLAlchemyError as error:
            self._failed(tenant, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the tenant's boundary: its neighbours go on
            self._failed(tenant, unforeseen(error))
        else:
            self._broken.over(tenant)
            if passed.again_in is not None:
                self._later[tenant] = time.monotonic() + passed.again_in
            self.done.update(
                passes=1, kept=passed.kept, writes=passed.writes, problems=len(passed.problems)
            )
            self.told(passed)

    def _failed(self, tenant: str, why: str) -> None:
        """Its deliveries wait, and so does whoever would look at them again and again."""
        self.done["failed"] += 1
        pause = self._broken.note(tenant)
        self._later[tenant] = time.monotonic() + pause
        _log.error("%s: %s; tried again in %.0f s", tenant, why, pause)
