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
from typing import Literal

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.errors import CrmIntegrationError
from crm_integration.intake import steps
from crm_integration.storage.urls import DatabaseUrls
from crm_integration_tests.certificate import breaks, live, ranges, timescale
from crm_integration_tests.certificate.stand import house

Kind = Literal["range", "live"]
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
    passes = ranges.passes if errand.kind == "range" else live.passes
    one_pass = passes(engine, str(errand.number))
    tenants = list(errand.tenants)
    wire.send(("ready",))
    while not watch.stopped:
        tenants.append(tenants.pop(0))
        done = [_passed(one_pass, one) for one in tenants]
        problems = [problem for one in done for problem in one.problems]
        wire.send(("pass", sum(one.writes for one in done), problems))
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
    """Counts the steps of this process, and ends it at the one it was told."""

    wire: Connection
    plan: Plan
    stopped: bool = False
    seen: int = 0

    def listen(self) -> None:
        """Take up a new plan, or the word to stop; without its director a driver ends at once."""
        try:
            while self.wire.poll():
                told = self.wire.recv()
                if isinstance(told, Plan):
                    self.plan, self.seen = told, 0
                else:
                    self.stopped = True
        except EOFError:
            os._exit(0)

    def reached(self, step: str) -> None:
        self.listen()
        if step != self.plan.step:
            return
        self.seen += 1
        if self.seen == self.plan.nth:
            self._meet(step)

    def _meet(self, step: str) -> None:
        fate, self.plan = self.plan.fate, Plan()
        self.wire.send((fate, step))
        if fate == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fate == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fate == "linger":
            time.sleep(LINGER)
