"""The GraphQL fields of the shop itself, of counts, money and the installed app.

Prevents the failure of a connection that changed shops unseen: the shop's id and domain follow
from its name and never change.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from crm_integration.sandbox.identities import stable_number
from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.call import Call
from crm_integration.sandbox.shopify.types import Field, FieldTable, asked, plain
from crm_integration.sandbox.shopify.values import gid, moment

#: 2007-12-31, the day the documentation's own test store opened.
_OPENED = 1_199_059_200


def shop_id(shop: ShopState) -> int:
    return 10_000_000 + stable_number(f"shop:{shop.settings.name}", 80_000_000)


def host_of(shop: ShopState) -> str:
    return urlsplit(shop.settings.public_url).hostname or "shop.example"


def shop_domain(shop: ShopState) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", shop.settings.name.lower()).strip("-")
    return f"{slug or 'shop'}.myshopify.com"


def zone_name(shop: ShopState) -> str:
    """An IANA name for a whole-hour offset (its sign is turned there), else UTC."""
    hours, rest = divmod(shop.settings.utc_offset_minutes, 60)
    return "Etc/UTC" if rest or not hours else f"Etc/GMT{-hours:+d}"


def _offset(shop: ShopState) -> str:
    minutes = shop.settings.utc_offset_minutes
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def _set(kind: str, value: Any) -> Field:
    return plain(kind, lambda _: value)


SHOP_TABLES: dict[str, FieldTable] = {
    "Shop": {
        "id": plain("ID!", lambda shop: gid("Shop", shop_id(shop))),
        "name": plain("String!", lambda shop: shop.settings.name),
        "email": plain("String!", lambda shop: f"owner@{host_of(shop)}"),
        "contactEmail": plain("String!", lambda shop: f"hello@{host_of(shop)}"),
        "myshopifyDomain": plain("String!", shop_domain),
        "url": plain("URL!", lambda shop: shop.settings.public_url),
        "primaryDomain": plain("Domain!", lambda shop: shop),
        "currencyCode": plain("CurrencyCode!", lambda shop: shop.settings.currency),
        "enabledPresentmentCurrencies": plain("[CurrencyCode!]!", lambda shop: [
            shop.settings.currency]),
        "ianaTimezone": plain("String!", zone_name),
        "timezoneAbbreviation": plain("String!", lambda shop: zone_name(shop).split("/")[1]),
        "timezoneOffset": plain("String!", _offset),
        "timezoneOffsetMinutes": plain("Int!", lambda shop: shop.settings.utc_offset_minutes),
        "plan": plain("ShopPlan!", lambda shop: shop),
        "orderNumberFormatPrefix": _set("String!", "#"),
        "orderNumberFormatSuffix": _set("String!", ""),
        "taxesIncluded": _set("Boolean!", True),
        "taxShipping": _set("Boolean!", False),
        "setupRequired": _set("Boolean!", False),
        "weightUnit": _set("WeightUnit!", "KILOGRAMS"),
        "unitSystem": _set("UnitSystem!", "METRIC_SYSTEM"),
        "createdAt": _set("DateTime!", moment(_OPENED)),
        "updatedAt": _set("DateTime!", moment(_OPENED)),
    },
    "Domain": {
        "id": plain("ID!", lambda shop: gid("Domain", shop_id(shop))),
        "host": plain("String!", host_of),
        "url": plain("URL!", lambda shop: shop.settings.public_url),
        "sslEnabled": _set("Boolean!", True),
    },
    "ShopPlan": {
        "publicDisplayName": _set("String!", "Shopify Plus"),
        "partnerDevelopment": _set("Boolean!", False),
        "shopifyPlus": _set("Boolean!", True),
    },
    "Count": {
        "count": plain("Int!", lambda held: held[0]),
        "precision": plain("CountPrecision!", lambda held: held[1]),
    },
    "MoneyBag": {
        "shopMoney": plain("MoneyV2!", lambda money: money),
        "presentmentMoney": plain("MoneyV2!", lambda money: money),
    },
    "MoneyV2": {
        "amount": plain("Decimal!", lambda money: money[0]),
        "currencyCode": plain("CurrencyCode!", lambda money: money[1]),
    },
    "Attribute": {
        "key": plain("String!", lambda pair: pair[0]),
        "value": plain("String", lambda pair: pair[1]),
    },
    "AppInstallation": {
        "id": asked("ID!", lambda _, call: gid("AppInstallation", shop_id(call.shop))),
        "accessScopes": asked("[AccessScope!]!", lambda _, call: sorted(call.operation.scopes)),
    },
    "AccessScope": {
        "handle": plain("String!", lambda scope: scope),
        "description": plain("String!", lambda scope: scope.replace("_", " ").capitalize()),
    },
    "ApiVersion": {
        "handle": plain("String!", lambda version: version),
        "displayName": plain("String!", lambda version: version),
        "supported": _set("Boolean!", True),
    },
}  # fmt: skip


def the_shop(_: Any, call: Call) -> ShopState:
    return call.shop
