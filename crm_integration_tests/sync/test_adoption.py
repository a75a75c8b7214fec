"""Records that were in the CRM before us, or that people changed since: adopted, left, tied."""

from __future__ import annotations

from sqlalchemy import text

from crm_integration.sync.waiting import AMBIGUOUS
from crm_integration_tests import shop_life
from crm_integration_tests.house import House, Tenant, account, at, order


def _synced(tenant: Tenant, object_type: str = "contact") -> bool:
    return {state for state, _ in tenant.state(object_type)} == {"synced"}


def test_an_adopted_contact_keeps_what_sales_wrote(tenant: Tenant) -> None:
    """The store's spelling trampled nicknames, phones and stages that sales had entered."""
    before = tenant.portal.enter(
        email="ADA@EXAMPLE.COM", firstname="Addie", jobtitle="Head of Buying",
        lifecyclestage="evangelist",
    )  # fmt: skip
    tenant.keep(account(1, at(0), "Ada@example.com"))
    tenant.keep(order(7, at(1), customer_id=1))
    tenant.derive()
    run = tenant.sync()
    assert (run.sent["contact"].adopted, run.sent["contact"].created) == (1, 0)
    contact = tenant.portal.one("contact")
    assert contact["hs_object_id"] == str(before.id)
    kept = {name: contact[name] for name in ("firstname", "jobtitle", "lifecyclestage")}
    assert kept == {
        "firstname": "Addie", "jobtitle": "Head of Buying", "lifecyclestage": "evangelist",
    }  # fmt: skip
    assert contact["lastname"] == "Account", "what was empty is filled"
    assert contact["ci_orders_count"] == "1"
    (order_id,) = tenant.portal.records("order")
    assert tenant.portal.linked("order", order_id, "contact") == {before.id}


def test_a_contact_that_is_there_twice_waits_for_a_person_and_its_order_does_not(
    tenant: Tenant,
) -> None:
    """One of two was picked at random; or the order was not written at all."""
    first = tenant.portal.enter(email="ada@example.com", firstname="Addie")
    second = tenant.portal.enter(email="ada@example.com", firstname="A.")
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.derive()
    assert tenant.sync().sent["contact"].ambiguous == 1
    assert tenant.state("contact") == [("parked", AMBIGUOUS)]
    assert tenant.portal.records("contact")[first.id]["firstname"] == "Addie"
    (order_id,) = tenant.portal.records("order")
    assert _synced(tenant, "order")
    assert tenant.portal.linked("order", order_id, "contact") == set()

    tenant.portal.state.archive("contacts", second)  # a person merges the two
    tenant.keep(order(8, at(9), customer_id=1))
    tenant.derive()
    tenant.sync()
    assert _synced(tenant)
    for one in tenant.portal.records("order"):
        assert tenant.portal.linked("order", one, "contact") == {first.id}


def test_two_records_that_a_person_merged_are_looked_for_again_the_next_day(
    tenant: Tenant,
) -> None:
    """The duplicate was merged in the CRM, and the contact waited for a change that never came."""
    tenant.portal.enter(email="ada@example.com", firstname="Addie")
    second = tenant.portal.enter(email="ada@example.com", firstname="A.")
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    tenant.sync()
    tenant.portal.state.archive("contacts", second)
    assert tenant.sync().calls == 0, "not at every run"

    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set waiting_since = now() - interval '25 hours'")
        )
    assert tenant.sync().sent["contact"].adopted == 1
    assert _synced(tenant)


def test_what_sales_change_in_a_filled_field_is_theirs(tenant: Tenant) -> None:
    """Each store edit of an address wrote the old name back over the corrected one."""
    tenant.keep(account(1, at(0), "ada@example.com", first_name="Ada"))
    tenant.derive()
    tenant.sync("contact")
    (contact_id,) = tenant.portal.records("contact")
    tenant.portal.edit("contact", contact_id, firstname="Lady Ada")
    tenant.keep(account(1, at(5), "ada@example.com", first_name="Augusta", last_name="King"))
    tenant.derive()
    tenant.sync("contact")
    contact = tenant.portal.one("contact")
    assert (contact["firstname"], contact["lastname"]) == ("Lady Ada", "King")


def test_an_order_field_that_a_person_changed_is_the_stores_again(tenant: Tenant) -> None:
    """An order is the store's alone: with the next change there it is set right."""
    tenant.keep(order(7, at(0)))
    tenant.derive()
    tenant.sync()
    (order_id,) = tenant.portal.records("order")
    tenant.portal.edit("order", order_id, hs_total_price="1")
    tenant.keep(order(7, at(5), status="completed"))
    tenant.derive()
    tenant.sync()
    assert tenant.portal.one("order")["hs_total_price"] == "10"


def test_a_record_deleted_in_the_crm_is_made_again_once(tenant: Tenant) -> None:
    """An update of a record that is gone was a permanent error for ever."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    tenant.sync("contact")
    (record,) = tenant.portal.state.records("contacts")
    tenant.portal.state.archive("contacts", record)
    tenant.keep(account(1, at(5), "ada@example.com", last_name="King"))
    tenant.derive()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["lastname"] == "King"
    assert _synced(tenant)


def test_people_who_share_a_mailbox_all_become_contacts(tenant: Tenant) -> None:
    """A CRM's e-mail is unique: of six on info@ five were refused, and the run broke off."""
    for number in range(1, 7):
        tenant.keep(order(number, at(number), email="info@example.com", first_name=f"P{number}"))
    tenant.derive()
    run = tenant.sync()
    assert run.problem is None
    names = sorted(one["firstname"] for one in tenant.portal.records("contact").values())
    assert names == [f"P{number}" for number in range(1, 7)]
    for one in tenant.portal.records("order"):
        assert len(tenant.portal.linked("order", one, "contact")) == 1


def _two_and_one_takes_the_others_email(tenant: Tenant) -> int:
    """Two contacts, Ada and Eve; Ada's store account (its id) has now the e-mail address that
    Eve's record holds in the CRM, and she has unsubscribed."""
    first = tenant.shop.account("ada@example.com")
    tenant.shop.account("eve@example.com", "Eve")
    shop_life.says(tenant.shop, first, "subscribed", "confirmed")
    tenant.run_once()
    (eve,) = (n for n, p in tenant.portal.records("contact").items() if p["firstname"] == "Eve")
    tenant.portal.edit("contact", eve, email="taken@example.com")
    tenant.shop.state.customers[first].fields["email"] = "taken@example.com"
    shop_life.says(tenant.shop, first, "unsubscribed")
    return first


LACKS = "written without email: another CRM record has it"


def test_an_opt_out_does_not_wait_for_an_email_that_another_record_holds(house: House) -> None:
    """Her new address was that of a second record: the whole contact was parked, and she who had
    unsubscribed in the same minute went on getting letters."""
    tenant = house.tenant("shopify")
    _two_and_one_takes_the_others_email(tenant)
    run = tenant.run_once().crm
    assert (run.problem, run.sent["contact"].failed) == (None, 0)
    ada = tenant.portal.one("contact", firstname="Ada")
    assert (ada["ci_email_consent"], ada["email"]) == ("unsubscribed", "ada@example.com")
    assert tenant.portal.one("contact", firstname="Eve")["email"] == "taken@example.com"
    assert tenant.state("contact") == [("synced", None), ("synced", LACKS)]
    outcomes = tenant.rows("select outcome, status from attempts order by attempt_id desc limit 2")
    assert [tuple(one) for one in outcomes] == [("synced", 200), ("pending", 409)]
    tenant.portal.calls.clear()
    assert tenant.sync().calls == 0, "not at every run"


def test_an_email_that_became_free_goes_with_the_next_change(house: House) -> None:
    """Left out once, the address was taken for written and the contact kept the old one."""
    tenant = house.tenant("shopify")
    ada = _two_and_one_takes_the_others_email(tenant)
    tenant.run_once()
    (eve,) = (n for n, p in tenant.portal.records("contact").items() if p["firstname"] == "Eve")
    tenant.portal.edit("contact", eve, email="eve@example.com")
    shop_life.says(tenant.shop, ada, "subscribed", "confirmed")
    tenant.run_once()
    assert tenant.portal.one("contact", firstname="Ada")["email"] == "taken@example.com"
    assert tenant.state("contact") == [("synced", None)] * 2


def test_an_email_that_became_free_is_sent_the_next_day_also_without_a_change(
    house: House,
) -> None:
    """Sales corrected the other record, and the store never spoke of this customer again."""
    tenant = house.tenant("shopify")
    _two_and_one_takes_the_others_email(tenant)
    tenant.run_once()
    (eve,) = (n for n, p in tenant.portal.records("contact").items() if p["firstname"] == "Eve")
    tenant.portal.edit("contact", eve, email="eve@example.com")
    with tenant.scope() as scope:
        scope.connection.execute(text("update ledger set written_at = now() - interval '25 hours'"))
    assert tenant.sync("contact").sent["contact"].updated == 1
    assert tenant.portal.one("contact", firstname="Ada")["email"] == "taken@example.com"
    assert tenant.state("contact") == [("synced", None)] * 2


def test_a_contact_that_belongs_to_another_customer_parks_one_row_and_stops_none(
    tenant: Tenant,
) -> None:
    """Two objects on one record overwrite each other for ever; and a clash in a batch must not
    undo the batch."""
    tenant.keep(*(account(n, at(n), f"p{n}@example.com") for n in range(1, 4)))
    tenant.derive()
    tenant.sync("contact")
    (held,) = (r for r, p in tenant.portal.records("contact").items() if p["email"][:2] == "p1")
    tenant.portal.edit("contact", held, email="late@example.com")
    tenant.keep(account(8, at(8), "late@example.com"), account(9, at(9), "p9@example.com"))
    tenant.derive()
    run = tenant.sync("contact")
    assert run.problem is None
    assert sorted(state for state, _ in tenant.state("contact")) == ["parked"] + ["synced"] * 4
    assert len(tenant.portal.records("contact")) == 4
