"""product.list, .info and .count.

Prevents the order line whose product cannot be found: a product's id is the one that lines carry.
"""

from __future__ import annotations

from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.api2cart.selection import Entity
from crm_integration.sandbox.api2cart.view import View, amount
from crm_integration.sandbox.shop_state import ProductRecord

SORTS = {
    "id": "id", "name": "name", "create_at": "created", "created_at": "created",
    "modified_at": "modified", "modified": "modified",
}  # fmt: skip


def products(view: View, given: Given) -> list[ProductRecord]:
    """The products a call means, unsorted. All are visible and for sale."""
    if given.flag("avail_view") is False or given.flag("avail_sale") is False:
        return []
    ids, since, sku = given.several("product_ids"), given.number("since_id"), given.text("sku")
    return [
        one for one in view.shop.products.values()
        if given.covers(one.created, one.modified)
        and (ids is None or str(one.id) in ids)
        and (since is None or one.id > since)
        and (sku is None or one.sku == sku)
    ]  # fmt: skip


def ordered(found: list[ProductRecord], sort: str, *, descending: bool) -> list[ProductRecord]:
    """By the sort, then by id."""

    def place(one: ProductRecord) -> tuple[str | int, int]:
        by: dict[str, str | int] = {
            "id": one.id, "name": one.name, "created": one.created, "modified": one.modified,
        }  # fmt: skip
        return by[sort], one.id

    return sorted(found, key=place, reverse=descending)


def product_entity(view: View) -> Entity[ProductRecord]:
    """The fields of the description's Product that a simple product has."""
    home = view.shop.settings.public_url
    return Entity({
        "id": lambda one: str(one.id),
        "type": lambda one: "simple",
        "u_model": lambda one: one.sku,
        "u_sku": lambda one: one.sku,
        "name": lambda one: one.name or one.sku,
        "description": lambda one: "",
        "short_description": lambda one: "",
        "price": lambda one: amount(one.price_minor, view.shop.settings.currency),
        "quantity": lambda one: 0,
        "in_stock": lambda one: True,
        "is_stock_managed": lambda one: False,
        "is_virtual": lambda one: False,
        "is_downloadable": lambda one: False,
        "avail_view": lambda one: True,
        "avail_sale": lambda one: True,
        "create_at": lambda one: view.time(one.created),
        "modified_at": lambda one: view.time(one.modified),
        "categories_ids": lambda one: [],
        "images": lambda one: [],
        "product_options": lambda one: [],
        "stores_ids": lambda one: ["1"],
        "url": lambda one: f"{home}/product/{one.id}",
        "weight": lambda one: 0,
        "additional_fields": lambda one: {},
        "custom_fields": lambda one: {},
    })  # fmt: skip
