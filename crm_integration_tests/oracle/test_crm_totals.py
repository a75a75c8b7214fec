"""The reader of totals, against a CRM of the sandbox over HTTP: paging, money, whose records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from crm_integration.sandbox.server import CrmAccess, Sandbox
from crm_integration_tests.oracle.crm_totals import contacts, totals_from_crm

_TEXT = {"type": "string", "fieldType": "text", "groupName": "ci"}


@pytest.fixture(scope="module")
def crm() -> Iterator[CrmAccess]:
    shops = {"aurora": "woocommerce"}
    with Sandbox.start(shops, search_lag_seconds=0.0, max_life_seconds=300) as sandbox:
        access = sandbox.crms["aurora"]
        for kind, names in (
            ("orders", ("ci_key", "ci_is_guest")),
            ("notes", ("ci_key", "ci_kind", "ci_refund_amount", "ci_refund_currency")),
        ):
            for name in names:
                _post(access, f"/crm/v3/properties/{kind}", {"name": name, **_TEXT})
        yield access


def _post(access: CrmAccess, path: str, body: dict[str, Any]) -> None:
    bearer = {"Authorization": f"Bearer {access.token}"}
    with httpx.Client(base_url=access.base_url, headers=bearer, trust_env=False) as client:
        client.post(path, json=body).raise_for_status()


def _create(access: CrmAccess, kind: str, *records: dict[str, str]) -> None:
    for start in range(0, len(records), 100):
        batch = [{"properties": record} for record in records[start : start + 100]]
        _post(access, f"/crm/v3/objects/{kind}/batch/create", {"inputs": batch})


def test_totals_are_summed_over_all_pages_and_only_over_our_records(crm: CrmAccess) -> None:
    """A total of the first page, or one with sales' own orders in it, is no total."""
    ours = [
        {"ci_key": f"o{n}", "ci_is_guest": "true" if n < 3 else "false",
         "hs_total_price": "10.10", "hs_currency_code": "GBP"}
        for n in range(205)
    ]  # fmt: skip
    yens = {"ci_key": "yen", "hs_total_price": "500", "hs_currency_code": "JPY"}
    theirs = {"hs_total_price": "99999", "hs_currency_code": "GBP"}
    _create(crm, "orders", *ours, yens, theirs)
    refund = {"ci_kind": "refund", "ci_refund_amount": "0.07", "ci_refund_currency": "GBP"}
    minus = {**refund, "ci_refund_amount": "-0.02"}
    _create(crm, "notes", refund, minus, {"hs_note_body": "called, no answer"})
    assert totals_from_crm({"aurora": (crm.base_url, crm.token)}) == {
        "orders": 206,
        "refunds": 2,
        "guest_orders": 3,
        "gross_minor": {"GBP": 205 * 1010, "JPY": 500},
        "refunded_minor": {"GBP": 5},
    }


def test_contacts_come_with_what_people_can_write_and_nothing_computed(crm: CrmAccess) -> None:
    """A changed `lastmodifieddate` is no violation; a changed job title is."""
    written = {"email": "ada@example.com", "jobtitle": "Head of Buying"}
    _create(crm, "contacts", written)
    (contact,) = contacts(crm.base_url, crm.token)
    assert contact.items() >= written.items()
    assert not {"createdate", "lastmodifieddate", "hs_object_id"} & contact.keys()


def test_a_wrong_token_is_an_error_and_not_an_empty_total(crm: CrmAccess) -> None:
    """Zero orders read by nobody would equal zero orders expected of nothing."""
    with pytest.raises(httpx.HTTPStatusError):
        totals_from_crm({"aurora": (crm.base_url, "pat-wrong")})
