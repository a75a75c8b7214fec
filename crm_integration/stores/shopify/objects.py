"""The types of object this connector reads: where they are listed and what is asked of each.

Prevents a type that is listed with other fields than it is fetched with, and ids in two forms:
outside this folder an object's id is the tail of Shopify's gid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from crm_integration.errors import BadInput
from crm_integration.stores._contract import JsonObject, SourceObject, Unsplittable
from crm_integration.stores._payload import utc
from crm_integration.stores.shopify import documents as gql
from crm_integration.stores.shopify.documents import Document

BULK = "bulk"
PIECES = "pieces"
"""Shapes of payload beside the manifest's: lines of a bulk file, a node with further pages."""
_PREFIX = "gid://shopify/"
_CONNECTION = 3
"""Points of a connection itself and its pageInfo, which a read by ids is without."""


@dataclass(frozen=True)
class ObjectType:
    """One type. `nested` is the connection within it ("" for none), of which `first` objects
    come with each listed one.

    `widened` is added to a window at both ends where the shop's filter works on whole days of
    its own time. `always` is a filter that every listing carries.
    """

    name: str
    gid_type: str
    root: str
    fields: str
    nested: str
    nested_fields: str
    first: int
    listing: Document
    direct: Document
    more: Document | None
    sorted_by_change: bool = True
    widened: timedelta = timedelta(0)
    always: str = ""

    def bulk_text(self, search: str) -> str:
        """The query of a bulk operation. `search` is plain ASCII without `"` and backslashes."""
        inner = ""
        if self.nested:
            inner = f"{self.nested} {{ edges {{ node {{ {self.nested_fields} }} }} }}"
        argument = f'(query: "{search}")' if search else ""
        return f"{{ {self.root}{argument} {{ edges {{ node {{ {self.fields} {inner} }} }} }} }}"

    def gid(self, source_id: str) -> str:
        """Shopify's own id of a source id."""
        return f"{_PREFIX}{self.gid_type}/{source_id}"


def _object_type(
    name: str,
    gid_type: str,
    root: str,
    fields: str,
    *,
    nested: str = "",
    nested_fields: str = "",
    first: int = 0,
    page: tuple[int, int],
    more: tuple[int, int] = (0, 0),
    sort_key: str = "UPDATED_AT",
    widened: timedelta = timedelta(0),
    always: str = "",
) -> ObjectType:
    """`first`: nested objects that come with each one; `page`, `more`: (size, its cost)."""
    listed, read = (
        f"{fields} {gql.nested(nested, nested_fields, count)}" if nested else fields
        for count in ("$nested", first)
    )
    size, cost = page
    return ObjectType(
        name,
        gid_type,
        root,
        fields,
        nested,
        nested_fields,
        first,
        listing=gql.listing(root, sort_key, listed, cost=cost, size=size),
        direct=gql.direct(gid_type, read, cost=cost - _CONNECTION, size=size),
        more=gql.more(gid_type, nested, nested_fields, size=more[0], cost=more[1])
        if nested
        else None,
        sorted_by_change=sort_key == "UPDATED_AT",
        widened=widened,
        always=always,
    )


TYPES = {
    kind.name: kind
    for kind in (
        # The customers' filter is documented as "matching a whole day", in the shop's own time.
        _object_type(
            "customer", "Customer", "customers", gql.CUSTOMER,
            page=(150, 753), widened=timedelta(days=1),
        ),
        # Documented default of the status filter: active products only.
        _object_type(
            "product", "Product", "products", gql.PRODUCT,
            nested="variants", nested_fields=gql.VARIANT, first=10,
            page=(40, 963), more=(250, 504), always="status:active,archived,draft,unlisted",
        ),
        _object_type(
            "order", "Order", "orders", gql.ORDER,
            nested="lineItems", nested_fields=gql.ORDER_LINE, first=10,
            page=(6, 909), more=(70, 914),
        ),
        # Abandoned checkouts cannot be sorted by change: see `paging.py` for what that takes.
        _object_type(
            "cart", "AbandonedCheckout", "abandonedCheckouts", gql.CART,
            nested="lineItems", nested_fields=gql.CART_LINE, first=25,
            page=(11, 949), more=(250, 754), sort_key="ID",
        ),
    )
}  # fmt: skip


def object_type(name: str) -> ObjectType:
    """The type of that name. Raises BadInput."""
    if name not in TYPES:
        raise BadInput(f"Shopify lists no {name!r}: see manifest.yaml, object_types")
    return TYPES[name]


def tail(value: Any) -> str | None:
    """The number at the end of `gid://shopify/Order/123?key=…`; None for what is no such id."""
    if not isinstance(value, str) or not value.startswith(_PREFIX):
        return None
    _, _, last = value.rpartition("/")
    number, _, _ = last.partition("?")
    return number if is_number(number) else None


def is_number(text: str) -> bool:
    """Shopify's numbers of objects are unsigned 64 bit integers."""
    return text.isascii() and text.isdigit() and len(text) <= 20


def source_object(
    kind: ObjectType, value: Any, payload: bytes, shape: str = ""
) -> SourceObject | Unsplittable:
    """Id and time of one decoded node; Unsplittable where it has no id."""
    if not isinstance(value, dict):
        return Unsplittable(kind.name, "not_an_object", payload)
    node = cast(JsonObject, value)
    source_id = tail(node.get("id"))
    if source_id is None:
        return Unsplittable(kind.name, "no_id", payload)
    return SourceObject(kind.name, source_id, utc(node.get("updatedAt")), payload, shape=shape)
