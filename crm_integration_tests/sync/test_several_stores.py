"""One merchant with several stores: one customer over them, the file's order decides a field,
and the stricter word counts for consent."""

from __future__ import annotations

from datetime import date

import pytest

from crm_integration.canonical.customer_precedence import follow_store_order
from crm_integration.canonical.identity import lock_identities
from crm_integration.sandbox.faults import FaultRule
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House as OpenHouse
from crm_integration.sync.path import run_path
from crm_integration.sync.report import Selection
from crm_integration_tests import shop_life
from crm_integration_tests.canonical.people import STAMP, People, seen
from crm_integration_tests.house import MAPPINGS, House, Tenant
from crm_integration_tests.served import Shop

SPRING = Window(date(2024, 2, 1), date(2024, 4, 1))


@pytest.fixture
def two(house: House) -> tuple[Tenant, Shop]:
    """A WooCommerce shop (`main`) and a Shopify shop (`second`) of one merchant."""
    tenant = house.tenant()
    return tenant, tenant.add_store("shopify", "second")


def test_one_person_with_an_account_in_two_stores_is_one_contact(two: tuple[Tenant, Shop]) -> None:
    """Two contacts for one customer get the same mail twice."""
    tenant, second = two
    tenant.shop.order(tenant.shop.account("ada@example.com"))
    second.order(second.account("ADA@example.com"))
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert contact["ci_orders_count"] == "2"
    ((contact_id, _),) = tenant.portal.records("contact").items()
    for order in tenant.portal.records("order"):
        assert tenant.portal.linked("order", order, "contact") == {contact_id}


@pytest.mark.parametrize(
    ("order", "first_name"), [(("main", "second"), "Ada"), (("second", "main"), "Adelheid")]
)
def test_the_order_of_stores_in_the_tenant_file_decides_a_field(
    two: tuple[Tenant, Shop], order: tuple[str, ...], first_name: str
) -> None:
    """Whichever store was touched last: the merchant said which one knows better."""
    tenant, second = two
    tenant.order = order
    second.account("ada@example.com", "Adelheid")
    tenant.shop.account("ada@example.com", "Ada")
    tenant.run_once()
    assert tenant.portal.one("contact")["firstname"] == first_name


def test_a_changed_order_of_stores_reaches_who_is_there_already(two: tuple[Tenant, Shop]) -> None:
    """The merchant put the other store first, and only new customers followed."""
    tenant, second = two
    tenant.order = ("main", "second")
    second.account("ada@example.com", "Adelheid")
    tenant.shop.account("ada@example.com", "Ada")
    tenant.shop.account("eve@example.com", "Eve")
    tenant.run_once()
    tenant.order = ("second", "main")
    assert tenant.derive().changed["customer"] == 1
    assert tenant.derive().changed["customer"] == 0
    tenant.sync()
    names = {one["email"]: one["firstname"] for one in tenant.portal.records("contact").values()}
    assert names == {"ada@example.com": "Adelheid", "eve@example.com": "Eve"}
    tenant.order = ()
    tenant.run_once()
    names = {one["email"]: one["firstname"] for one in tenant.portal.records("contact").values()}
    assert names["ada@example.com"] == "Ada"


def test_an_order_of_stores_that_moves_only_who_fills_in_is_followed_too(house: House) -> None:
    """The account's store stayed the first; the phone came from the store that no longer counts."""
    tenant = house.tenant()
    people = People(tenant, stores=("main", "b", "c"))
    people.write(
        seen(1, "Ada Byron", "ada@example.com", kind="registered"),
        seen(2, "Ada Byron", "ada@example.com", store="b", company="Engines Ltd"),
        seen(3, "Ada Byron", "ada@example.com", store="c", company="Looms Ltd"),
    )
    for stores, company in (("main", "c", "b"), "Looms Ltd"), (("main", "b", "c"), "Engines Ltd"):
        with tenant.scope() as scope:
            lock_identities(scope)
            assert len(follow_store_order(scope, stores, STAMP)) == 1
            assert not follow_store_order(scope, stores, STAMP)
        assert people.only()["company"] == company


def test_what_the_first_store_does_not_know_the_second_one_tells(two: tuple[Tenant, Shop]) -> None:
    """An empty field in the better store is no reason to forget what the other one has."""
    tenant, second = two
    tenant.order = ("main", "second")
    tenant.shop.account("ada@example.com", "Ada", "")
    second.account("ada@example.com", "Adelheid", "Lovelace")
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert (contact["firstname"], contact["lastname"]) == ("Ada", "Lovelace")


def test_an_opt_out_in_one_store_stands_against_an_opt_in_in_the_other(house: House) -> None:
    """Consent is the strictest: joining two accounts must not re-subscribe anybody."""
    tenant = house.tenant(platform="shopify")
    second = tenant.add_store("shopify", "second")
    out, back = tenant.shop.account("ada@example.com"), second.account("ada@example.com")
    shop_life.says(tenant.shop, out, "unsubscribed")
    second.now = tenant.shop.now + 3_600
    shop_life.says(second, back, "subscribed", "confirmed")
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert contact["ci_email_consent"] == "unsubscribed"
    assert contact["ci_email_consent_basis"].startswith("main")


def test_stores_derived_in_any_order_end_at_the_same_customer(house: House) -> None:
    """The second store's record used to stay where it was when the first one's moved."""
    seen: list[tuple[str, str, str]] = []
    for names in (("main", "second"), ("second", "main")):
        tenant = house.tenant()
        second = tenant.add_store("shopify", "second")
        tenant.order = ("main", "second")
        tenant.shop.guest_order("ada@example.com", "Gast", "Frau")
        second.order(second.account("ada@example.com", "Ada", "Second"))
        for name in names:
            tenant.extract(connection_id=name)
            tenant.derive()
        tenant.sync()
        contact = tenant.portal.one("contact")
        seen.append((contact["firstname"], contact["lastname"], contact["ci_orders_count"]))
    assert seen[0] == seen[1] == ("Ada", "Second", "2")


def test_a_store_that_is_down_does_not_stop_the_other_one(two: tuple[Tenant, Shop]) -> None:
    """Its types are red, the other store's orders are in the CRM."""
    tenant, second = two
    tenant.shop.follow(FaultRule("status", status=503, count=0))
    second.order(second.account("ada@example.com"))
    everything = Selection(
        frozenset({"customer", "product", "order", "refund", "cart"}),
        frozenset({"company", "customer", "consent", "product", "order", "refund", "cart"}),
        frozenset({"company", "contact", "product", "order", "cart"}),
    )
    opened = OpenHouse(tenant.house.engines, MAPPINGS)
    report = run_path(opened, tenant.name, [SPRING], everything, run_id="r")
    assert report.failed("extract", "order")
    assert len(tenant.portal.records("order")) == 1
