"""cart.info and account.*: which store answers, and whose key it is.

Prevents the wrong shop: `url` and `store_key` are what a connection can compare before it reads.
"""

from __future__ import annotations

from crm_integration.sandbox.api2cart.orders import FINANCIAL_STATUSES, STATUSES
from crm_integration.sandbox.api2cart.parameters import STORE_ID, Given
from crm_integration.sandbox.api2cart.selection import Entity
from crm_integration.sandbox.api2cart.view import View
from crm_integration.sandbox.api2cart.webhooks import FailedDeliveries
from crm_integration.sandbox.shop_state import Json

_PLATFORM = "Woocommerce"


def cart_entity(view: View) -> Entity[View]:
    """The description's Cart; `params` says store_name and store_url for name and url."""
    settings = view.shop.settings
    return Entity(
        {
            "name": lambda one: settings.name,
            "url": lambda one: settings.public_url,
            "version": lambda one: "11.0.1",
            "db_prefix": lambda one: "wp_",
            "stores_info": lambda one: [_store(view)],
            "warehouses": lambda one: [],
            "shipping_zones": lambda one: [],
            "additional_fields": lambda one: {},
            "custom_fields": lambda one: {},
        },
        {"store_name": ("name",), "store_url": ("url",)},
    )


def _store(view: View) -> Json:
    settings = view.shop.settings
    return {
        "store_id": STORE_ID,
        "name": settings.name,
        "language": "en",
        "store_languages": [],
        "currency": view.currency(settings.currency),
        "store_currencies": [view.currency(settings.currency)],
        "timezone": _timezone(settings.utc_offset_minutes),
        "country": "United Kingdom",
        "multi_store_url": settings.public_url,
        "active": True,
        "weight_unit": "kg",
        "dimension_unit": "cm",
        "prices_include_tax": False,
    }


def _timezone(offset_minutes: int) -> str:
    """UTC, or an offset: that is a PHP time zone, too."""
    if not offset_minutes:
        return "UTC"
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"{'-' if offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}"


def carts(view: View, given: Given, calls: int) -> Json:
    """account.cart.list: the one store of this app, if the call means it."""
    settings = view.shop.settings
    asked = (given.text("store_key"), given.text("store_url"))
    meant = asked[0] in {None, settings.consumer_secret} and (
        asked[1] is None or asked[1].rstrip("/") == settings.public_url.rstrip("/")
    )
    cart = {
        "id": STORE_ID,
        "cart_id": _PLATFORM,
        "url": settings.public_url,
        "store_key": settings.consumer_secret,
        "total_calls": str(calls) if given.time("request_from_date") is not None else "",
    }
    return {"carts_count": int(meant), "carts": [cart] if meant else []}


def failed_webhooks(view: View, given: Given, failed: FailedDeliveries) -> Json:
    """account.failed_webhooks: ids and times only, of the last 24 hours."""
    rows = failed.since_yesterday(view.shop.now(), given.several("ids"))
    return {
        "all_failed_webhook": str(len(rows)),
        "webhook": [
            {"webhook_id": webhook, "entity_id": entity, "time": view.time(at)}
            for webhook, entity, at in rows[given.start : given.start + given.count]
        ],
    }


def statuses() -> Json:
    """order.status.list."""
    return {"cart_order_statuses": [{"id": key, "name": name} for key, name in STATUSES.items()]}


def financial_statuses() -> Json:
    """order.financial_status.list."""
    return {"order_financial_statuses": [{"id": one, "name": one} for one in FINANCIAL_STATUSES]}
