"""A live run: the lanes it holds are drained until its life is over and a successor has come.

Prevents four ways of standing still: a tenant whose store or CRM hangs keeps one worker busy and
no other tenant waiting; one that sends on and on goes back to the end of the line after each pass,
and gives way where it comes too often (`turns.py`); a tenant whose passes break is taken less
often, not each moment; and a run that has lost its lanes (its connection broke) ends in place of
believing that it drains.
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

from crm_integration.intake.hearing import Ear
from crm_integration.intake.lanes import Lanes, ready_tenants, tenants_with_retries
from crm_integration.sync.live_pass import LivePass, Passed
from crm_integration.sync.report import unforeseen
from crm_integration.sync.turns import Turns

AT_ONCE = 8
"""Passes at once: most of one is waiting, for the database, a store or a CRM."""

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
    _running: set[Future[None]] = field(default_factory=set[Future[None]])
    _busy: set[str] = field(default_factory=set[str])
    _again: set[str] = field(default_factory=set[str])
    _turns: Turns = field(default_factory=Turns)
    _lock: Lock = field(default_factory=Lock)
    _next: dict[str, float] = field(default_factory=dict[str, float])
    _broken: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    """Tenants whose last pass broke: how often in a row, and until when they wait."""

    def run(self) -> Counter[str]:
        """Until the life is over and somebody takes over, the lanes are lost, or it is stopped.

        Returns counts: `passes`, `kept`, `writes`, `problems`, `failed`.
        """
        began = time.monotonic()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pass")
        with Ear(self.lanes.ops, self.lanes.held) as ear:
            try:
                while self._goes_on(began):
                    heard = ear.listen(0.2)
                    self._line_up([*heard, *self._waiting()])
            finally:
                with self._lock:
                    self.stopped.set()  # from now on no pass is followed by another one
                # The lanes first: who comes next need not wait for what is on its way here.
                self.lanes.give_back()
                wait(self._running, timeout=DRAIN_WITHIN)
                self._pool.shutdown(wait=False, cancel_futures=True)
        return self.done

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
            return lived < OVERTIME * self.lanes.life and not self.lanes.succeeded()
        except SQLAlchemyError as error:
            _log.warning("the lanes cannot be looked at: %s", type(error).__name__)
            return False

    def _waiting(self) -> Sequence[str]:
        """Tenants that nobody told us of: the queue is looked at as well."""
        found: list[str] = []
        try:
            if self._every("queue", LOOK_EVERY):
                found += ready_tenants(self.lanes.ops, sorted(self.lanes.held), limit=1_000)
            if self._every("retries", RETRIES_EVERY):
                due = tenants_with_retries(self.lanes.ops)
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
        self._running.add(self._pool.submit(self._take, tenant))

    def _may(self, tenant: str) -> bool:
        rested = self._broken.get(tenant, (0, 0.0))[1] <= time.monotonic()
        return rested and self._turns.may(tenant)

    def _take(self, tenant: str) -> None:
        """A pass over one tenant; what was told of meanwhile waits behind the others' turn."""
        self._pass(tenant)
        with self._lock:
            more = tenant in self._again and self._may(tenant) and not self.stopped.is_set()
            self._again.discard(tenant)
            if more:
                self._submit(tenant)
            else:
                self._busy.discard(tenant)

    def _pass(self, tenant: str) -> None:
        try:
            passed = self.one_pass(tenant)
        except SQLAlchemyError as error:
            self._failed(tenant, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the tenant's boundary: its neighbours go on
            self._failed(tenant, unforeseen(error))
        else:
            self._broken.pop(tenant, None)
            self.done.update(
                passes=1, kept=passed.kept, writes=passed.writes, problems=len(passed.problems)
            )
            self.told(passed)

    def _failed(self, tenant: str, why: str) -> None:
        """Its deliveries wait, and so does whoever would look at them again and again."""
        self.done["failed"] += 1
        times = self._broken.get(tenant, (0, 0.0))[0] + 1
        pause = min(LONGEST_PAUSE, 0.5 * 2**times)
        self._broken[tenant] = times, time.monotonic() + pause
        _log.error("%s: %s; tried again in %.0f s", tenant, why, pause)
