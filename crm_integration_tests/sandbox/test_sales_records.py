"""What sales typed in beforehand is there to be adopted, or to be found ambiguous."""

from __future__ import annotations

from crm_integration.sandbox.invoices import read_invoices
from crm_integration.sandbox.order_book import fill
from crm_integration.sandbox.portal_search import search
from crm_integration.sandbox.portal_state import PortalSettings, PortalState
from crm_integration.sandbox.sales_records import enter
from crm_integration.sandbox.shop_edits import email_of
from crm_integration.sandbox.shop_state import ShopState
from crm_integration_tests.sandbox.books import Row, book
from crm_integration_tests.sandbox.clients import shop_settings


def _shop(customers: int) -> tuple[ShopState, list[int]]:
    rows: list[Row] = [
        (str(500000 + n), "A", 1, "2026-01-01T10:00", 1.0, 12000 + n) for n in range(customers)
    ]
    shop = ShopState(shop_settings())
    return shop, fill(shop, read_invoices(book(*rows))).new_customers


def _found(portal: PortalState, emails: list[str]) -> int:
    only = {"propertyName": "email", "operator": "IN", "values": [one.lower() for one in emails]}
    return search(portal, "contacts", {"filterGroups": [{"filters": [only]}], "limit": 200})[1]


def test_one_in_twenty_is_entered_with_values_of_its_own() -> None:
    """The CRM writes the address otherwise than the shop, and holds what a sync must leave."""
    portal = PortalState(PortalSettings(portal_id=1, token="t"))
    shop, customers = _shop(200)
    entries = enter(portal, shop, customers, percent=5)
    emails = [email_of(shop, shop.customers[key]) for key in entries.entered]
    assert len(entries.entered) == 10
    assert _found(portal, emails) == 10
    held = [portal.get("contacts", email, "email") for email in emails]
    assert all(one is not None and one.properties["email"] != email
               for one, email in zip(held, emails, strict=True))  # fmt: skip
    assert all(one is not None and one.properties["jobtitle"] for one in held)


def test_one_customer_is_there_twice_and_not_among_the_entered() -> None:
    """Both are found by the e-mail, which HubSpot's uniqueness would never have let in."""
    portal = PortalState(PortalSettings(portal_id=1, token="t"))
    shop, customers = _shop(60)
    entries = enter(portal, shop, customers, percent=5)
    (twice,) = entries.twice
    assert twice not in entries.entered
    assert _found(portal, [email_of(shop, shop.customers[twice])]) == 2


def test_a_second_load_adds_no_second_pair() -> None:
    """One duplicate pair an account, however many files come."""
    portal = PortalState(PortalSettings(portal_id=1, token="t"))
    shop, customers = _shop(60)
    enter(portal, shop, customers[:30], percent=5)
    assert enter(portal, shop, customers[30:], percent=5).twice == ()
