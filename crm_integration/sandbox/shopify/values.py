"""How Shopify writes ids, times and money.

Prevents the failure where one resolver writes `10.00` and another `10.0`: GraphQL has global ids,
UTC times with Z and decimals without needless zeros; REST has plain ids, the shop's offset and
always two decimals.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from crm_integration.sandbox.invoices import exponent_of

_GID = re.compile(r"gid://shopify/(?P<kind>[A-Za-z]+)/(?P<number>\d{1,18})(\?.*)?")


class Money(NamedTuple):
    """An amount as Shopify's Decimal writes it, and its currency; stands for MoneyBag too."""

    amount: str
    currency: str


def gid(kind: str, number: int) -> str:
    """`gid://shopify/Order/1`."""
    return f"gid://shopify/{kind}/{number}"


def gid_parts(text: str) -> tuple[str, int] | None:
    """Kind and number of a global id, or None where the text is none."""
    found = _GID.fullmatch(text)
    return (found["kind"], int(found["number"])) if found else None


@lru_cache(maxsize=100_000)
def moment(epoch: int) -> str:
    """A GraphQL DateTime: UTC, whole seconds, Z."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_or_none(epoch: int | None) -> str | None:
    return None if epoch is None else moment(epoch)


def rest_time(epoch: int, offset_minutes: int) -> str:
    """A REST time: the shop's own offset, `2024-03-01T07:00:00-05:00`."""
    zone = timezone(timedelta(minutes=offset_minutes))
    return datetime.fromtimestamp(epoch, zone).isoformat(timespec="seconds")


@lru_cache(maxsize=200_000)
def money(minor: int, currency: str) -> Money:
    """Minor units as a GraphQL Decimal: at least one decimal, no further needless zeros."""
    return Money(_shortest(Decimal(minor).scaleb(-exponent_of(currency))), currency)


@lru_cache(maxsize=200_000)
def unit_money(price: float, currency: str) -> Money:
    """A unit price with every decimal it has (up to four in an order book)."""
    return Money(_shortest(Decimal(repr(float(price)))), currency)


def _shortest(amount: Decimal) -> str:
    text = f"{amount:f}"
    whole, _, part = text.partition(".")
    return f"{whole}.{part.rstrip('0') or '0'}"


@lru_cache(maxsize=200_000)
def fixed(minor: int, currency: str) -> str:
    """Minor units with as many decimals as the currency has (two at least): REST and `Money`."""
    exponent = exponent_of(currency)
    return f"{Decimal(minor).scaleb(-exponent):.{max(2, exponent)}f}"
