"""What is asked of API2Cart for each object type: method, fields, times, optional parameters.

Prevents the silent gap: the default `params` leave out currency, dates, refunds and modified_at,
and guests stay hidden unless they are asked for. Every field that `to_canonical` reads is named
here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MOST = 250
"""Rows a page may hold ("Max allowed count=250")."""


def _frozen(**values: str) -> Mapping[str, str]:
    return MappingProxyType(values)


@dataclass(frozen=True)
class Kind:
    """How one type is listed and read.

    `key` names the list inside `result`; `fields` is the value of `params`. `ids` are the fields
    that may hold the identity, the first that holds one counts. `optional` are parameters that a
    cart may not know: they are left out when it refuses them. `by_ids` is the parameter that
    reads several by id, `info` the method that reads one; None where API2Cart has neither.
    """

    object_type: str
    method: str
    key: str
    fields: str
    changed: str
    created: str
    ids: tuple[str, ...] = ("id",)
    optional: Mapping[str, str] = field(default_factory=lambda: _frozen())
    by_ids: str | None = None
    info: str | None = None
    size: int = MOST

    @property
    def bare_fields(self) -> str:
        """Identity and times alone, for the passes that only look whether something was missed."""
        return ",".join((*self.ids, self.created, self.changed))


# Oldest change first where a cart can sort: what is edited meanwhile moves to the end, where it is
# still to be read.
_OLDEST_FIRST = _frozen(sort_by="modified_at", sort_direction="asc")

ORDER = Kind(
    "order", "order.list", "order",
    "id,order_id,basket_id,customer,address,currency,create_at,modified_at,status,totals,total,"
    "items,refunds,comment,additional_fields,custom_fields",
    changed="modified_at", created="create_at",
    # `id` is the store's internal one; some carts give none to a list, then the shown number is it.
    ids=("id", "order_id"), optional=_OLDEST_FIRST, by_ids="ids", info="order.info",
)  # fmt: skip
ORDER_REFERENCE = Kind(
    "order", "order.list", "order", "id,order_id,create_at,modified_at,status,additional_fields",
    changed="modified_at", created="create_at", ids=("id", "order_id"), optional=_OLDEST_FIRST,
    size=50,
)  # fmt: skip
"""Orders by name only: whose parcels are to be asked for. Pages are small, since each of their
rows costs a call of its own before the next checkpoint."""
CUSTOMER = Kind(
    "customer", "customer.list", "customer",
    "id,email,first_name,last_name,phone,company,created_time,modified_time,address_book,"
    "news_letter_subscription,consents,is_guest,status,additional_fields",
    changed="modified_time", created="created_time",
    # False by default, as the vendor's documentation of today says.
    optional=_frozen(include_guests="true"), by_ids="ids", info="customer.info",
)  # fmt: skip
PRODUCT = Kind(
    "product", "product.list", "product",
    "id,name,description,price,u_sku,u_model,avail_view,avail_sale,status,create_at,modified_at",
    changed="modified_at", created="create_at",
    optional=_OLDEST_FIRST, by_ids="product_ids", info="product.info",
)  # fmt: skip
CART = Kind(
    "cart", "order.abandoned.list", "order",
    "id,basket_id,basket_url,customer,currency,created_at,modified_at,totals,items,order_products",
    changed="modified_at", created="created_at", ids=("id", "basket_id"),
)  # fmt: skip
SHIPMENT = Kind(
    "shipment", "order.shipment.list", "shipment",
    "id,order_id,is_shipped,created_at,modified_time,delivered_at,shipment_provider,"
    "tracking_numbers,items,additional_fields",
    changed="modified_time", created="created_at", info="order.shipment.info",
)  # fmt: skip

LISTED: Mapping[str, Kind] = MappingProxyType(
    {kind.object_type: kind for kind in (CUSTOMER, PRODUCT, ORDER, CART)}
)
"""Types that have a list of their own; parcels are asked for order by order."""
STORE_FIELDS = "name,url,stores_info"
"""`params` of cart.info."""
