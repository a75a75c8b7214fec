"""The order of versions: whatever arrives in whatever order, the newest state stands."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_integration.intake.raw_records import Observation
from crm_integration_tests.house import House, Tenant, at, line, order

_numbers = count(1000)


@dataclass(frozen=True)
class _Version:
    minute: int
    how: Observation
    content: int


versions = st.lists(
    st.builds(_Version, st.integers(0, 2), st.sampled_from(Observation), st.integers(0, 99)),
    min_size=2,
    max_size=5,
    unique_by=lambda one: one.content,
)


@pytest.fixture(scope="module")
def shared(house: House) -> Tenant:
    """One tenant for all examples; each takes an order of its own."""
    return house.tenant()


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrived=versions, every=st.booleans())
def test_the_newest_version_stands_whatever_arrives_when(
    shared: Tenant, arrived: list[_Version], *, every: bool
) -> None:
    """`order.updated` came before `order.created`; a late webhook overwrote a paid order. Of one
    second the more direct sight stands, and of equal sights the one received later."""
    number = next(_numbers)
    for version in arrived:
        shared.keep(
            order(number, at(version.minute), number=f"v{version.content}"), how=version.how
        )
        if every:
            shared.derive()
    shared.derive()
    ranked = enumerate(arrived)
    _, newest = max(ranked, key=lambda pair: (pair[1].minute, pair[1].how, pair[0]))
    held = shared.value("select number from orders where source_id = :id", id=str(number))
    assert held == f"v{newest.content}"


def test_lines_in_another_order_are_the_same_order(tenant: Tenant) -> None:
    """7 of 1,088 invoices that two files share list their lines in another order."""
    mug, cup, twin = line("MUG"), line("CUP", 2, "6.00"), line("CUP", 2, "6.00")
    tenant.keep(order(7, at(0), line_items=[mug, cup, twin], total="22.00"))
    tenant.derive()
    tenant.sync("order")
    tenant.keep(order(7, at(5), line_items=[twin, cup, mug], total="22.00"))
    derived = tenant.derive()
    assert (derived.changed["order"], derived.unchanged["order"]) == (0, 1)
    outcomes = [
        row.outcome for row in tenant.rows("select outcome from raw_records order by raw_id")
    ]
    assert outcomes == ["applied", "same"]
    assert not tenant.value("select needs_projection from orders")


def test_a_line_twice_is_not_the_same_as_once(tenant: Tenant) -> None:
    """(invoice, item) is not unique: as a set the second line would be swallowed."""
    tenant.keep(order(7, at(0), line_items=[line("MUG"), line("MUG")], total="20.00"))
    tenant.derive()
    assert tenant.value("select count(*) from order_lines") == 2
    tenant.keep(order(7, at(5), line_items=[line("MUG")], total="20.00"))
    assert tenant.derive().changed["order"] == 1
    assert tenant.value("select count(*) from order_lines") == 1


def test_deriving_again_changes_nothing(tenant: Tenant) -> None:
    """A replay that counts as a change is a replay that floods the CRM."""
    tenant.keep(order(7, at(0)))
    tenant.derive()
    tenant.sync()
    again = tenant.derive()
    assert not any(again.changed.values())
    assert tenant.value("select count(*) from orders where needs_projection") == 0


def test_a_replay_of_an_old_day_ends_at_the_newest_state(tenant: Tenant) -> None:
    """Re-deriving last week from last week's records alone took orders back to `pending`."""
    from datetime import date

    from crm_integration.stores._contract import Window

    tenant.keep(order(7, at(0)), order(7, at(3 * 1440), status="completed"))
    tenant.derive(Window(date(2024, 3, 1), date(2024, 3, 2)))
    assert tenant.value("select store_status from orders") == "completed"
