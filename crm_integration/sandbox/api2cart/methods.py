"""The methods served, with every parameter the published description gives them.

Prevents the lenient emulator: a parameter that API2Cart does not know, or that this kind of store
cannot serve, is refused by name instead of being ignored. A test compares this table with the
description.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["text", "number", "flag", "time", "list"]
_MARKS: Mapping[str, Kind] = {"#": "number", "?": "flag", "@": "time", "*": "list"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`newer`: documented today, but not in the description we check against.

    `foreign`: known to API2Cart, but without meaning on this kind of store.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    newer: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """`fields` is the documented default of `params`; `store` False needs no x-store-key."""

    name: str
    verb: str
    parameters: Mapping[str, Parameter]
    fields: str
    store: bool

    @property
    def paged_by_cursor(self) -> bool:
        return "page_cursor" in self.parameters


def _parameter(text: str) -> Parameter:
    """`name`, then `#` number, `?` flag, `@` time or `*` list, `!` required; `+` newer, `-` foreign
    in front."""
    name = text.strip("+-!#?@*")
    kinds: list[Kind] = [_MARKS[mark] for mark in text if mark in _MARKS]
    return Parameter(
        name, kinds[0] if kinds else "text", "!" in text, text[0] == "+", text[0] == "-"
    )


def _method(
    name: str, parameters: str, fields: str = "force_all", *, verb: str = "GET", store: bool = True
) -> Method:
    known = [_parameter(text) for text in parameters.split()]
    return Method(name, verb, MappingProxyType({p.name: p for p in known}), fields, store)


_SHOWN = "params response_fields exclude store_id "
_TIMES = "created_from@ created_to@ modified_from@ modified_to@ "
_PAGED = "start# count# "
_CUSTOMERS = "-group_id -customer_list_id avail? +ids +since_id# +include_guests? " + _TIMES
_ORDERS = (
    "customer_id customer_email order_status order_status_ids* ids order_ids financial_status"
    " fulfillment_status -ebay_order_status -shipping_method -delivery_method -ship_node_type "
)
_PRODUCTS = (
    "-category_id avail_view? avail_sale? -lang_id product_ids -report_request_id"
    " disable_report_cache? -brand_name -product_attributes* -status -type "
)

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        _method("cart.info", _SHOWN, "store_name,store_url,db_prefix"),
        _method(
            "account.cart.list",
            "params exclude request_from_date@ request_to_date@ store_url store_key",
            store=False,
        ),
        _method("account.failed_webhooks", _PAGED + "ids", store=False),
        _method(
            "customer.list",
            _SHOWN + _PAGED + "page_cursor +sort_by +sort_direction " + _CUSTOMERS,
            "id,email,first_name,last_name",
        ),
        _method("customer.info", _SHOWN + "id!", "id,email,first_name,last_name"),
        _method("customer.count", _CUSTOMERS + "store_id"),
        _method(
            "product.list",
            _SHOWN + _PAGED + "page_cursor sort_by sort_direction sku since_id# currency_id"
            " disable_cache? " + _PRODUCTS + _TIMES,
            "id,name,description,price,categories_ids",
        ),
        _method(
            "product.info",
            _SHOWN + "id! -lang_id currency_id -report_request_id disable_report_cache?",
            "id,name,description,price,categories_ids",
        ),
        _method("product.count", _PRODUCTS + _TIMES + "store_id"),
        _method(
            "order.list",
            _SHOWN + _PAGED + "page_cursor sort_by sort_direction phone -basket_id skip_order_ids"
            " since_id# is_deleted? shipping_country_iso3 enable_cache? currency_id "
            + _ORDERS + _TIMES,
            "order_id,customer,totals,address,items,bundles,status",
        ),
        _method(
            "order.info",
            _SHOWN + "order_id id enable_cache?",
            "order_id,customer,totals,address,items,bundles,status",
        ),
        _method("order.count", _ORDERS + _TIMES + "store_id"),
        _method(
            "order.abandoned.list",
            _SHOWN + _PAGED + "page_cursor customer_id customer_email skip_empty_email? " + _TIMES,
            "customer,totals,items",
        ),
        _method(
            "order.shipment.list",
            _SHOWN + _PAGED + "page_cursor order_id! " + _TIMES,
            "id,order_id,items,tracking_numbers",
        ),
        _method(
            "order.shipment.info",
            _SHOWN + "start# id! order_id!",
            "id,order_id,items,tracking_numbers",
        ),
        _method("order.status.list", "store_id response_fields"),
        _method("order.financial_status.list", ""),
        _method(
            "webhook.create",
            "entity! action! callback label fields active? store_id",
            verb="POST",
        ),
        _method(
            "webhook.list",
            _PAGED + "params entity action active? ids",
            "id,entity,action,callback",
        ),
        _method("webhook.update", "id! callback label fields active?", verb="PUT"),
        _method("webhook.events", ""),
        _method("webhook.delete", "id!", verb="DELETE"),
        _method("webhook.count", "entity action active?"),
    )
}  # fmt: skip
