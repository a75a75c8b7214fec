"""A driver of the engine in a process of its own, that dies, freezes or lingers where it is told.

Prevents a kill that only ever comes between two statements nobody chose: the process ends itself
with SIGKILL at the n-th time it reaches a step, so that every step is really died at.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Literal

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.errors import CrmIntegrationError
from crm_integration.intake import steps
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.sync.path import House
from crm_integration_tests.certificate import breaks, live, live_lanes, ranges, timescale
from crm_integration_tests.certificate.stand import house

Kind = Literal["range", "live", "lanes"]
"""Lists everything; drains, pass after pass; is a live run over the lanes."""
Fate = Literal["kill", "freeze", "linger"]
LINGER = 0.9
"""Seconds a process stays at a step, for somebody else to overtake it."""


@dataclass(frozen=True)
class Plan:
    """What becomes of one process: its fate at the `nth` time it comes to `step`."""

    fate: Fate | None = None
    step: str = ""
    nth: int = 1


@dataclass(frozen=True)
class Errand:
    """What a driver is to do until it is told to stop."""

    kind: Kind
    urls: DatabaseUrls
    mappings: Path
    tenants: Sequence[str]
    plan: Plan = field(default_factory=Plan)
    broken: str = ""
    number: int = 0
    next_day: bool = False
    """What waits for tomorrow is looked at now."""


def drive(errand: Errand, wire: Connection) -> None:
    """The life of a driver process. Tells of passes and of its fate on the wire."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    timescale.hurry(next_day=errand.next_day)
    breaks.apply(errand.broken)
    watch = _Watch(wire, errand.plan)
    steps.watch(watch.reached)
    engine = house(errand.urls, errand.mappings)
    watch.tell(("ready",))
    if errand.kind == "lanes":
        Thread(target=watch.listen_on, daemon=True).start()
        live_lanes.drain(engine, str(errand.number), watch.stopped, watch.tell)
    else:
        _pass_after_pass(errand, engine, watch)


def _pass_after_pass(errand: Errand, engine: House, watch: _Watch) -> None:
    """All tenants, again and again, each time in another order."""
    passes = ranges.passes if errand.kind == "range" else live.passes
    one_pass = passes(engine, str(errand.number))
    tenants = list(errand.tenants)
    while not watch.stopped.is_set():
        tenants.append(tenants.pop(0))
        done = [_passed(one_pass, one) for one in tenants]
        problems = [problem for one in done for problem in one.problems]
        watch.tell(("pass", sum(one.writes for one in done), problems))
        watch.listen()
        time.sleep(0.02)


def _passed(one_pass: Callable[[str], ranges.Passed], tenant: str) -> ranges.Passed:
    """One pass over one tenant; what goes wrong is told, and the next pass goes on."""
    try:
        return one_pass(tenant)
    except (CrmIntegrationError, SQLAlchemyError, psycopg.Error) as error:
        return ranges.Passed(0, [f"{tenant}: {type(error).__name__}"])


@dataclass
class _Watch:
    """Counts the steps of this process, and ends it at the one it was told.

    A live run takes steps in several threads: one of them meets the fate.
    """

    wire: Connection
    plan: Plan
    stopped: Event = field(default_factory=Event)
    seen: int = 0
    _lock: RLock = field(default_factory=RLock)

    def tell(self, told: tuple[object, ...]) -> None:
        """Tell the director."""
        with self._lock:
            self.wire.send(told)

    def listen(self) -> None:
        """Take up a new plan, or the word to stop; without its director a driver ends at once."""
        try:
            with self._lock:
                while self.wire.poll():
                    told = self.wire.recv()
                    if isinstance(told, Plan):
                        self.plan, self.seen = told, 0
                    else:
                        self.stopped.set()
        except EOFError:
            os._exit(0)

    def listen_on(self) -> None:
        """Listen as long as the process lives."""
        while True:
            self.listen()
            time.sleep(0.05)

    def reached(self, step: str) -> None:
        self.listen()
        fate = self._fate_at(step)
        if fate is not None:
            self._meet(fate, step)

    def _fate_at(self, step: str) -> Fate | None:
        with self._lock:
            if step != self.plan.step:
                return None
            self.seen += 1
            if self.seen != self.plan.nth:
                return None
            fate, self.plan = self.plan.fate, Plan()
            return fate

    def _meet(self, fate: Fate, step: str) -> None:
        self.tell((fate, step))
        if fate == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fate == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fate == "linger":
            time.sleep(LINGER)
