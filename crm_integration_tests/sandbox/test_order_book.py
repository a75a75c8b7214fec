"""How shops are filled: whose order a credit note is, and a file that comes twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from crm_integration.sandbox.identities import invented
from crm_integration.sandbox.invoices import read_invoices
from crm_integration.sandbox.order_book import fill, split_by_tenant
from crm_integration.sandbox.shop_rendering import order_json, refund_json
from crm_integration.sandbox.shop_state import ShopState
from crm_integration_tests.sandbox.books import Row, book
from crm_integration_tests.sandbox.clients import shop_settings
from crm_integration_tests.shared_data import SHARED


def _filled(*rows: Row) -> ShopState:
    shop = ShopState(shop_settings())
    fill(shop, read_invoices(book(*rows)))
    return shop


_OLD = ("500001", "A", 10, "2026-01-01T10:00", 1.0, 12345)
_NEW = ("500002", "A", 4, "2026-01-02T10:00", 1.0, 12345)


def test_a_credit_note_goes_to_the_latest_earlier_order_with_the_item() -> None:
    """A C invoice names no order; the newest that fits is taken and its date moves."""
    shop = _filled(_OLD, _NEW, ("C500003", "A", -2, "2026-01-03T10:00", 1.0, 12345))
    order = order_json(shop, shop.orders[500002])
    assert order["refunds"] == [{"id": 10500003, "reason": "C500003", "total": "-2.00"}]
    assert (order["status"], order["date_modified_gmt"]) == ("completed", "2026-01-03T10:00:00")
    refund = refund_json(shop, shop.refunds[10500003])
    assert (refund["amount"], refund["line_items"][0]["total"]) == ("2.00", "-2.00")
    assert refund["line_items"][0]["quantity"] == -2


def test_an_order_without_enough_left_gives_way_to_an_older_one() -> None:
    """The second credit does not fit into the newer order any more."""
    shop = _filled(
        _OLD,
        _NEW,
        ("C500003", "A", -4, "2026-01-03T10:00", 1.0, 12345),
        ("C500004", "A", -4, "2026-01-04T10:00", 1.0, 12345),
    )
    assert shop.refunds[10500003].order_id == 500002
    assert shop.orders[500002].status == "refunded"
    assert shop.refunds[10500004].order_id == 500001


def test_a_credit_without_an_order_is_an_imported_refunded_order_with_a_tag() -> None:
    """Bought before the shop's books began: the connector must not take it for an order."""
    shop = _filled(_OLD, ("C500003", "Z", -2, "2026-01-03T10:00", 3.0, 12345),
                   ("C500004", "A", -1, "2026-01-03T11:00", 1.0, None))  # fmt: skip
    order = order_json(shop, shop.orders[20500003])
    tag = {"key": "crm_integration_tag", "value": "credit-without-order"}
    assert (order["status"], order["created_via"], order["number"], order["total"]) == (
        "refunded", "import", "C500003", "6.00",
    )  # fmt: skip
    assert tag.items() <= order["meta_data"][-1].items()
    assert [refund["total"] for refund in order["refunds"]] == ["-6.00"]
    assert shop.orders[20500004].customer_id == 0


def test_a_refund_of_less_than_nothing_is_kept_as_it_is() -> None:
    """The real book holds one C invoice that charges 373.57; it is served, to be flagged."""
    shop = _filled(("C496350", "M", 1, "2026-01-03T10:00", 373.57, None))
    assert refund_json(shop, shop.refunds[10496350])["amount"] == "-373.57"


def test_what_cannot_be_read_is_served_as_it_is() -> None:
    """Quarantine needs something to quarantine: the shop serves the bad lines."""
    shop = _filled(("A563185", "B", 1, "2026-01-01T10:00", -11.06, None),
                   ("500009", "A", -7, "2026-01-01T11:00", 0.0, None))  # fmt: skip
    adjustment, bad = order_json(shop, shop.orders[30563185]), order_json(shop, shop.orders[500009])
    assert (adjustment["number"], adjustment["total"]) == ("A563185", "-11.06")
    assert (bad["number"], bad["line_items"][0]["quantity"], bad["total"]) == ("500009", -7, "0.00")


def test_the_same_invoice_in_another_line_order_is_the_same_order() -> None:
    """Two exports of one month differ in line order: no new order, no new date, same line ids."""
    first = [("500001", "A", 1, "2026-01-01T10:00", 1.0, 12345),
             ("500001", "B", 2, "2026-01-01T10:00", 2.0, 12345)]  # fmt: skip
    shop = _filled(*first)
    before = order_json(shop, shop.orders[500001])
    counts = fill(shop, read_invoices(book(*reversed(first))))
    after = order_json(shop, shop.orders[500001])
    assert (counts.orders, counts.repeated, len(shop.orders)) == (0, 1, 1)
    assert after["line_items"] == before["line_items"][::-1]
    assert after["date_modified_gmt"] == before["date_modified_gmt"]


def test_a_second_file_refunds_orders_of_the_first() -> None:
    """Credit notes look at all orders the shop holds, not only at their own file's."""
    shop = _filled(_OLD)
    fill(shop, read_invoices(book(("C500003", "A", -2, "2026-01-03T10:00", 1.0, 12345))))
    assert shop.refunds[10500003].order_id == 500001


def test_each_customer_and_each_guest_invoice_has_exactly_one_tenant() -> None:
    """A customer in two shops would make two contacts of one person."""
    rows: list[Any] = [
        (str(500000 + n), "A", 1, "2026-01-01T10:00", 1.0, 12000 + n % 40 if n % 5 else None)
        for n in range(300)
    ]
    shares = split_by_tenant(read_invoices(book(*rows)), ["x", "y", "z"])
    homes = Counter(
        person
        for share in shares.values()
        for person in {one.customer_id for one in share if one.customer_id}
    )
    assert sum(len(share) for share in shares.values()) == 300
    assert set(homes.values()) == {1}
    assert all(len(share) > 40 for share in shares.values())


def test_an_invented_person_is_the_same_everywhere_and_only_some_guests_lack_an_email() -> None:
    """Two runs, two machines: the same seed invents the same people, at example domains."""
    assert invented(7, "customer:12345") == invented(7, "customer:12345")
    assert invented(8, "customer:12345") != invented(7, "customer:12345")
    guests = [invented(7, f"guest:{n}").email for n in range(1000)]
    customers = [invented(7, f"customer:{n}").email for n in range(1000)]
    assert 20 < guests.count("") < 90
    assert all(mail.rpartition("@")[2].startswith("example.") for mail in customers)
    assert any(mail != mail.lower() for mail in customers)


@pytest.mark.slow
@pytest.mark.skipif(SHARED is None, reason="the real order books (../shared) are not here")
def test_both_real_files_fill_the_shops_once() -> None:
    """The whole of UCI Online Retail over three shops, the second file overlapping the first."""
    assert SHARED is not None
    tenants = ["x", "y", "z"]
    shops = {name: ShopState(shop_settings()) for name in tenants}
    totals: Counter[str] = Counter()
    for name in ("online_retail_2009_2010", "online_retail_2010_2011"):
        read = read_invoices(SHARED / "data" / "online_retail" / f"{name}.parquet")
        for tenant, share in split_by_tenant(read, tenants).items():
            counts = fill(shops[tenant], share)
            totals.update(
                orders=counts.orders, guests=counts.guest_orders, refunds=counts.refunds,
                unreadable=counts.unreadable, repeated=counts.repeated, changed=counts.changed,
                customers=len(counts.new_customers),
            )  # fmt: skip
    assert totals == {
        "orders": 41_937, "refunds": 8_292, "unreadable": 3_399, "guests": 4_962,
        "repeated": 1_088, "changed": 0, "customers": 5_942,
    }  # fmt: skip
    held = [order for shop in shops.values() for order in shop.orders.values()]
    assert sum(order.readable for order in held) == 41_937
