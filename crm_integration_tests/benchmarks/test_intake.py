"""The bench itself, small: it sees a delivery that is lost, and fails below its targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crm_integration.intake.drop_table import put
from crm_integration.storage.engine import engine_for
from crm_integration_tests.benchmarks.intake import SECRET, Load, held, kept, measure
from crm_integration_tests.benchmarks.intake_crowd import BODY_BYTES, body_of, request_of
from crm_integration_tests.certificate.stand import database
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.intake.receiving import keys_of


@pytest.fixture(scope="module")
def document() -> Iterator[dict[str, Any]]:
    load = Load(requests=1_000, tenants=5, senders=8, crashed=1_500)
    with database() as server:
        yield measure(load, server, lambda words: None)


def test_a_crash_in_mid_load_loses_nothing(document: dict[str, Any]) -> None:
    """2xx for what was only on its way to the disk."""
    found = document["metrics"]
    assert found["refused_in_the_crash"] > 0
    assert found["acknowledged"] == 1_000 + 1_500 + 5 * 5
    assert found["lost"] == 0


def test_a_figure_has_its_price(document: dict[str, Any]) -> None:
    """On one machine a client that costs much looks like a slow server."""
    assert set(document["cpu_s"]) == {"receiver", "database", "senders"}
    assert all(one > 0 for one in document["cpu_s"].values())


def test_a_delivery_that_is_missing_or_changed_is_not_counted_as_kept(
    house: House, tenant: Tenant
) -> None:
    """Counted by rows, one that was kept with another's bytes looked like its own."""
    with engine_for(house.urls.intake).begin() as connection:
        for number, kept_as in ((1, 1), (2, 2), (3, 4)):
            put(connection, keys_of(tenant), "main", _headers(number), body_of(kept_as))
    assert kept(house.tenancy, [tenant.name]) == {1, 2}


def _headers(number: int) -> dict[str, str]:
    head = request_of(number, "/", SECRET.encode()).partition(b"\r\n\r\n")[0]
    lines = [one.partition(": ") for one in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, _, value in lines}


def test_every_delivery_has_two_kilobytes_and_is_like_no_other() -> None:
    """Equal bodies were one delivery for the receiver, and cost it nothing."""
    bodies = [body_of(number) for number in (0, 1, 2, 1_000_000)]
    assert {len(one) for one in bodies} == {BODY_BYTES}
    assert len(set(bodies)) == 4


GOOD = {"requests_per_s": 2_000.0, "p99_ms": 49.9, "lost": 0, "refused_in_the_crash": 1}


@pytest.mark.parametrize(
    "bad",
    [{"requests_per_s": 1_999.9}, {"p99_ms": 50.0}, {"lost": 1}, {"refused_in_the_crash": 0}],
)
def test_each_target_fails_the_bench(bad: dict[str, float]) -> None:
    """A crash that came after the load proves nothing."""
    assert held({"metrics": GOOD})
    assert not held({"metrics": {**GOOD, **bad}})
