"""Gets a shop's objects: who the shop is, listings that miss nothing, direct reads.

Prevents rows lost in paging; each type is listed in the way that is safe for it (`keyset` for
what has a time to filter by, `sweep` for customers, who have none).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from crm_integration.errors import BadInput, Permanent
from crm_integration.stores._contract import JsonObject, Page, StoreAccount, Window
from crm_integration.stores._cutting import NotSplittable, cut_elements, whole
from crm_integration.stores.woocommerce.client import Client
from crm_integration.stores.woocommerce.direct import fetch
from crm_integration.stores.woocommerce.keyset import keyset_pages
from crm_integration.stores.woocommerce.place import Listing
from crm_integration.stores.woocommerce.sweep import sweep_pages

__all__ = ["check", "fetch", "pages"]

_LISTINGS = {
    "product": Listing("product", "products", "modified", "modified_after", "modified_before"),
    "order": Listing("order", "orders", "modified", "modified_after", "modified_before"),
    "refund": Listing("refund", "refunds", "date", "after", "before"),
}


def check(client: Client) -> StoreAccount:
    """Who answers with these credentials: host (and path) of the shop's own home address.

    The currency is the connection's setting if given, else the shop's. Raises NeedsReconnect,
    MissingScope, Transient, and Permanent for a site that is no WooCommerce shop.
    """
    site = _object(client.index().content, "/wp-json/")
    home = urlsplit(str(site.get("home") or ""))
    if not home.netloc:
        raise Permanent("the site does not state its home address: is this a WordPress shop?")
    return StoreAccount(
        account_id=(home.netloc + home.path).rstrip("/").lower(),
        currency=_currency(client),
        timezone=_timezone(site),
        name=str(site.get("name") or ""),
    )


def pages(
    client: Client, object_type: str, window: Window | None, resume: str | None
) -> Iterator[Page]:
    """See `stores._contract.ExtractModule.pages`. Raises BadInput for a type unknown here."""
    if object_type == "customer":
        return sweep_pages(client, resume)
    if object_type not in _LISTINGS:
        raise BadInput(f"WooCommerce lists no {object_type!r}: see manifest.yaml, object_types")
    return keyset_pages(client, _LISTINGS[object_type], window, resume)


def _currency(client: Client) -> str:
    given = client.settings.get("currency")
    if isinstance(given, str) and given:
        # The shop's settings are left alone, but the key must still prove that it opens.
        answer = client.get("orders", {"per_page": "1", "_fields": "id"})
        list(cut_elements(answer.content, ()))
        return given.upper()
    path = "settings/general/woocommerce_currency"
    value = _object(client.get(path).content, path).get("value")
    if not isinstance(value, str) or not value:
        raise Permanent("the shop states no currency: give the connection's setting `currency`")
    return value.upper()


def _timezone(site: JsonObject) -> str:
    """An IANA name, or a fixed offset as `UTC+05:30` where the shop was set so."""
    name = site.get("timezone_string")
    if isinstance(name, str) and name:
        return name
    try:
        minutes = round(float(site.get("gmt_offset") or 0) * 60)
    except (TypeError, ValueError):
        return "UTC"
    sign = "-" if minutes < 0 else "+"
    return f"UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "UTC"


def _object(body: bytes, path: str) -> JsonObject:
    try:
        return whole(body)
    except NotSplittable as error:
        raise Permanent(
            f"{path} answered no JSON object ({error.reason}): check the shop's address",
            code=error.reason,
        ) from error
