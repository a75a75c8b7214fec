"""Whose customer goes on living when identities come and go: the id that a CRM record hangs on."""

from __future__ import annotations

from uuid import UUID

import pytest

from crm_integration_tests.canonical.people import People, seen
from crm_integration_tests.house import Tenant, at

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def people(tenant: Tenant) -> People:
    """Ann of two checkouts, the first of which founded her customer, and Bob of one."""
    made = People(tenant)
    made.write(
        seen(1, "Ann Guest", ANN, when=at(0)),
        seen(2, "Ann Guest", ANN, when=at(1)),
        seen(3, "Bob Guest", BOB, when=at(2)),
    )
    return made


def _homes(people: People) -> dict[str, UUID]:
    rows = people.tenant.rows("select source_id, customer_id from customer_identities")
    return {row.source_id: row.customer_id for row in rows}


def test_a_corrected_guest_order_takes_nobodys_customer_along(people: People) -> None:
    """Ann's first order was Bob's: Bob took over Ann's contact, and Ann got a new one."""
    before = _homes(people)
    people.write(seen(1, "Bob Guest", BOB, when=at(9)))
    after = _homes(people)
    assert (after["2"], after["3"]) == (before["2"], before["3"])
    assert after["1"] == before["3"]


def test_who_becomes_somebody_new_leaves_the_customer_to_those_who_stay(people: People) -> None:
    """The oldest order of a mailbox was corrected to a stranger's, who then had Ann's contact."""
    before = _homes(people)
    people.write(seen(1, "Cid Stranger", "cid@example.com", when=at(9)))
    after = _homes(people)
    assert (after["2"], after["3"]) == (before["2"], before["3"])
    assert after["1"] not in before.values()


def test_a_leader_of_another_name_joins_without_bringing_its_old_customer(people: People) -> None:
    """It shares Bob's mailbox by another name and is the oldest there: Bob's customer stays."""
    before = _homes(people)
    people.write(seen(1, "Bea Guest", BOB, when=at(9)))
    after = _homes(people)
    assert after["1"] == after["3"] == before["3"]
    assert after["2"] == before["2"]


def test_a_customer_of_whom_all_change_keeps_its_id(people: People) -> None:
    """A typing error in the address, mended in both orders, is no new contact."""
    before = _homes(people)
    mended = "ann.guest@example.com"
    people.write(seen(1, "Ann Guest", mended, when=at(9)), seen(2, "Ann Guest", mended, when=at(9)))
    assert _homes(people) == before
