"""Gets a store's objects through API2Cart: who the store is, listings, direct reads.

Prevents rows lost in paging: everything goes through `listing`, which trusts neither the order
nor the filters nor the cursors of a cart.
"""

from __future__ import annotations

from collections.abc import Iterator

from crm_integration.errors import BadInput
from crm_integration.stores._contract import Page, StoreAccount, Window
from crm_integration.stores.api2cart.client import Client
from crm_integration.stores.api2cart.direct import fetch, found_by_ids
from crm_integration.stores.api2cart.listing import Listing, Scope
from crm_integration.stores.api2cart.methods import LISTED, SHIPMENT, STORE_FIELDS, Kind
from crm_integration.stores.api2cart.shipments import shipment_pages
from crm_integration.stores.api2cart.shop import account_of

__all__ = ["check", "fetch", "pages"]


def check(client: Client) -> StoreAccount:
    """Who answers with these keys: host (and path) of the store's own address.

    The currency is the connection's setting if given, else the store's. Raises NeedsReconnect,
    Transient, and Permanent for a store that states no address or currency.
    """
    answer = client.call("cart.info", {"params": STORE_FIELDS})
    return account_of(answer.result, client.settings.get("currency"))


def pages(
    client: Client, object_type: str, window: Window | None, resume: str | None
) -> Iterator[Page]:
    """See `stores._contract.ExtractModule.pages`. Raises BadInput for a type unknown here."""
    if object_type == SHIPMENT.object_type:
        return shipment_pages(client, _scope(window), resume)
    if object_type not in LISTED:
        raise BadInput(f"API2Cart lists no {object_type!r}: see manifest.yaml, object_types")
    kind = LISTED[object_type]
    return _listing(client, kind, _scope(window)).pages(resume)


def _listing(client: Client, kind: Kind, scope: Scope) -> Listing:
    if kind.by_ids is None:
        return Listing(client, kind, scope)
    return Listing(client, kind, scope, lambda ids: found_by_ids(client, kind, ids))


def _scope(window: Window | None) -> Scope:
    return Scope() if window is None else Scope(window.begin, window.finish)
