"""Identity: one person is one customer, a mailbox that many share is nobody."""

from __future__ import annotations

from itertools import count, permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_integration_tests.house import House, Tenant, account, at, order, partition

_numbers = count(1)


def test_a_guest_who_registers_later_becomes_one_customer_and_one_contact(
    tenant: Tenant,
) -> None:
    """`Jane.Doe@…` from an account and `jane.doe@…` from a checkout were two customers."""
    tenant.shop.guest_order("jane.doe@example.com", "Jane", "Doe")
    tenant.run_once()
    customer = tenant.shop.account("Jane.Doe@Example.com", "Jane", "Doe")
    tenant.shop.order(customer)
    tenant.run_once()
    assert tenant.value("select count(*) from customers where merged_into is null") == 1
    (contact,) = tenant.portal.records("contact").values()
    assert contact["ci_store_customer_id"] == str(customer)
    assert (contact["ci_customer_kind"], contact["ci_orders_count"]) == ("registered", "2")


def test_what_the_account_says_is_not_overwritten_by_a_later_guest_checkout(
    tenant: Tenant,
) -> None:
    """A gift order under a nickname renamed the customer in the CRM."""
    tenant.keep(account(5, at(0), "ada@example.com"))
    tenant.keep(order(7, at(60), email="ada@example.com", first_name="Nickname"))
    tenant.derive()
    tenant.sync()
    (contact,) = tenant.portal.records("contact").values()
    assert contact["firstname"] == "Ada"


@pytest.mark.parametrize(("holders", "customers"), [(2, 1), (5, 1), (6, 6), (9, 9)])
def test_five_names_on_a_mailbox_are_one_customer_and_six_are_six(
    tenant: Tenant, holders: int, customers: int
) -> None:
    """info@ of a large office became one customer with three hundred orders."""
    for number in range(1, holders + 1):
        tenant.keep(order(number, at(number), email="info@example.com", first_name=f"P{number}"))
    tenant.derive()
    assert len(partition(tenant, map(str, range(1, holders + 1)))) == customers


def test_a_sixth_holder_takes_five_joined_customers_apart_again(tenant: Tenant) -> None:
    """Joined for ever by who came first, the same shop gave other customers at each replay."""
    for number in range(1, 6):
        tenant.keep(order(number, at(number), email="info@example.com", first_name=f"P{number}"))
        tenant.derive()
    assert len(partition(tenant, "12345")) == 1
    tenant.keep(order(6, at(6), email="info@example.com", first_name="P6"))
    tenant.derive()
    assert partition(tenant, "123456") == {frozenset(one) for one in "123456"}


def test_customers_that_come_apart_hold_their_own_name_and_orders(tenant: Tenant) -> None:
    """The one who kept the joined customer's id kept the last guest's name with it."""
    for number in range(1, 7):
        tenant.keep(order(number, at(number), email="info@example.com", first_name=f"P{number}"))
        tenant.derive()
    tenant.sync()
    rows = tenant.rows(
        "select o.source_id, c.customer_id, c.orders_count from orders o"
        " join customers c using (customer_id)"
    )
    assert {row.orders_count for row in rows} == {1}
    named = {
        one["hs_object_id"]: one["firstname"] for one in tenant.portal.records("contact").values()
    }
    bound = {
        row.object_id: row.crm_record_id
        for row in tenant.rows("select * from bindings where object_type = 'contact'")
    }
    for row in rows:
        if row.customer_id in bound:
            assert named[bound[row.customer_id]] == f"P{row.source_id}"
    sealed = _first_names(tenant)
    assert {row.source_id: sealed[row.customer_id] for row in rows} == {
        str(number): f"P{number}" for number in range(1, 7)
    }


def _first_names(tenant: Tenant) -> dict[object, str]:
    from crm_integration.canonical.sourced import open_fields

    with tenant.scope() as scope:
        return {
            row.customer_id: open_fields(scope, "customers", str(row.customer_id), row.sealed)[
                "first_name"
            ]
            for row in tenant.rows("select customer_id, sealed from customers")
        }


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrival=st.permutations(range(8)), together=st.booleans())
def test_the_same_people_are_the_same_customers_in_every_order_of_arrival(
    shared: Tenant, arrival: list[int], *, together: bool
) -> None:
    """Six holders of one mailbox, one of them twice, and a guest who has an account."""
    base = next(_numbers) * 100
    mailbox, own = f"info{base}@example.com", f"ada{base}@example.com"
    people = [
        order(base + n, at(n), email=mailbox, first_name=f"P{min(n, 5)}") for n in range(6)
    ] + [order(base + 6, at(6), email=own), account(base + 7, at(7), own.upper())]
    for number in arrival:
        shared.keep(people[number])
        if not together:
            shared.derive()
    shared.keep(order(base + 8, at(8), email=mailbox, first_name="P5"))
    shared.derive()
    found = partition(shared, (str(base + n) for n in range(9)))
    alone = {frozenset({str(base + n)}) for n in range(5)}
    assert found == {
        *alone,
        frozenset({str(base + 5), str(base + 8)}),
        frozenset({str(base + 6), str(base + 7)}),
    }


@pytest.fixture(scope="module")
def shared(house: House) -> Tenant:
    """One tenant for all examples."""
    return house.tenant()


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_an_account_whose_address_becomes_a_guests_takes_the_guest_in(
    tenant: Tenant, arrival: tuple[int, ...]
) -> None:
    """Two customers that turn out to be one person: their orders count together."""
    things = [
        (account(5, at(0), "old@example.com"), order(6, at(1), customer_id=5)),
        (order(7, at(2), email="new@example.com"),),
        (account(5, at(3), "new@example.com"),),
    ]
    for number in arrival:
        tenant.keep(*things[number])
        tenant.derive()
    assert len(partition(tenant, "57")) == 1
    (row,) = tenant.rows(
        "select orders_count, lifecycle_stage from customers where merged_into is null and known"
    )
    assert tuple(row) == (2, "repeat")


def test_an_account_that_changes_its_address_stays_one_contact_with_the_new_address(
    tenant: Tenant,
) -> None:
    """Matched by e-mail alone, the change made a second contact and orphaned the first."""
    number = tenant.shop.account("old@example.com")
    tenant.shop.order(number)
    tenant.run_once()
    tenant.shop.call("PUT", f"/customers/{number}", {"email": "new@example.com"})
    tenant.run_once()
    (contact,) = tenant.portal.records("contact").values()
    assert contact["email"] == "new@example.com"


def test_an_account_that_leaves_a_shared_mailbox_is_found_by_its_own_address(
    tenant: Tenant,
) -> None:
    """Marked as one of many for ever, it was entered a second time beside sales' contact."""
    for number in range(1, 7):
        tenant.keep(account(number, at(number), "info@example.com"))
    tenant.derive()
    tenant.keep(account(1, at(10), "ada@example.com"))
    tenant.derive()
    rules = {
        row.source_id: row.rule
        for row in tenant.rows("select source_id, rule from customer_identities")
    }
    assert rules["1"] != "shared_mailbox"
    assert set(rules.values()) == {"external_id", "email"}, "five are left: a key again"


def test_a_merged_customer_that_comes_apart_again_is_seen_again(tenant: Tenant) -> None:
    """Marked as merged for ever, a person's contact was never written again."""
    tenant.keep(account(1, at(0), "ada@example.com"), order(2, at(1), email="info@example.com"))
    tenant.derive()
    tenant.sync()
    tenant.keep(account(1, at(2), "info@example.com"))
    tenant.derive()
    tenant.sync()
    assert ("skipped", "merged") in tenant.state("contact")
    for number in range(3, 8):
        tenant.keep(order(number, at(number), email="info@example.com", first_name=f"P{number}"))
    tenant.derive()
    assert partition(tenant, "1234567") == {frozenset(one) for one in "1234567"}
    assert tenant.value("select count(*) from customers where merged_into is not null") == 0
    tenant.sync()
    assert not [one for one in tenant.state("contact") if one[0] == "skipped"]


def test_an_order_given_to_another_account_is_counted_there_and_no_longer_here(
    tenant: Tenant,
) -> None:
    """Sums that are only added to drift: the first owner stayed a customer without an order."""
    tenant.keep(account(1, at(0), "a@example.com"), account(2, at(0), "b@example.com"))
    tenant.keep(order(7, at(1), customer_id=1))
    tenant.derive()
    tenant.keep(order(7, at(2), customer_id=2))
    tenant.derive()
    rows = tenant.rows("select store_customer_id, orders_count, lifecycle_stage from customers")
    assert {tuple(row) for row in rows} == {("1", 0, "lead"), ("2", 1, "customer")}
