"""What a product and an abandoned checkout mean in our model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crm_integration.canonical.customers import CustomerKind
from crm_integration_tests.stores.shopify.answers import canonical, connection, line, money


def test_a_product_shows_a_price_only_where_it_has_but_one() -> None:
    """The unnamed variant is the product; of several none is the price."""
    rows = [{"id": f"gid://shopify/ProductVariant/{n}", "sku": f"S{n}", "title": "Default Title",
             "price": "5.00", "selectedOptions": [{"name": "Size", "value": "L"}]}
            for n in (1, 2)]  # fmt: skip
    base = {"id": "gid://shopify/Product/7", "updatedAt": "2026-03-01T12:00:00Z", "title": "Mug"}
    one = {**base, "status": "UNLISTED", "hasOnlyDefaultVariant": True,
           "variants": connection(rows[:1])}  # fmt: skip
    two = {**base, "status": "HIDDEN", "hasOnlyDefaultVariant": False,
           "variants": connection(rows)}  # fmt: skip
    (single,), (several,) = canonical("product", one), canonical("product", two)
    assert (single.price_minor, single.sku, single.status) == (500, "S1", "active")
    assert (several.price_minor, several.status, several.flags) == (
        None, "draft", ("status_unknown",),
    )  # fmt: skip
    assert several.variants[1].options == (("Size", "L"),)


def cart(**changes: Any) -> dict[str, Any]:
    return {
        "id": "gid://shopify/AbandonedCheckout/44?key=abc",
        "createdAt": "2026-03-01T11:00:00Z",
        "updatedAt": "2026-03-01T12:00:00Z",
        "completedAt": None,
        "abandonedCheckoutUrl": "https://example.com/recover",
        "totalPriceSet": money("10.00", "EUR"),
        "customer": {"id": "gid://shopify/Customer/5"},
        "billingAddress": None,
        "shippingAddress": None,
        "lineItems": connection([line(1, title="Mug", variantTitle="Blue")]),
        **changes,
    }


def test_a_cart_belongs_to_its_customer_and_tells_when_it_was_completed() -> None:
    """A cart that was bought is not to be nagged about."""
    (found,) = canonical("cart", cart(completedAt="2026-03-01T13:00:00Z"))
    assert (found.source_id, found.customer_kind, found.customer_source_id) == (
        "44", "registered", "5",
    )  # fmt: skip
    assert (found.currency, found.total_minor, found.lines[0].title) == ("EUR", 1000, "Mug - Blue")
    assert found.completed_at == datetime(2026, 3, 1, 13, tzinfo=UTC)


def test_a_cart_of_nobody_makes_a_lead_only_of_a_phone_number() -> None:
    """A name alone is nobody who could be written to."""
    nobody = canonical("cart", cart(customer=None))[0]
    assert (nobody.customer_kind, nobody.customer_source_id) == (None, None)
    found, lead = canonical("cart", cart(customer=None, shippingAddress={"phone": "+44123"}))
    assert (found.customer_kind, found.customer_source_id) == ("lead", "cart/44")
    assert (lead.kind, lead.source_id, lead.phone) == (CustomerKind.lead, "cart/44", "+44123")


def test_a_cart_of_somebody_who_only_typed_an_email_makes_a_lead() -> None:
    """Shopify names a customer, too, but one without account and order is in no list."""
    typed = {"id": "gid://shopify/Customer/6", "state": "DISABLED", "numberOfOrders": "0",
             "firstName": "Cy",
             "defaultEmailAddress": {"emailAddress": "cy@example.com"}}  # fmt: skip
    found, lead = canonical("cart", cart(customer=typed))
    assert (found.customer_kind, found.customer_source_id) == ("lead", "cart/44")
    assert (lead.email, lead.first_name) == ("cy@example.com", "Cy")
    (bought,) = canonical("cart", cart(customer={**typed, "numberOfOrders": "2"}))
    assert (bought.customer_kind, bought.customer_source_id) == ("registered", "6")
