"""One pass of the live driver: the engine's own, told in the words of a certificate.

Prevents a second code path from being tested here.
"""

from __future__ import annotations

from collections.abc import Callable

from crm_integration.sync.live_pass import LivePass
from crm_integration.sync.path import House
from crm_integration_tests.certificate.ranges import Passed


def passes(house: House, run_id: str) -> Callable[[str], Passed]:
    """What takes a tenant through, pass after pass."""
    live = LivePass(house, f"live-{run_id}")

    def one_pass(tenant: str) -> Passed:
        done = live(tenant)
        return Passed(done.writes, [f"{tenant}: {one}" for one in done.problems])

    return one_pass
