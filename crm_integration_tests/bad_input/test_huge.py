"""Orders of 10,000 lines, 60 MB in one object or delivery: bounded, and nobody else waits."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from crm_integration.errors import Permanent
from crm_integration.intake.drop_table import drain
from crm_integration.sandbox.shop_state import OrderRecord
from crm_integration.stores._contract import Window
from crm_integration.transport.http import LARGEST_ANSWER, TOO_LARGE
from crm_integration_tests.bad_input.accounting import accounted
from crm_integration_tests.bad_input.measuring import measured
from crm_integration_tests.bad_input.spoiling import DAYS, deliver
from crm_integration_tests.conformance import books
from crm_integration_tests.house import WHOLE, House, Tenant, at, order

LINES = 10_000
NOTE = "leave it with the neighbour, number "
HUGE = 60_000_000
Recorded = Callable[[str, object], None]
"""Figures for the report of the tests."""


def _placed(tenant: Tenant, key: int, lines: int = 1, **changes: object) -> OrderRecord:
    bought = tuple(books.mug(n + 1, f"L{n % 40}", f"Line {n}", 1 + n % 3) for n in range(lines))
    total = sum(one.amount_minor for one in bought)
    tenant.shop.now = books.LATER
    return books.order(
        tenant.shop.state, key, books.NOON, lines=bought, total_minor=total, **changes
    )


@pytest.mark.parametrize(
    "window", [DAYS, pytest.param(WHOLE, marks=pytest.mark.slow)], ids=["days", "all"]
)
def test_an_order_of_10_000_lines_reaches_the_crm(
    tenant: Tenant, window: Window, record_property: Recorded
) -> None:
    """A wholesaler's standing order timed out page after page and was never seen."""
    placed = _placed(tenant, 501, LINES)
    with measured() as cost:
        tenant.extract(window=window)
        account = accounted(tenant)
    record_property("cpu_seconds", round(cost.seconds, 1))
    record_property("mb", round(cost.mb))
    assert tenant.value("select count(*) from order_lines") == LINES
    assert tenant.value("select total_minor from orders") == placed.total_minor
    assert account.states["order", "synced"] == 1
    assert not account.reasons
    assert cost.seconds < 20
    assert cost.mb < 250


def test_a_listed_object_of_60_mb_does_not_take_its_page_with_it(
    tenant: Tenant, record_property: Recorded
) -> None:
    """A plugin wrote its log into an order's note: the run was killed for its memory, every hour,
    and no later order ever came."""
    for key in range(501, 507):
        _placed(tenant, key, customer_note=f"{NOTE}{key}")
    marked, huge = f"{NOTE}503".encode(), b"x" * HUGE
    tenant.shop.spoiling.spoil = lambda body: body.replace(marked, huge)
    with measured() as cost:
        tenant.extract("order", window=DAYS)
        account = accounted(tenant)
    record_property("mb", round(cost.mb))
    assert account.states["order", "synced"] == 5
    assert account.reasons == {"too_large at $": 1}
    ((source_id, stored, flags),) = tenant.rows(
        "select source_id, octet_length(payload), flags from raw_records "
        "where outcome = 'quarantined'"
    )
    assert source_id.endswith("503")
    assert stored < 100, "what is too large was kept"
    assert any(int(one.split()[0]) > HUGE for one in flags if one.endswith(" bytes"))
    assert cost.mb < 600  # the emulator's copies of the body are in it

    tenant.shop.spoiling.spoil = lambda body: body
    tenant.extract("order", window=DAYS)
    again = accounted(tenant)
    assert again.states["order", "synced"] == 6, "made smaller, it must come"
    assert not again.reasons, "and nothing is left in quarantine"


def test_an_answer_beyond_all_measure_is_not_read(tenant: Tenant) -> None:
    """Told, and nothing of the shop is lost: the same listing brings it when it is mended."""
    for key in (501, 502, 503):
        _placed(tenant, key, customer_note=f"{NOTE}{key}")
    marked, huge = f"{NOTE}502".encode(), b"x" * (LARGEST_ANSWER + 1)
    tenant.shop.spoiling.spoil = lambda body: body.replace(marked, huge)
    with measured() as cost:
        try:
            tenant.extract("order", window=DAYS)
        except Permanent as error:
            assert error.code == TOO_LARGE
        else:  # read row by row, or line by line
            told = accounted(tenant)
            assert told.states["order", "synced"] == 2
            assert told.reasons, "a row was left out without a word"
    assert cost.mb < 600
    tenant.shop.spoiling.spoil = lambda body: body
    tenant.extract("order", window=DAYS)
    account = accounted(tenant)
    assert account.states["order", "synced"] == 3
    assert not account.reasons


def test_a_delivery_of_60_mb_is_told_and_the_others_are_read(house: House) -> None:
    """The receiver will refuse such a body; what lies in the drop table all the same must not
    stop those behind it."""
    tenant = house.tenant("woocommerce")
    bodies = [order(7, at(1)).payload, b'{"id": 8, "note": "' + b"x" * HUGE + b'"}']
    bodies += [order(9, at(2)).payload]
    deliver(house, tenant, *bodies)
    with measured() as cost:
        kept = drain(house.tenancy, house.engines.ops, tenant.name, tenant.store, run_id="r1")
    assert kept.kept == 2
    account = accounted(tenant)
    assert account.states["order", "synced"] == 2
    assert account.reasons == {"too_large at $": 1}
    assert cost.mb < 300


def test_many_long_orders_are_derived_a_few_at_a_time(house: House) -> None:
    """500 orders a transaction are 2 MB, or four gigabytes: it is counted in bytes as well."""
    tenant = house.tenant("woocommerce")
    long = [{**orjson.loads(order(1, at(0)).payload)["line_items"][0], "id": n}
            for n in range(3_000)]  # fmt: skip
    padding = "x" * 600
    for row in long:
        row["meta_data"] = [{"key": "made", "value": padding}]
    batch = [order(n, at(n), line_items=long, total=f"{10 * len(long)}.00") for n in range(1, 31)]
    assert sum(len(one.payload) for one in batch) > 60_000_000
    for one in batch:
        tenant.keep(one)
    batch.clear()
    with measured() as cost:
        tenant.derive()
    assert tenant.value("select count(*) from order_lines") == 30 * len(long)
    assert cost.mb < 300
