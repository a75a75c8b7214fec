"""A backfill gives way to live runs."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id

import pytest

from crm_integration.defs.giving_way import NICENESS, give_way


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness on Linux only")
def test_who_gives_way_is_nicer_and_so_are_the_threads_it_starts() -> None:
    """A backfill's tenants are taken by threads: they took all the processors there were."""

    def backfill() -> int:
        give_way()
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_niceness).result()

    before = _niceness()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(backfill).result() == NICENESS
    assert _niceness() == before
