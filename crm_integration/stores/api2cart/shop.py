"""Reads what a store says about itself (cart.info).

Prevents a zone or currency from being missed because of a nesting that only real answers have:
the description shows `stores_info` flat, recorded answers wrap it in `store_info` lists and give
several currencies.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from crm_integration.errors import Permanent
from crm_integration.stores._contract import JsonObject, StoreAccount


def account_of(result: JsonObject, settings_currency: Any) -> StoreAccount:
    """The account behind a store key: host (and path) of the store's own address.

    The currency is the connection's setting if given, else the store's. Raises Permanent where
    the store states no address or no currency.
    """
    stores = _stores(result)
    home = urlsplit(_address(result, stores))
    if not home.netloc:
        raise Permanent("API2Cart states no address of this store: look at the store there")
    first = stores[0] if stores else {}
    return StoreAccount(
        account_id=(home.netloc + home.path).rstrip("/").lower(),
        currency=_currency(first, settings_currency),
        timezone=timezone_of(result) or "UTC",
        name=_text(result.get("name")) or _text(first.get("name")),
    )


def timezone_of(result: JsonObject) -> str:
    """The name of the store's zone, `""` where it states none."""
    return next((text for store in _stores(result) if (text := _text(store.get("timezone")))), "")


def _stores(result: JsonObject) -> list[JsonObject]:
    """The stores of `stores_info`, out of whatever nesting, active ones first."""
    found = _flat(result.get("stores_info"))
    return sorted(found, key=lambda store: str(store.get("active", True)).lower() == "false")


def _flat(value: Any) -> list[JsonObject]:
    if isinstance(value, list):
        return [store for part in cast(list[Any], value) for store in _flat(part)]
    if not isinstance(value, dict):
        return []
    store = cast(JsonObject, value)
    return _flat(store["store_info"]) if "store_info" in store else [store]


def _address(result: JsonObject, stores: list[JsonObject]) -> str:
    named = [_text(result.get("url")), _text(result.get("store_url"))]
    named += [_text(store.get("multi_store_url")) for store in stores]
    address = next((text for text in named if text), "")
    return address if "//" in address or not address else f"https://{address}"


def _currency(store: JsonObject, given: Any) -> str:
    if isinstance(given, str) and given:
        return given.upper()
    blocks = [*_flat(store.get("currency")), *_flat(store.get("store_currencies"))]
    blocks.sort(key=lambda one: one.get("default") is not True)
    code = next((text for one in blocks if (text := _text(one.get("iso3")))), "")
    if not code:
        raise Permanent("the store states no currency: give the connection's setting `currency`")
    return code.upper()


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
