"""Companies, contacts, carts and notes over real HTTP, each with its released mapping."""

from __future__ import annotations

from uuid import UUID

import pytest

from crm_integration.canonical.consents import ConsentState
from crm_integration.crms._contract import Association, FieldNeed, Write
from crm_integration.crms._registry import crm_connector
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.errors import DataRejected, RemoteError
from crm_integration.mapping.model import OBJECT_TYPES
from crm_integration.sandbox.portal_state import PortalState, Record
from crm_integration_tests.crms.hubspot.served.writer import NOON, Writer, newest, tie
from crm_integration_tests.mapping.views import (
    ORDER,
    VIEW_OF,
    activity,
    cart,
    company,
    customer,
    order,
    refund,
)


def held(account: PortalState, kind: str, record_id: str) -> Record:
    found = account.get(kind, record_id)
    assert found is not None
    return found


def test_the_manifest_names_every_object_type_in_the_order_of_sending() -> None:
    """A type sent before the one it belongs to waits for the next run, every time."""
    objects = crm_connector("hubspot").manifest.objects
    assert tuple(objects) == OBJECT_TYPES
    for position, object_type in enumerate(OBJECT_TYPES):
        mapping = newest(object_type)
        before = OBJECT_TYPES[:position]
        ties = mapping.associations(VIEW_OF[object_type](**_tied(object_type)))
        assert all(to in before for to, _ in ties), object_type
        assert (mapping.match is not None) == (objects[object_type].match_field is not None)
        if mapping.match is not None:
            assert mapping.match.field == objects[object_type].match_field


def _tied(object_type: str) -> dict[str, UUID]:
    return {"contact": {"company_id": ORDER}, "cart": {"order_id": ORDER}}.get(object_type, {})


@pytest.mark.parametrize("object_type", OBJECT_TYPES)
def test_a_record_of_every_kind_is_written_and_at_rest(adapter: Adapter, object_type: str) -> None:
    """A field that the account does not have refuses all records; one that comes back otherwise
    is written for ever."""
    writer, view = Writer(adapter, object_type), VIEW_OF[object_type]()
    record_id = writer.create("key-1", view)
    assert writer.update("key-1", view, record_id) == {}
    found = adapter.find_by_key(object_type, ["key-1"], list(writer.mapping.reads))
    assert found["key-1"].record_id == record_id
    assert set(found["key-1"].fields) == set(writer.mapping.reads)


def test_a_company_that_sales_entered_is_found_by_its_name_and_adopted(
    adapter: Adapter, account: PortalState
) -> None:
    """The second `Invented & Sons`, beside the one with the owner and the open deal."""
    entered = account.seed(
        "companies", {"name": "INVENTED & Sons", "city": "Potsdam", "domain": "invented.example"},
        created=1.0,
    )  # fmt: skip
    for _ in range(2):
        account.seed("companies", {"name": "Twice Ltd"}, created=1.0)
    writer = Writer(adapter, "company")
    names = ["Invented & Sons", "Twice Ltd", "Nobody Inc"]
    found = adapter.find_by_match("company", "name", names, writer.mapping.reads)
    assert {name: len(records) for name, records in found.items()} == {
        "invented & sons": 1, "twice ltd": 2,
    }  # fmt: skip
    (record,) = found["invented & sons"]
    assert record.key is None
    written = writer.adopt("co-1", company(), record)
    assert set(written) == {"country", "ci_store", "ci_customers_count"}
    kept = held(account, "companies", str(entered.id)).properties
    assert (kept["name"], kept["city"], kept["domain"]) == (
        "INVENTED & Sons", "Potsdam", "invented.example",
    )  # fmt: skip
    assert (kept["country"], kept["ci_key"]) == ("Germany", "co-1")
    assert writer.update("co-1", company(customers_count=3), record.record_id) == {
        "ci_customers_count": 3
    }


def test_a_contact_hangs_on_its_company(adapter: Adapter, account: PortalState) -> None:
    """The people of a firm were in the CRM, and its page showed none."""
    firm = Writer(adapter, "company").create("co-1", company())
    person = Writer(adapter, "contact").create("cu-1", customer())
    for _ in range(2):
        tie(adapter, ("contact", person), ("company", firm))
    linked = account.linked("contacts", int(person), "companies")
    assert linked == {int(firm): {("HUBSPOT_DEFINED", 279)}}
    assert list(account.linked("companies", int(firm), "contacts")) == [int(person)]


def test_a_cart_that_became_an_order_is_the_same_record(
    adapter: Adapter, account: PortalState
) -> None:
    """One record `abandoned` and another `converted`: the reminder went to a buyer."""
    writer = Writer(adapter, "cart")
    record_id = writer.create("cart-1", cart())
    person = Writer(adapter, "contact").create("cu-1", customer())
    tie(adapter, ("cart", record_id), ("contact", person))
    bought = cart(state="converted", completed_at=NOON, order_id=ORDER, order_number="R-100")
    written = writer.update("cart-1", bought, record_id)
    assert set(written) == {"hs_external_status", "ci_completed_at", "ci_order_number"}
    placed = Writer(adapter, "order").create("or-1", order())
    tie(adapter, ("cart", record_id), ("order", placed))
    (only,) = account.records("carts")
    assert str(only.id) == record_id
    assert only.properties["hs_external_status"] == "converted"
    assert only.properties["ci_abandoned_at"], "that it was abandoned before stays known"
    assert list(account.linked("carts", only.id, "orders")) == [int(placed)]
    assert list(account.linked("carts", only.id, "contacts")) == [int(person)]


def test_activities_and_refunds_are_notes_that_never_meet(
    adapter: Adapter, account: PortalState
) -> None:
    """Both are notes of one account: an update of the one must not land on the other."""
    refunds, activities = Writer(adapter, "refund"), Writer(adapter, "activity")
    given_back = refunds.create("re-1", refund())
    paid = activities.create("ac-1", activity())
    assert given_back != paid
    keys = ["re-1", "ac-1"]
    assert {
        key: record.record_id for key, record in adapter.find_by_key("activity", keys, []).items()
    } == {"re-1": given_back, "ac-1": paid}, "a key names one record, whoever asks"
    assert activities.update("ac-1", activity(title="Order paid"), paid) == {
        "hs_note_body": "Order paid"
    }
    kinds = {str(note.id): note.properties["ci_kind"] for note in account.records("notes")}
    assert kinds == {given_back: "refund", paid: "order_paid"}
    placed = Writer(adapter, "order").create("or-1", order())
    tie(adapter, ("activity", paid), ("order", placed))
    tie(adapter, ("refund", given_back), ("order", placed))
    assert set(account.linked("orders", int(placed), "notes")) == {int(paid), int(given_back)}


def test_an_opt_out_in_the_crm_is_seen_right_before_the_write(
    adapter: Adapter, account: PortalState
) -> None:
    """The store's newsletter box was ticked; the person had unsubscribed in the CRM's e-mail."""
    writer = Writer(adapter, "contact")
    record_id = writer.create("cu-1", customer())
    contact = held(account, "contacts", record_id)
    assert contact.properties["ci_email_consent"] == "subscribed"

    account.opted_out(contact)
    written = writer.update("cu-1", customer(orders_count=3), record_id)
    assert written == {
        "ci_orders_count": 3, "ci_email_consent": "unsubscribed", "ci_email_consent_at": None,
        "ci_email_consent_basis": "crm",
    }  # fmt: skip
    assert writer.update("cu-1", customer(orders_count=3), record_id) == {}

    account.opted_out(contact, value=False)
    writer.update("cu-1", customer(orders_count=3), record_id)
    assert contact.properties["ci_email_consent"] == "subscribed"
    assert contact.properties["ci_email_consent_basis"] == "checkout"


def test_an_opt_out_that_the_search_does_not_know_yet_is_seen_on_adoption(
    adapter: Adapter, account: PortalState
) -> None:
    """The search index lags: a minute after the person unsubscribed it still said otherwise."""
    entered = account.seed("contacts", {"email": "ada@example.com"}, created=1.0)
    account.opted_out(entered)
    writer = Writer(adapter, "contact")
    found = adapter.find_by_match("contact", "email", ["Ada@Example.com"], writer.mapping.reads)
    (record,) = found["ada@example.com"]
    assert record.fields["hs_email_optout"] == "true"
    assert writer.adopt("cu-1", customer(), record)["ci_email_consent"] == "unsubscribed"


def test_an_opt_out_that_a_person_typed_in_the_crm_outlives_every_opt_in(
    adapter: Adapter, account: PortalState
) -> None:
    """Support wrote it into our field by hand; the next order wrote it away."""
    writer = Writer(adapter, "contact")
    record_id = writer.create("cu-1", customer())
    contact = held(account, "contacts", record_id)
    account.update("contacts", contact, {"ci_email_consent": "unsubscribed"})
    assert writer.update("cu-1", customer(), record_id) == {
        "ci_email_consent_at": None, "ci_email_consent_basis": "crm",
    }  # fmt: skip
    assert contact.properties["ci_email_consent"] == "unsubscribed"
    out = customer(email_consent=ConsentState.unsubscribed, email_consent_basis="account")
    writer.update("cu-1", out, record_id)
    assert contact.properties["ci_email_consent_basis"] == "account"


def test_an_opt_out_field_that_the_account_lacks_is_refused_before_any_write(
    adapter: Adapter, account: PortalState
) -> None:
    """A batch read leaves an unknown property out: a typo let every opt-in through."""
    with pytest.raises(DataRejected, match="hs_email_opt_out does not exist"):
        adapter.prepare("contact", [FieldNeed("hs_email_opt_out", "bool", written=False)])
    with pytest.raises(DataRejected, match="ci_opt_out does not exist"):
        adapter.prepare("contact", [FieldNeed("ci_opt_out", "bool", written=False)])
    assert "ci_opt_out" not in account.definitions("contacts")
    adapter.prepare("contact", [FieldNeed("hs_email_optout", "bool", written=False)])
    with pytest.raises(DataRejected, match="computed by HubSpot"):
        adapter.prepare("contact", [FieldNeed("hs_email_optout", "bool")])
    (outcome,) = adapter.write("contact", [Write("cu-1", None, {"hs_email_optout": "false"})])
    assert isinstance(outcome.error, DataRejected)
    assert outcome.error.code == "READ_ONLY_VALUE"


def test_two_kinds_that_hubspot_does_not_associate_are_an_error_of_that_pair(
    adapter: Adapter,
) -> None:
    """A mapping that ties products to contacts is told so; the other pairs stand."""
    person = Writer(adapter, "contact").create("cu-1", customer())
    firm = Writer(adapter, "company").create("co-1", company())
    thing = Writer(adapter, "product").create("pr-1", VIEW_OF["product"]())
    refused, stands = adapter.associate([
        Association("product", thing, "contact", person),
        Association("contact", person, "company", firm),
    ])  # fmt: skip
    assert isinstance(refused, RemoteError)
    assert refused.status == 400
    assert stands is None
