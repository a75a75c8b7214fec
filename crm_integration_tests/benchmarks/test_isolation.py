"""The bench itself, small: what it measures has happened, and what stays away fails it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crm_integration_tests.benchmarks.isolation import Load, Waits, held, measure
from crm_integration_tests.certificate.stand import database


@pytest.fixture(scope="module")
def document() -> Iterator[dict[str, Any]]:
    load = Load(tenants=2, per_second=0.5, seconds=4.0, rounds=2)
    with database() as server:
        yield measure(load, server, lambda words: None)


def test_nobody_waits_for_the_dead_or_behind_the_flood(document: dict[str, Any]) -> None:
    """A hanging account holds each of its calls for half a minute."""
    found = document["metrics"]
    assert found["events"] == found["arrived"] == 2 * 2 * 4
    assert found["p95_beside_s"] < 10


def test_there_was_a_flood(document: dict[str, Any]) -> None:
    """Refused by the receiver, it is nobody's neighbour."""
    found = document["metrics"]
    assert found["flooded"] >= 2 * 20 * 0.5 * 4


def test_the_slowest_twentieth_is_what_counts() -> None:
    waits = Waits(100, [0.1] * 94 + [9.0] * 6)
    assert waits.p95 == pytest.approx(9.0)
    assert Waits(100, [0.1] * 96 + [9.0] * 4).p95 == pytest.approx(0.1)


@pytest.mark.parametrize(
    "bad", [{"growth": 0.1}, {"growth": None}, {"arrived": 99}, {"flooded": 0}, {"events": 0}]
)
def test_each_target_fails_the_bench(bad: dict[str, Any]) -> None:
    """An event that never arrived has no wait that could be long."""
    good = {"growth": 0.099, "events": 100, "arrived": 100, "flooded": 1}
    assert held({"metrics": good})
    assert not held({"metrics": {**good, **bad}})
