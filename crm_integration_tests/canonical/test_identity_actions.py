"""A person's word: a merge taken back, a suggestion accepted or declined."""

from __future__ import annotations

from uuid import UUID

import pytest

from crm_integration.audit.trail import verify
from crm_integration.canonical.identity_actions import accept, dismiss, split
from crm_integration.canonical.identity_list import merges, suggestions
from crm_integration.canonical.identity_suggestions import suggest
from crm_integration.errors import BadInput, NotFound
from crm_integration_tests.canonical.people import People, seen
from crm_integration_tests.house import Tenant, account, at, order, partition


def _two_in_one(tenant: Tenant) -> int:
    """An account and a guest of another name in one mailbox, each with an order; the merge."""
    tenant.keep(account(1, at(0), "smith@example.com"), order(7, at(1), customer_id=1))
    tenant.keep(order(8, at(2), email="smith@example.com", first_name="Paul"))
    tenant.derive()
    assert len(partition(tenant, "18")) == 1
    with tenant.scope() as scope:
        (merge,) = merges(scope)
    assert merge["rule"] == "email"
    return int(merge["merge_id"])


def _split(tenant: Tenant, merge_id: int) -> frozenset[UUID]:
    with tenant.scope() as scope:
        return split(scope, merge_id, actor="cli:ada", reason="father and son")


def test_a_split_gives_each_their_own_name_and_orders_again(tenant: Tenant) -> None:
    """The son's orders were the father's for ever, since nothing knew whose words were whose."""
    moved = _split(tenant, _two_in_one(tenant))
    assert len(moved) == 2
    rows = tenant.rows(
        "select o.source_id, c.store_customer_id, c.orders_count, o.needs_projection from orders o"
        " join customers c on c.customer_id = o.customer_id order by o.source_id"
    )
    assert [tuple(row)[:3] for row in rows] == [("7", "1", 1), ("8", None, 1)]
    names = {one["first_name"] for one in People(tenant).customers().values()}
    assert names == {"Ada", "Paul"}


def test_a_split_outlives_a_replay_and_the_persons_next_order(tenant: Tenant) -> None:
    """The next night's run joined them again by the same address."""
    _split(tenant, _two_in_one(tenant))
    tenant.keep(order(9, at(9), email="SMITH@example.com", first_name="Paul"))
    tenant.keep(account(1, at(10), "smith@example.com", first_name="Adam"))
    tenant.derive()
    tenant.derive()
    assert partition(tenant, "189") == {frozenset("1"), frozenset("89")}


def test_a_split_reaches_the_crm_as_two_contacts(tenant: Tenant) -> None:
    """Taken apart in our tables alone, sales went on seeing one person."""
    merge_id = _two_in_one(tenant)
    tenant.sync()
    _split(tenant, merge_id)
    tenant.sync()
    contacts = tenant.rows(
        "select distinct crm_record_id from bindings where object_type='contact'"
    )
    states = tenant.state("contact")
    assert len(contacts) == 2 or ("dead", None) not in states
    assert len(states) == 2


def test_who_was_put_apart_does_not_claim_the_shared_address(tenant: Tenant) -> None:
    """Both halves were matched by one address: the second contact was parked, or was the first."""
    merge_id = _two_in_one(tenant)
    tenant.sync()
    _split(tenant, merge_id)
    rows = tenant.rows("select kind, email_is_key from customers order by kind")
    assert [tuple(row) for row in rows] == [("guest", False), ("registered", True)]
    tenant.keep(order(8, at(20), email="smith@example.com", first_name="Paul", total="11.00"))
    tenant.derive()
    for _ in range(2):
        tenant.sync()
        tenant.hurry()
    assert tenant.state("contact") == [("synced", None)] * 2
    assert len(tenant.portal.records("contact")) == 2


def test_the_address_stays_with_whom_the_others_came_to(tenant: Tenant) -> None:
    """An account that joined a guest and was put apart again took the guest's contact along."""
    tenant.keep(order(8, at(0), email="smith@example.com", first_name="Paul"))
    tenant.derive()
    home = tenant.value("select customer_id from customers")
    tenant.keep(account(1, at(2), "smith@example.com"))
    tenant.derive()
    with tenant.scope() as scope:
        (merge,) = merges(scope)
    _split(tenant, int(merge["merge_id"]))
    rows = tenant.rows("select customer_id, kind, email_is_key from customers order by kind")
    assert [tuple(row)[1:] for row in rows] == [("guest", True), ("registered", False)]
    assert rows[0].customer_id == home


def test_who_is_accepted_again_shares_the_address(tenant: Tenant) -> None:
    """What a split took from them comes back with the merge."""
    _split(tenant, _two_in_one(tenant))
    with tenant.scope() as scope:
        (pair,) = suggestions(scope, state="dismissed")
        accept(scope, pair["suggestion_id"], actor="cli:ada")
    assert "shared_mailbox" not in {
        row.rule for row in tenant.rows("select rule from customer_identities")
    }
    assert tenant.value("select email_is_key from customers where merged_into is null")


def test_a_split_leaves_an_audit_entry_and_an_undone_merge(tenant: Tenant) -> None:
    """Who took it back, when and why is asked a year later."""
    merge_id = _two_in_one(tenant)
    _split(tenant, merge_id)
    (entry,) = tenant.rows("select * from audit_trail where action = 'identity.split'")
    assert (entry.actor, entry.subject) == ("cli:ada", str(merge_id))
    assert entry.details["reason"] == "father and son"
    (merge,) = tenant.rows("select * from identity_merges where undone_at is not null")
    assert (merge.undone_by, merge.undone_reason) == ("cli:ada", "father and son")
    with tenant.scope() as scope:
        assert verify(scope).problem is None
        with pytest.raises(BadInput, match="undone already"):
            split(scope, merge_id, actor="test", reason="again")


def test_what_was_put_apart_can_be_accepted_again(tenant: Tenant) -> None:
    """A wrong split must be no dead end either."""
    _split(tenant, _two_in_one(tenant))
    with tenant.scope() as scope:
        (pair,) = suggestions(scope, state="dismissed")
        accept(scope, pair["suggestion_id"], actor="cli:ada")
    assert len(partition(tenant, "18")) == 1
    tenant.keep(order(9, at(9), email="smith@example.com", first_name="Paul"))
    tenant.derive()
    assert len(partition(tenant, "189")) == 1
    assert tenant.value("select orders_count from customers where merged_into is null") == 3
    with tenant.scope() as scope, pytest.raises(BadInput, match="one customer already"):
        accept(scope, pair["suggestion_id"], actor="cli:ada")


def test_an_accepted_suggestion_joins_two_whom_no_key_joins(tenant: Tenant) -> None:
    """The duplicate with a typing error in its mailbox, found and then decided."""
    people = People(tenant)
    people.write(
        seen(1, "Catherine Sharpe", "c.sharpe@example.com", line1="5 High Street"),
        seen(2, "Catherine Sharp", "c.sharpe@exampel.com", line1="5 High Street"),
    )
    done = suggest(tenant.house.tenancy, tenant.name)
    assert (done.customers, done.suggestions) == (2, 1)
    with tenant.scope() as scope:
        (pair,) = suggestions(scope)
        accept(scope, pair["suggestion_id"], actor="cli:ada")
    assert len(people.groups()) == 1
    people.write(seen(2, "Catherine Sharp", "c.sharpe@exampel.com", line1="6 High Street",
                      when=at(5)))  # fmt: skip
    assert len(people.groups()) == 1


def test_a_dismissed_pair_is_not_asked_about_again(tenant: Tenant) -> None:
    """The same two names came back on the list each morning."""
    people = People(tenant)
    for n, last in enumerate(("Sharpe", "Sharp")):
        people.write(seen(n, f"Catherine {last}", f"c{n}@example.com", line1="5 High Street"))
    suggest(tenant.house.tenancy, tenant.name)
    with tenant.scope() as scope:
        (pair,) = suggestions(scope)
        dismiss(scope, pair["suggestion_id"], actor="cli:ada", reason="cousins")
    people.write(seen(0, "Catherine Sharpe", "c0@example.com", line1="5 High Street",
                      when=at(5), phone="020 7946 0999"))  # fmt: skip
    suggest(tenant.house.tenancy, tenant.name)
    with tenant.scope() as scope:
        assert suggestions(scope) == []
        assert len(suggestions(scope, state="dismissed")) == 1


def test_another_tenants_merge_is_not_found(tenant: Tenant, neighbour: Tenant) -> None:
    """A number typed wrong took another merchant's customers apart."""
    merge_id = _two_in_one(tenant)
    with neighbour.scope() as scope, pytest.raises(NotFound):
        split(scope, merge_id, actor="test", reason="wrong tenant")


def test_an_identity_that_moves_is_linked_anew(tenant: Tenant) -> None:
    """Consent goes by who was linked when; a moved identity kept the day of its first home."""
    merge_id = _two_in_one(tenant)
    before = {row.source_id: row.linked_at for row in tenant.rows(_LINKED)}
    _split(tenant, merge_id)
    after = {row.source_id: row.linked_at for row in tenant.rows(_LINKED)}
    assert after["1"] == before["1"]
    assert after["8"] > before["8"]


_LINKED = "select source_id, linked_at from customer_identities"
