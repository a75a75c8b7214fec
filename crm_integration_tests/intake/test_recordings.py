"""What a real shop sent, the whole way: each delivery is kept once, however often it comes."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from crm_integration.storage.tables.metadata import tenant_tables
from crm_integration.stores._registry import connector
from crm_integration.sync.live_pass import LivePass
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.intake.receiving import Receiving, kept, queued, receiving
from crm_integration_tests.shared_data import SHARED
from crm_integration_tests.sync.live import engine_of

_OF_THE_WIRE = ("host", "content-length", "connection")
_BOOKKEEPING = {"webhook_drop", "webhook_subscriptions", "webhook_paths", "webhook_secrets"}
"""What tells of deliveries and connections, not of what a shop or a CRM holds."""


@dataclass(frozen=True)
class Recorded:
    """One delivery of WooCommerce 11.0.1."""

    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def _recordings() -> list[Recorded]:
    folder = None if SHARED is None else SHARED / "payloads" / "woocommerce" / "webhooks"
    files: list[Path] = [] if folder is None else sorted(folder.glob("*.json"))
    told = [json.loads(one.read_text("utf-8")) for one in files]
    return [Recorded(_sent(one["headers"]), base64.b64decode(one["body_b64"])) for one in told]


def _sent(headers: Sequence[Sequence[str]]) -> dict[str, str]:
    lower = {name.lower(): value for name, value in headers}
    return {name: value for name, value in lower.items() if name not in _OF_THE_WIRE}


pytestmark = pytest.mark.skipif(
    not _recordings(), reason="the recordings are not on this machine"
)  # fmt: skip


@dataclass
class Taken:
    """The recordings, delivered once and taken the whole way."""

    tenant: Tenant
    path: str
    answers: list[str]
    holds: dict[str, Any]
    """Every row of the tenant, table by table, after it."""


@pytest.fixture(scope="module")
def taken(receiver: Receiving, house: House) -> Taken:
    tenant = house.tenant()
    path = receiver.shop(tenant)
    answers = _deliver(receiver, path)
    assert queued(house, tenant) == 33
    _through(tenant)
    return Taken(tenant, path, answers, _holdings(tenant))


def _deliver(receiver: Receiving, path: str) -> list[str]:
    answers = [receiver.post(path, one.body, one.headers) for one in _recordings()]
    assert {one.status_code for one in answers} == {200}
    return [one.text for one in answers]


def _through(tenant: Tenant) -> None:
    """As a live run takes it: to raw records, canonical rows and the CRM."""
    one_pass = LivePass(engine_of(tenant), "recordings")
    try:
        assert one_pass(tenant.name).problems == []
    finally:
        one_pass.close()


def _holdings(tenant: Tenant) -> dict[str, Any]:
    with tenant.scope() as scope:
        return {
            table.name: sorted(repr(row) for row in scope.connection.execute(select(table)))
            for table in tenant_tables()
            if table.name not in _BOOKKEEPING
        }


def test_of_thirty_three_deliveries_thirty_three_are_kept(taken: Taken) -> None:
    """Created and updated carry one body, and 13 share 6 delivery ids with different objects."""
    assert Counter(taken.answers) == {"kept": 33}
    found = kept(taken.tenant)
    assert sorted(one.body for one in found) == sorted(one.body for one in _recordings())
    assert queued(taken.tenant.house, taken.tenant) == 0, "each was read through"
    assert taken.tenant.value("select count(*) from quarantine") == 0


def test_each_of_them_became_what_it_is(taken: Taken) -> None:
    """Kept, and then read as something else, is lost as well."""
    read = connector("woocommerce").webhook.read_delivery
    told = [read(one.headers, one.body) for one in _recordings()]
    carried = {(one.object_type, one.source_id, one.source_time) for one in told
               if one.object_type and one.source_id and one.source_time}  # fmt: skip
    named = {(one.object_type, one.source_id) for one in told
             if one.object_type and one.source_id and not one.source_time}  # fmt: skip
    nameless = [one for one in told if not (one.object_type and one.source_id)]
    assert Counter(one.topic for one in nameless) == {
        "ping": 1, "coupon.created": 1, "order.created": 1, "order.updated": 1,
    }  # fmt: skip
    rows = taken.tenant.rows("select object_type, source_id, source_time, flags from raw_records")
    came = {(one.object_type, one.source_id, one.source_time) for one in rows if not one.flags}
    gone = {(one.object_type, one.source_id) for one in rows if one.flags}
    assert came == carried
    assert gone == named, "the shop, asked, has none of those that were only named"


def test_delivered_again_all_are_suppressed_and_none_is_kept(
    receiver: Receiving, house: House, taken: Taken
) -> None:
    """A store that did not hear our answers filled the drop table, and wrote its orders anew."""
    assert Counter(_deliver(receiver, taken.path)) == {"kept already": 33}
    assert queued(house, taken.tenant) == 0
    assert len(kept(taken.tenant)) == 33
    assert _holdings(taken.tenant) == taken.holds


def test_delivered_again_to_a_receiver_that_remembers_nothing(house: House, taken: Taken) -> None:
    """Its memory went with the process; the drop table itself knows a repeat. Queued once more,
    versions that had been superseded were kept as raw records again."""
    with receiving(house) as fresh:
        _deliver(fresh, taken.path)
    assert len(kept(taken.tenant)) == 33
    assert queued(house, taken.tenant) == 0
    taken.tenant.portal.calls.clear()
    _through(taken.tenant)
    assert _holdings(taken.tenant) == taken.holds
    assert not taken.tenant.portal.calls
