"""A real shop's order book, from Parquet to the CRMs, against a sum that knows none of our code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from crm_integration_tests.cli.demo_process import command, own_home
from crm_integration_tests.oracle.invoices import expected_totals, invoices
from crm_integration_tests.shared_data import SHARED

pytestmark = pytest.mark.skipif(SHARED is None, reason="../shared with the real data is missing")

BOTH = {"orders": 41_937, "refunds": 8_292, "quarantined_invoices": 3_399, "guest_orders": 4_962}
"""Published with the data; the two files overlap by 1,088 invoices."""


def _book(year: str) -> Path:
    assert SHARED is not None
    return SHARED / "data" / "online_retail" / f"online_retail_{year}.parquet"


@pytest.fixture
def home() -> Iterator[Path]:
    with own_home() as found:
        yield found


def _demo(home: Path, *arguments: str, timeout: float) -> dict[str, Any]:
    answered = command(home, "demo", "--json", *arguments, timeout=timeout)
    assert answered.code == 0, answered.err
    return answered.document()


def test_two_days_of_a_real_shop_arrive_to_the_penny(home: Path) -> None:
    """The small form of the months below."""
    book = _book("2010_2011")

    document = _demo(home, "--orders", str(book), "--from", "2010-12-02", "--days", "2",
                     timeout=300)  # fmt: skip

    assert document["totals"] == expected_totals([book], first_day=date(2010, 12, 2), days=2)
    assert document["replay"]["crm_calls"] == 0


@pytest.mark.slow
def test_thirty_days_of_a_real_shop_arrive_to_the_penny(home: Path) -> None:
    """Credit notes without an order, adjustments, guests, pseudo-items: as people typed them."""
    book = _book("2010_2011")

    document = _demo(home, "--orders", str(book), "--days", "30", timeout=900)

    assert document["totals"] == expected_totals([book], days=30)
    assert document["replay"]["crm_calls"] == 0
    assert sum(one["adopted"] for one in document["tenants"]) == 48


@pytest.mark.slow
def test_two_years_with_their_overlap_arrive_once(home: Path) -> None:
    """The second file is a second poll: what the shop says again is counted, never doubled."""
    books = [_book("2009_2010"), _book("2010_2011")]

    document = _demo(home, "--orders", str(books[0]), "--orders", str(books[1]), timeout=3_000)

    assert {name: document["totals"][name] for name in BOTH} == BOTH
    assert document["totals"] == expected_totals(books)
    for one in document["tenants"]:
        assert one["crm_records"]["orders"] == one["canonical"]["order"]
        told = one["canonical"]["refund"] + one["canonical"]["activity"]
        assert one["crm_records"]["notes"] == told
    again = set(dict(invoices(books[0]))) & set(dict(invoices(books[1])))
    credits = sum(number.startswith("C") for number in again)
    assert (len(again), credits) == (1_088, 136)
    # Every order of the overlap came again, and so did some that a parcel or a refund had moved.
    # Only WooCommerce lists refunds apart; elsewhere they come inside their orders.
    seen_again = sum(one["repeats"]["order"] for one in document["tenants"])
    assert len(again) - credits <= seen_again <= 1.2 * len(again)
    listed_apart = {one["store"] for one in document["tenants"] if one["repeats"].get("refund")}
    assert listed_apart == {"woocommerce"}
    assert document["replay"]["crm_calls"] == 0
