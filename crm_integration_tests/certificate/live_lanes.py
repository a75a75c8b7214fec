"""Live runs, one after the other, as Dagster starts them: over the lanes that nobody holds.

Prevents a certificate of a pass that nobody runs: lanes are taken by their locks, deliveries are
heard, tenants go through in threads, and a run gives way to its successor. Of two such processes
one drains and the other waits for its lanes, or asks for them when their holder's life is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from sqlalchemy.exc import SQLAlchemyError

from crm_integration.intake.lanes import ALL_LANES, Lanes, holders
from crm_integration.sync.live_pass import LivePass, Passed
from crm_integration.sync.live_run import LiveRun
from crm_integration.sync.path import House

LIFE = 6.0
"""Seconds until a successor asks for the lanes."""
_LOOKS = 0.1
Tell = Callable[[tuple[object, ...]], None]


def drain(house: House, name: str, stopped: Event, tell: Tell) -> None:
    """Run after run until `stopped`. Tells `("lanes", how many)` and `("pass", writes, problems)`.

    A database that is away is a problem of the moment.
    """
    number = 0
    while not stopped.is_set():
        number += 1
        try:
            _one_run(house, f"live-{name}-{number}", stopped, tell)
        except SQLAlchemyError as error:
            tell(("pass", 0, [f"lanes: {type(error).__name__}"]))
            time.sleep(_LOOKS)


def _one_run(house: House, run_id: str, stopped: Event, tell: Tell) -> None:
    ops = house.engines.ops
    with Lanes(ops, run_id, LIFE) as lanes:
        began = time.monotonic()
        while not lanes.take(ALL_LANES):
            if stopped.is_set():
                return
            if time.monotonic() - began > LIFE and _are_over(house):
                lanes.announce(ALL_LANES)
                began = time.monotonic()
            time.sleep(_LOOKS)
        tell(("lanes", len(lanes.held)))
        one_pass = LivePass(house, run_id)
        try:
            LiveRun(lanes, one_pass, stopped=_Both(stopped), told=_teller(tell)).run()
        finally:
            one_pass.close()
            tell(("lanes", 0))


def _are_over(house: House) -> bool:
    """Whether whoever holds the lanes has lived its life."""
    return any(time.time() > one.ends_at.timestamp() for one in holders(house.engines.ops))


def _teller(tell: Tell) -> Callable[[Passed], None]:
    def told(passed: Passed) -> None:
        problems = [f"{passed.tenant}: {one}" for one in passed.problems]
        tell(("pass", passed.writes, problems))

    return told


class _Both(Event):
    """Ends one run: set by itself, or by the process."""

    def __init__(self, process: Event) -> None:
        super().__init__()
        self._process = process

    def is_set(self) -> bool:
        return super().is_set() or self._process.is_set()
