"""Rules of products, and of carts with their lines.

Prevents a nameless product and a cart worth less than nothing from becoming an offer in the CRM.
"""

from __future__ import annotations

from crm_integration.quality.checks import AtLeast, NotEmpty, Storable, SumsTo
from crm_integration.quality.rule import (
    Rule,
    every_entity,
    flag,
    identity_exists,
    in_order,
    keep_back,
    keep_line_back,
    known_currency,
    one_of,
    order_accounted_for,
    plausible,
)

PRODUCT_RULES: tuple[Rule, ...] = (
    *every_entity("product", ("title", "sku", "description", "variant_text")),
    keep_back(
        "product.title", NotEmpty("title"), "title_missing", "Give the product a name in the store."
    ),
    known_currency("product"),
    keep_back(
        "product.price",
        AtLeast("price_minor", 0),
        "price_negative",
        "Correct the product's price in the store.",
    ),
    one_of("product", "status", ("active", "draft", "archived")),
)

CART_RULES: tuple[Rule, ...] = (
    *every_entity("cart", ("customer_source_id", "order_source_id", "recovery_url")),
    known_currency("cart"),
    keep_back(
        "cart.total",
        AtLeast("total_minor", 0),
        "total_negative",
        "Look at the cart in the store: what is in it costs less than nothing.",
    ),
    plausible("cart", "started_at", "Report the cart's date to the store's support."),
    plausible("cart", "changed_at", "Report the cart's date to the store's support."),
    in_order("cart", "started_at", "changed_at", what="the cart was changed before it began"),
    in_order("cart", "started_at", "abandoned_at", what="the cart was left before it began"),
    in_order("cart", "started_at", "completed_at", what="the cart was bought before it began"),
    flag(
        "cart.total_adds_up",
        SumsTo("total_minor", ("cart_lines_minor",), "line_count"),
        "total_differs",
        "Look for taxes or discounts that the cart's lines do not show.",
    ),
    order_accounted_for("cart"),
    identity_exists("cart"),
)

CART_LINE_RULES: tuple[Rule, ...] = (
    keep_line_back(
        "cart_line.quantity",
        AtLeast("quantity", 0, exclusive=True),
        "quantity_not_positive",
        "Look at the cart in the store: a line of it has a quantity of 0 or less.",
    ),
    keep_line_back(
        "cart_line.unit_price",
        AtLeast("unit_price", 0),
        "price_negative",
        "Enter price reductions as a discount, not as a line with a negative price.",
    ),
    keep_line_back(
        "cart_line.storable",
        Storable(("sku", "title")),
        "text_with_nul",
        "Remove the NUL character from the line's texts in the store.",
    ),
)
