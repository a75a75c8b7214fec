"""Reads totals back from the CRMs over HTTP, not through our adapter and not from our tables.

Prevents the demo from praising itself: what it shows is what anyone can read from the CRM.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from crm_integration.canonical.money import to_minor
from crm_integration.sandbox.server import CrmAccess

PAGE = 100


@dataclass
class CrmTotals:
    """What the CRMs hold of ours, by HTTP."""

    orders: int = 0
    refunds: int = 0
    guest_orders: int = 0
    gross_minor: Counter[str] = field(default_factory=lambda: Counter[str]())
    refunded_minor: Counter[str] = field(default_factory=lambda: Counter[str]())


def add_totals(access: CrmAccess, totals: CrmTotals) -> dict[str, int]:
    """Add one CRM's records to the totals; returns how many records of each type it holds."""
    headers = {"Authorization": f"Bearer {access.token}"}
    found: dict[str, int] = {}
    with httpx.Client(base_url=access.base_url, headers=headers, timeout=30) as client:
        for kind, properties in _READ.items():
            count = 0
            for record in _records(client, kind, properties):
                count += 1
                if record.get("ci_key"):
                    _ADD.get(kind, _nothing)(record, totals)
            found[kind] = count
    return found


def _records(client: httpx.Client, kind: str, properties: str) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        params = {"limit": str(PAGE), "properties": properties}
        if after is not None:
            params["after"] = after
        answer = client.get(f"/crm/v3/objects/{kind}", params=params)
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            _wait(answer)
            continue
        page = answer.raise_for_status().json()
        for record in page["results"]:
            yield record["properties"]
        after = page.get("paging", {}).get("next", {}).get("after")
        if after is None:
            return


def _wait(answer: httpx.Response) -> None:
    time.sleep(min(10.0, float(answer.headers.get("Retry-After", "1"))))


def _order(record: dict[str, Any], totals: CrmTotals) -> None:
    currency = record["hs_currency_code"]
    totals.orders += 1
    totals.guest_orders += record["ci_is_guest"] == "true"
    totals.gross_minor[currency] += to_minor(record["hs_total_price"], currency)


def _note(record: dict[str, Any], totals: CrmTotals) -> None:
    currency = record["ci_refund_currency"]
    if record["ci_kind"] != "refund":
        return  # notes are activities, too
    totals.refunds += 1
    totals.refunded_minor[currency] += to_minor(record["ci_refund_amount"], currency)


def _nothing(record: dict[str, Any], totals: CrmTotals) -> None:
    """The others are only counted."""


_READ = {
    "companies": "ci_key",
    "contacts": "ci_key",
    "products": "ci_key",
    "orders": "ci_key,hs_total_price,hs_currency_code,ci_is_guest",
    "notes": "ci_key,ci_kind,ci_refund_amount,ci_refund_currency",
    "carts": "ci_key",
}
_ADD = {"orders": _order, "notes": _note}
