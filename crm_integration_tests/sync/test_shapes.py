"""Raw records outlive the shape they came in: what was kept under v1 is read by v2 code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from crm_integration.canonical.model import StoreObject
from crm_integration.stores._contract import SourceObject, StoreContext
from crm_integration.stores.woocommerce.to_canonical import to_canonical as v1_code
from crm_integration.sync.derive import Derived, derive_window, deriver
from crm_integration.sync.reading import Deriver
from crm_integration_tests.house import OPTIONS, WHOLE, Tenant, at, order

Upcasters = Mapping[tuple[str, str], tuple[str, Any]]
TO_V2: Upcasters = {("order", ""): ("v2", lambda old: {"v2": {"body": old}})}


def v2_code(
    object_type: str, payload: dict[str, Any], parent: Any, context: StoreContext
) -> Iterable[StoreObject]:
    """The connector of a later release: it reads orders in a new shape only."""
    return v1_code(object_type, payload["v2"]["body"], parent, context)


def later_release(tenant: Tenant, upcasters: Upcasters) -> Deriver:
    """The same connection, read by the connector of a later release."""
    made = deriver(tenant.store, OPTIONS, run_id="later")
    canonical: Any = SimpleNamespace(to_canonical=v2_code, UPCASTERS=upcasters)
    manifest = made.connector.manifest.model_copy(update={"shape": "v2"})
    return replace(made, connector=replace(made.connector, manifest=manifest, canonical=canonical))


def derive(tenant: Tenant, made: Deriver) -> Derived:
    days = (WHOLE.start, WHOLE.end)
    return derive_window(tenant.house.tenancy, tenant.name, made, days, ("order",))


def test_a_raw_record_of_v1_is_read_by_v2_code(tenant: Tenant) -> None:
    """A replay after an upgrade of the API must not lose the years before it."""
    tenant.keep(order(1, at(0)))
    tenant.derive()
    before = tenant.rows("select order_id, content_digest from orders")
    assert before
    assert derive(tenant, later_release(tenant, TO_V2)).quarantined == {}
    assert tenant.rows("select order_id, content_digest from orders") == before


def test_old_and_new_shapes_live_side_by_side(tenant: Tenant) -> None:
    """The day of the upgrade has both; each is read from where it stands."""
    tenant.keep(order(1, at(0)))
    new = order(2, at(1))
    body = b'{"v2":{"body":' + new.payload + b"}}"
    tenant.keep(SourceObject("order", "2", new.source_time, body, shape="v2"))
    derive(tenant, later_release(tenant, TO_V2))
    numbers = tenant.rows("select number from orders order by number")
    assert [row.number for row in numbers] == ["1", "2"]


def test_a_shape_nobody_can_lift_is_kept_back_with_the_fix(tenant: Tenant) -> None:
    """Not read as something it is not, and not dropped."""
    tenant.keep(order(1, at(0)))
    derive(tenant, later_release(tenant, {}))
    ((reason, fix),) = tenant.rows("select reason, fix from quarantine")
    assert reason == "shape_unknown at $"
    assert "upcaster" in fix
    derive(tenant, later_release(tenant, TO_V2))
    assert tenant.value("select count(*) from quarantine where released_at is null") == 0


def test_two_shapes_of_one_version_do_not_contradict_each_other(tenant: Tenant) -> None:
    """A bulk file and a page tell the same order in other bytes: nothing to ask the store."""
    one = order(1, at(0))
    tenant.keep(one)
    other = SourceObject("order", "1", one.source_time, one.payload + b" ", shape="bulk")
    assert tenant.keep(other).doubtful == ()
    third = SourceObject("order", "1", one.source_time, one.payload + b"  ", shape="bulk")
    assert tenant.keep(third).doubtful == (("order", "1"),)
