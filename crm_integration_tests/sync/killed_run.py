"""A backfill in a process of its own, so that a test can kill it: reads what to do from stdin.

Writes the first day of each finished slice to stdout.
"""

from __future__ import annotations

import json
import sys
from datetime import date

from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import MasterKey
from crm_integration.stores._contract import Window
from crm_integration.sync.engines import Engines
from crm_integration.sync.path import House
from crm_integration.sync.report import Selection
from crm_integration.sync.slices import run_slices
from crm_integration.tenancy.scope import Tenancy
from crm_integration_tests.house import MAPPINGS


def main() -> None:
    """Run the slices that the document on stdin names."""
    told = json.load(sys.stdin)
    tenancy = Tenancy(engine_for(told["app"]), MasterKey(b"k" * 32))
    house = House(Engines(tenancy, engine_for(told["ops"])), MAPPINGS)
    windows = [Window(*map(date.fromisoformat, pair)) for pair in told["windows"]]
    selection = Selection(*(frozenset(part) for part in told["selection"]))
    running = run_slices(
        house,
        told["tenant"],
        windows,
        selection,
        run_id=told["run_id"],
        root_run_id=told["root_run_id"],
    )
    for part, report in running:
        assert not report.problems, report.problems
        sys.stdout.write(part.span.start.isoformat() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
