"""The bench itself: it sees a limiter that is too fast and one that is too slow."""

from __future__ import annotations

import time

import httpx
import pytest

from crm_integration_tests.benchmarks.limiter import Load, Reached, _seen, held  # pyright: ignore[reportPrivateUsage]
from crm_integration_tests.benchmarks.metered_api import Meter, metered_api


def test_a_call_too_many_is_refused_and_counted() -> None:
    """A vendor that counts nothing would let every limiter pass."""
    with metered_api(3, 60) as address, httpx.Client() as client:
        answers = [client.get(f"{address}/call").status_code for _ in range(5)]
        report = client.get(f"{address}/report").json()
    assert answers == [200, 200, 200, 429, 429]
    assert (len(report["accepted"]), report["refused"]) == (3, 2)


def test_the_window_rolls() -> None:
    """A window that began anew each second let twice its quota through."""
    meter = Meter(2, 0.3)
    assert [meter.take("a"), meter.take("a"), meter.take("a")] == [True, True, False]
    time.sleep(0.31)
    assert meter.take("a")


@pytest.mark.parametrize(("took", "ratio"), [(2.0, 1.0), (4.0, 0.5)])
def test_the_rate_is_of_whole_windows(took: float, ratio: float) -> None:
    """Counted with the first burst, three windows looked like four."""
    load = Load(calls=2, seconds=1.0, windows=2)
    moments = [0.0, 0.1, 1.0, 1.1, took]
    seen = _seen(load, [(one, "tenant0") for one in moments], 0, 1)
    assert seen.ratio == pytest.approx(ratio)


def test_one_refusal_fails_the_bench() -> None:
    """98 % with one 429 is a limiter that guesses."""
    good = {one: Reached(10, 9.9, 0, 1.0).json() for one in ("one_tenant", "ten_tenants")}
    assert held({"metrics": good})
    for bad in (Reached(10, 9.9, 1, 1.0), Reached(10, 9.7, 0, 1.0)):
        assert not held({"metrics": {**good, "one_tenant": bad.json()}})
