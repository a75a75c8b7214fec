"""Gets a shop's objects: who the shop is, listings that miss nothing, direct reads.

Prevents both a backfill by pages, which would take days, and a bulk operation for one day's
changes, which would take minutes: the window decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from crm_integration.errors import Permanent
from crm_integration.stores._contract import Page, StoreAccount, Window
from crm_integration.stores._payload import block_if_any
from crm_integration.stores.shopify import documents as gql
from crm_integration.stores.shopify.bulk import bulk_pages, is_bulk
from crm_integration.stores.shopify.client import Client
from crm_integration.stores.shopify.direct import fetch
from crm_integration.stores.shopify.objects import object_type
from crm_integration.stores.shopify.paging import listing_pages

__all__ = ["check", "fetch", "pages"]

LONGEST_BY_PAGES = timedelta(days=3)
"""A busy shop changes some thousand orders a day: minutes by pages, as a bulk operation takes."""


def check(client: Client) -> StoreAccount:
    """Who answers with these credentials: the permanent myshopify.com domain.

    Raises NeedsReconnect, MissingScope, Transient, and Permanent for an answer of another form.
    """
    shop = block_if_any(client.query(gql.SHOP, {}).data, "shop")
    domain, currency = shop.get("myshopifyDomain"), shop.get("currencyCode")
    if not isinstance(domain, str) or not domain or not isinstance(currency, str):
        raise Permanent("the shop states neither domain nor currency: check its address")
    return StoreAccount(
        account_id=domain.lower(),
        currency=currency,
        timezone=str(shop.get("ianaTimezone") or "UTC"),
        name=str(shop.get("name") or ""),
    )


def pages(
    client: Client, object_type_name: str, window: Window | None, resume: str | None
) -> Iterator[Page]:
    """See `stores._contract.ExtractModule.pages`. Raises BadInput for a type unknown here.

    A window of up to three days is listed page by page, a longer one by a bulk operation.
    """
    kind = object_type(object_type_name)
    if window is None or window.finish - window.begin > LONGEST_BY_PAGES:
        return bulk_pages(client, kind, window, resume)
    # A checkpoint made under another limit is of no use here: the listing starts anew.
    return listing_pages(client, kind, window, None if resume and is_bulk(resume) else resume)
