"""How many people a company has, after its people were joined and taken apart."""

from __future__ import annotations

from crm_integration.canonical.identity_actions import split
from crm_integration.canonical.identity_list import merges
from crm_integration_tests.canonical.people import People, Seen, seen
from crm_integration_tests.house import Tenant, at


def _colleague(number: int, email: str, minute: int) -> Seen:
    return seen(
        number, f"Colleague{number} Miller", email, kind="registered", company="Miller Ltd",
        line1="1 High Street", when=at(minute),
    )  # fmt: skip


def _counted(tenant: Tenant) -> int:
    return int(tenant.value("select customers_count from companies"))


def test_a_company_counts_no_customer_who_became_another_one(tenant: Tenant) -> None:
    """Two accounts of one person became one, and the company still had two people."""
    people = People(tenant)
    people.write(_colleague(1, "ada@example.com", 0), _colleague(2, "eve@example.com", 1))
    assert _counted(tenant) == 2
    people.write(_colleague(2, "ada@example.com", 9))
    assert len(people.customers()) == _counted(tenant) == 1


def test_a_company_counts_again_who_was_taken_apart(tenant: Tenant) -> None:
    """The customer came back to life under the company it always had, and was not counted."""
    people = People(tenant)
    people.write(_colleague(1, "ada@example.com", 0), _colleague(2, "eve@example.com", 1))
    people.write(_colleague(2, "ada@example.com", 9))
    with tenant.scope() as scope:
        (merge,) = merges(scope)
        split(scope, merge["merge_id"], actor="test", reason="two people")
    assert len(people.customers()) == _counted(tenant) == 2
