"""Records that people merged in the CRM: ours goes on with what came out, never two with one."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from crm_integration.canonical.identity_actions import accept, dismiss
from crm_integration.sandbox.portal_merges import merge
from crm_integration.sync.bindings import Binding, bind, owners_of
from crm_integration.sync.crm_merges import EVIDENCE, MERGED, MERGED_THINGS
from crm_integration.sync.waiting import ANOTHERS
from crm_integration_tests.house import Tenant, account, at, order


def _two(tenant: Tenant) -> tuple[int, int]:
    """Ada and Bob with an order each; the ids of their CRM records."""
    tenant.keep(account(1, at(0), "ada@example.com", first_name="Ada"))
    tenant.keep(account(2, at(0), "bob@example.com", first_name="Bob"))
    tenant.keep(order(7, at(1), customer_id=1), order(8, at(1), customer_id=2))
    tenant.derive()
    tenant.sync()
    return _id(tenant, "Ada"), _id(tenant, "Bob")


def _id(tenant: Tenant, name: str) -> int:
    return int(tenant.portal.one("contact", firstname=name)["hs_object_id"])


def _merge(tenant: Tenant, primary: int, other: int, kind: str = "contacts") -> int:
    """Sales merge two records; the id of what came out."""
    held = [tenant.portal.state.get(kind, str(one)) for one in (primary, other)]
    assert held[0] is not None and held[1] is not None
    return merge(tenant.portal.state, kind, held[0], held[1]).id


def _rename(tenant: Tenant, number: int, email: str, minute: int, name: str) -> None:
    tenant.keep(account(number, at(minute), email, last_name=name))
    tenant.derive()
    assert tenant.sync().problem is None


def _bound(tenant: Tenant) -> dict[str, bool]:
    rows = tenant.rows("select crm_record_id, adopted from bindings where object_type = 'contact'")
    return {row.crm_record_id: row.adopted for row in rows}


def test_ours_that_sales_merged_into_their_own_goes_on_there(tenant: Tenant) -> None:
    """The id we were bound to was gone: the contact was made anew, and sales merged it again."""
    theirs = tenant.portal.enter(email="lady@example.com", firstname="Lady", jobtitle="Countess")
    ada, _ = _two(tenant)
    survivor = _merge(tenant, theirs.id, ada)
    assert survivor not in (theirs.id, ada)

    _rename(tenant, 1, "ada@example.com", 9, "King")
    contact = tenant.portal.records("contact")[survivor]
    assert contact["jobtitle"] == "Countess"
    assert contact["ci_orders_count"] == "1"
    assert contact["firstname"] == "Lady", "what people had there is theirs"
    assert contact["ci_key"], "our key went along"
    assert len(tenant.portal.records("contact")) == 2
    assert _bound(tenant)[str(survivor)] is True, "it is no record of our making any more"
    assert {state for state, _ in tenant.state("contact")} == {"synced"}
    assert tenant.sync().calls == 0


def test_two_of_ours_in_one_record_are_never_both_written_there(tenant: Tenant) -> None:
    """Each run wrote the other one's name over it, or broke on the unique index."""
    ada, bob = _two(tenant)
    survivor = _merge(tenant, ada, bob)
    tenant.keep(account(1, at(9), "ada@example.com", last_name="King"))
    tenant.keep(account(2, at(9), "bob@example.com", last_name="Miller"))
    tenant.derive()
    run = tenant.sync()
    assert run.problem is None
    assert tenant.portal.records("contact")[survivor]["ci_store_customer_id"] == "1"
    assert tenant.state("contact") == [("parked", MERGED), ("synced", None)]
    rows = tenant.rows("select rule, reasons, state from identity_suggestions")
    assert [(row.rule, row.reasons, row.state) for row in rows] == [
        ("crm_merge", [EVIDENCE], "open")
    ]
    assert len(tenant.portal.records("contact")) == 1


def test_the_second_one_waits_also_when_it_comes_first(tenant: Tenant) -> None:
    """Who came first took the record, and the one whose key it carries was the duplicate."""
    ada, bob = _two(tenant)
    survivor = _merge(tenant, ada, bob)
    _rename(tenant, 2, "bob@example.com", 9, "Miller")
    assert tenant.state("contact") == [("parked", MERGED), ("synced", None)]
    _rename(tenant, 1, "ada@example.com", 10, "King")
    _rename(tenant, 2, "bob@example.com", 11, "Fuller")
    assert tenant.state("contact") == [("parked", MERGED), ("synced", None)]
    assert tenant.portal.records("contact")[survivor]["ci_store_customer_id"] == "1"
    assert tenant.value("select count(*) from identity_suggestions") == 1


def _suggestion(tenant: Tenant) -> int:
    return tenant.value("select suggestion_id from identity_suggestions")


def test_an_accepted_merge_makes_them_one_customer_with_all_orders(tenant: Tenant) -> None:
    """Support said yes, and the second customer's orders stayed with nobody."""
    ada, bob = _two(tenant)
    survivor = _merge(tenant, ada, bob)
    _rename(tenant, 2, "bob@example.com", 9, "Miller")
    with tenant.scope() as scope:
        accept(scope, _suggestion(tenant), actor="support")
    tenant.derive()
    run = tenant.sync()
    assert run.problem is None
    assert [state for state, _ in tenant.state("contact")] == ["skipped", "synced"]
    contact = tenant.portal.one("contact")
    assert (contact["hs_object_id"], contact["ci_orders_count"]) == (str(survivor), "2")
    for one in tenant.portal.records("order"):
        assert tenant.portal.linked("order", one, "contact") == {survivor}


def test_a_dismissed_merge_gives_the_second_its_own_record_again(tenant: Tenant) -> None:
    """Sales had merged two strangers; taking that back must not need a developer."""
    ada, bob = _two(tenant)
    survivor = _merge(tenant, ada, bob)
    _rename(tenant, 2, "bob@example.com", 9, "Miller")
    with tenant.scope() as scope:
        dismiss(scope, _suggestion(tenant), actor="support", reason="two people")
    _rename(tenant, 2, "bob@example.com", 10, "Fuller")
    assert tenant.state("contact") == [("parked", ANOTHERS), ("synced", None)], "no second person"

    del tenant.portal.state.shelf("contacts").unique["email"]["bob@example.com"]
    _rename(tenant, 2, "bob@example.com", 11, "Smith")
    assert [state for state, _ in tenant.state("contact")] == ["synced", "synced"]
    assert tenant.portal.one("contact", email="bob@example.com")["lastname"] == "Smith"
    assert tenant.portal.records("contact")[survivor]["ci_store_customer_id"] == "1"


def test_a_record_that_carries_the_key_of_one_who_is_no_more_is_given_ours(tenant: Tenant) -> None:
    """Two accounts were one person to us; sales merged their records the other way round."""
    ada, bob = _two(tenant)
    survivor = _merge(tenant, ada, bob)
    _rename(tenant, 2, "bob@example.com", 9, "Miller")
    with tenant.scope() as scope:
        accept(scope, _suggestion(tenant), actor="support")
    tenant.derive()
    tenant.sync()
    dead = tenant.value("select customer_id from customers where merged_into is not null")
    tenant.portal.edit("contact", survivor, ci_key=str(dead))
    again = tenant.portal.enter(email="third@example.com", firstname="Third")
    last = _merge(tenant, survivor, again.id)
    _rename(tenant, 1, "ada@example.com", 12, "King")
    winner = tenant.value("select customer_id from customers where merged_into is null")
    assert tenant.portal.records("contact")[last]["ci_key"] == str(winner)
    assert len(tenant.portal.records("contact")) == 1


def test_merged_companies_wait_without_a_suggestion_about_people(tenant: Tenant) -> None:
    """A firm that was there twice is no question of who is who among customers."""
    for number, firm in ((1, "Lumen Works"), (2, "Marlow Pottery")):
        billing = {"company": firm, "country": "GB"}
        tenant.keep(account(number, at(0), f"p{number}@example.com", billing=billing))
    tenant.derive()
    tenant.sync()
    first, second = sorted(tenant.portal.records("company"))
    survivor = _merge(tenant, first, second, "companies")
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set state = 'pending' where object_type = 'company'")
        )
    run = tenant.sync("company")
    assert run.problem is None
    assert tenant.state("company") == [("parked", MERGED_THINGS), ("synced", None)]
    assert tenant.value("select count(*) from identity_suggestions") == 0
    assert list(tenant.portal.records("company")) == [survivor]


def test_a_binding_whose_record_another_run_took_is_left_out(tenant: Tenant) -> None:
    """Two runs adopted one record at one moment; the second one's whole batch was undone."""
    ada, bob = _two(tenant)
    with tenant.scope() as scope:
        place = (scope, "crm", "contact")
        held = owners_of(*place, [str(ada), str(bob)])
        first, second = held[str(ada)], held[str(bob)]
        bound = bind(*place, [Binding(second, str(ada), False), Binding(first, str(ada), False)])
    assert bound == frozenset(), "the record is somebody else's, and its owner came second"
    with tenant.scope() as scope:
        swapped = [Binding(first, str(bob), False), Binding(second, str(ada), False)]
        assert bind(scope, "crm", "contact", swapped) == {first, second}
    assert _owner(tenant, bob) == first


def _owner(tenant: Tenant, record: int) -> UUID:
    return tenant.value(
        "select object_id from bindings where object_type = 'contact' and crm_record_id = :r",
        r=str(record),
    )
