"""A merchant's rules were changed while rows were on their way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import event, text

from crm_integration.quality.holds import open_hold, release
from crm_integration.quality.rules import rules_version
from crm_integration.storage.engine import engine_for
from crm_integration.sync import rejudge as rejudge_module
from crm_integration.sync.derive import Derived, deriver
from crm_integration.sync.rejudge import rejudge
from crm_integration_tests.house import OPTIONS, Tenant, account, at, order

DIGITS: Mapping[str, str] = {"order.number.pattern": "[0-9]+"}
LETTERS: Mapping[str, str] = {"order.number.pattern": "[A-Z]+"}
ENTITIES = ("customer", "order")


def _rejudged(tenant: Tenant, rules: Mapping[str, str]) -> Derived:
    done = Derived()
    derive = deriver(tenant.store, rules, run_id="rejudged")
    rejudge(tenant.house.tenancy, tenant.name, derive, ENTITIES, done)
    return done


def _waiting(tenant: Tenant) -> None:
    """A customer with an order, derived under the rules of before, nothing sent."""
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.derive()


def test_what_waits_to_be_sent_is_judged_by_the_rules_that_count_now(tenant: Tenant) -> None:
    """A tenant file was edited, and from then on not one old customer was updated."""
    _waiting(tenant)
    version = rules_version(DIGITS)
    assert tenant.sync(version=version).calls == 0, "not under rules it has not passed"

    assert _rejudged(tenant, DIGITS).read == 2
    tenant.sync(version=version)

    assert tenant.portal.one("contact")["ci_orders_count"] == "1"
    assert len(tenant.portal.records("order")) == 1


def test_a_wish_that_was_not_sent_before_the_change_is_judged_too(tenant: Tenant) -> None:
    """The canonical row was done, its wish lay in the ledger, and nobody asked for it again."""
    _waiting(tenant)
    with tenant.scope() as scope:
        for object_type in ("contact", "order"):
            open_hold(scope, object_type, "row_rules", "a test", "release it", 1)
    tenant.sync()
    with tenant.scope() as scope:
        for object_type in ("contact", "order"):
            release(scope, object_type, None, by="a person")

    _rejudged(tenant, DIGITS)
    tenant.sync(version=rules_version(DIGITS))

    assert len(tenant.portal.records("contact")) == len(tenant.portal.records("order")) == 1


def test_a_row_that_breaks_the_new_rules_is_kept_back_and_never_written(tenant: Tenant) -> None:
    """Judging anew is a gate, not a formality."""
    _waiting(tenant)

    assert _rejudged(tenant, LETTERS).quarantined["order"] == 1
    tenant.sync(version=rules_version(LETTERS))

    assert tenant.portal.records("order") == {}
    assert len(tenant.portal.records("contact")) == 1


def test_what_was_sent_is_left_in_peace(tenant: Tenant) -> None:
    """A change of rules must not derive years again, nor make a call."""
    _waiting(tenant)
    tenant.sync()
    tenant.portal.calls.clear()

    assert _rejudged(tenant, DIGITS).read == 0
    assert tenant.sync(version=rules_version(DIGITS)).calls == 0
    assert not tenant.portal.calls


_MANY = 20_000

_FILL = (
    """
    insert into raw_records (tenant_id, uid, connection_id, object_type, source_id, source_time,
        observation, day, digest, payload, outcome, run_id)
    select :me, gen_random_uuid(), 'main', 'order', g::text, now(), 2, date '2024-03-01', '', '',
        'applied', 'r' from generate_series(1, :many) g
    """,
    """
    insert into orders (tenant_id, order_id, connection_id, customer_id, customer_kind,
        customer_source_id, source_id, number, placed_at, currency, total_minor, tax_minor,
        shipping_minor, discount_minor, financial_state, fulfilment_state, store_status,
        line_count, item_count, rank, source_time, observation, raw_id, content_digest,
        schema_version, rules_version, run_id, needs_projection)
    select :me, gen_random_uuid(), 'main', gen_random_uuid(), 'registered', source_id, source_id,
        source_id, now(), 'GBP', 1, 0, 0, 0, 'paid', 'unfulfilled', 'x', 1, 1, 0, now(), 2,
        raw_id, '', 1, 'old', 'r', raw_id % 5000 = 0
    from raw_records where tenant_id = :me
    """,
    """
    insert into ledger (tenant_id, connection_id, object_type, object_id, state, desired,
        desired_digest, source_time, raw_id, mapping_id, mapping_digest, rules_version, run_id)
    select tenant_id, 'crm', 'order', order_id,
        case raw_id % 5000 when 1 then 'parked' when 2 then 'held' else 'synced' end,
        '', '', now(), raw_id, 'm', 'm', 'old', 'r' from orders where tenant_id = :me
    """,
)


def _fill(tenant: Tenant) -> None:
    """Very many orders that were sent under old rules, and twelve that wait."""
    with tenant.scope() as scope:
        for statement in _FILL:
            scope.connection.execute(text(statement), {"me": tenant.name, "many": _MANY})
    with engine_for(tenant.house.urls.owner).begin() as owner:
        owner.execute(text("analyze raw_records, orders, ledger"))


def test_looking_for_what_waits_reads_no_table_from_end_to_end(tenant: Tenant) -> None:
    """With a million orders each run read them all and their ledger rows, to find a handful."""
    _fill(tenant)
    derive = deriver(tenant.store, OPTIONS, run_id="rejudged")
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        asked.append((statement, values))

    with tenant.scope() as scope:
        event.listen(scope.connection, "before_cursor_execute", note)
        found = rejudge_module._stale(scope, derive, "order", -1)  # pyright: ignore[reportPrivateUsage]
        event.remove(scope.connection, "before_cursor_execute", note)
        ((statement, values),) = asked
        plan = scope.connection.exec_driver_sql(f"explain {statement}", values).scalars().all()
    assert len(found) == 12
    scans = [line.strip() for line in plan if "Seq Scan" in line]
    assert scans == [], "\n".join(plan)
