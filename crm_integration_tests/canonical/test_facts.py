"""Orders, refunds and what one owes to the other, in whatever order they arrive."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crm_integration.sync.waiting import DEPENDENCY
from crm_integration_tests.house import CREDIT_TAG, Tenant, account, at, order, refund, source


def _customers(tenant: Tenant) -> list[tuple[object, ...]]:
    rows = tenant.rows("select lifecycle_stage, orders_count from customers where known")
    return sorted(tuple(row) for row in rows)


def test_an_order_before_its_customer_waits_and_is_written_when_the_customer_comes(
    tenant: Tenant,
) -> None:
    """`order.updated` arrives before the account: written at once it had no contact for ever."""
    tenant.keep(order(7, at(0), customer_id=5))
    tenant.derive()
    tenant.sync()
    assert tenant.state("order") == [("parked", DEPENDENCY)]
    assert tenant.portal.records("order") == tenant.portal.records("contact") == {}
    tenant.keep(account(5, at(1), "ada@example.com"))
    tenant.derive()
    tenant.sync()
    ((order_id, _),) = tenant.portal.records("order").items()
    assert tenant.portal.linked("order", order_id, "contact") == set(
        tenant.portal.records("contact")
    )
    assert _customers(tenant) == [("customer", 1)]


@pytest.mark.parametrize("first", ["order", "refund"])
def test_refunds_are_summed_on_their_order_whichever_comes_first(
    tenant: Tenant, first: str
) -> None:
    """A refund that came first was added to nothing."""
    placed = order(7, at(0))
    back = [refund(70, 7, "4.00", at(1)), refund(71, 7, "2.50", at(2))]
    for group in [[placed], back] if first == "order" else [back, [placed]]:
        tenant.keep(*group)
        tenant.derive()
    (row,) = tenant.rows("select refunded_minor, refund_count from orders")
    assert tuple(row) == (650, 2)
    tenant.sync()
    assert tenant.portal.one("order")["hs_refund_amount"] == "6.5"
    assert len(tenant.portal.records("refund")) == 2


def test_deriving_a_refund_twice_does_not_add_it_twice(tenant: Tenant) -> None:
    """Sums are counted anew from the rows, never added to."""
    tenant.keep(order(7, at(0)), refund(70, 7, "4.00", at(1)))
    for _ in range(3):
        tenant.derive()
    assert tenant.value("select refunded_minor from orders") == 400


@pytest.mark.parametrize("amount", ["0.00", "-4.00"])
def test_a_refund_of_nothing_or_less_is_kept_and_flagged(tenant: Tenant, amount: str) -> None:
    """Dropped, the books do not balance; unmarked, nobody sees why."""
    tenant.keep(order(7, at(0)), refund(70, 7, amount, at(1)))
    tenant.derive()
    (row,) = tenant.rows("select amount_minor, flags from refunds")
    assert row.amount_minor == round(float(amount) * 100)
    assert "refund_not_positive" in row.flags


def test_a_refund_without_an_order_reaches_the_crm_with_its_customer(tenant: Tenant) -> None:
    """A credit note names no order: the money given back vanished."""
    tag = [{"key": "crm_integration_tag", "value": CREDIT_TAG}]
    tenant.keep(account(5, at(0), "ada@example.com"))
    tenant.keep(order(9, at(0), customer_id=5, meta_data=tag, status="refunded"))
    tenant.keep(refund(90, 9, "4.00", at(1)))
    tenant.derive()
    tenant.sync()
    assert tenant.portal.records("order") == {}, "a credit note is no sale"
    ((note_id, note),) = tenant.portal.records("refund").items()
    assert note["ci_refund_amount"] == "4"
    assert tenant.portal.linked("refund", note_id, "contact") == set(
        tenant.portal.records("contact")
    )
    assert _customers(tenant) == [("lead", 0)]


def test_a_refund_follows_its_order_to_another_customer(tenant: Tenant) -> None:
    """The guest became an account: the refund's note stayed on a contact that is gone."""
    tenant.keep(account(5, at(0), "old@example.com"), order(7, at(1), email="new@example.com"))
    tenant.keep(refund(70, 7, "4.00", at(2)))
    tenant.derive()
    tenant.sync()
    tenant.keep(account(5, at(3), "new@example.com"))
    tenant.derive()
    tenant.sync()
    (note_id,) = tenant.portal.records("refund")
    ours = {
        key for key, one in tenant.portal.records("contact").items()
        if one["ci_customer_kind"] == "registered"
    }  # fmt: skip
    assert ours <= tenant.portal.linked("refund", note_id, "contact")


@pytest.mark.parametrize(
    ("statuses", "stage", "count"),
    [
        ([], "lead", 0),
        (["cancelled"], "lead", 0),
        (["failed", "cancelled"], "lead", 0),
        (["pending"], "opportunity", 1),
        (["on-hold", "pending"], "opportunity", 2),
        (["processing"], "customer", 1),
        (["refunded"], "customer", 1),
        (["completed", "cancelled"], "customer", 1),
        (["completed", "processing"], "repeat", 2),
    ],
)
def test_the_stage_is_what_the_orders_say(
    tenant: Tenant, statuses: list[str], stage: str, count: int
) -> None:
    """A cancelled order made a lead a customer, and sales stopped calling."""
    tenant.keep(account(5, at(0), "ada@example.com"))
    for number, status in enumerate(statuses, 1):
        tenant.keep(order(number, at(number), customer_id=5, status=status))
    tenant.derive()
    assert _customers(tenant) == [(stage, count)]


def test_the_stage_goes_back_when_the_only_order_is_cancelled(tenant: Tenant) -> None:
    """Counted anew, not added to; what the CRM shows never goes back (`never_regress`)."""
    tenant.keep(account(5, at(0), "ada@example.com"), order(7, at(1), customer_id=5))
    tenant.derive()
    tenant.sync()
    tenant.keep(order(7, at(2), customer_id=5, status="cancelled"))
    tenant.derive()
    tenant.sync()
    assert _customers(tenant) == [("lead", 0)]
    contact = tenant.portal.one("contact")
    assert (contact["lifecyclestage"], contact["ci_lifecycle_stage"]) == ("customer", "lead")


def test_a_customer_without_a_working_address_is_no_others_twin(tenant: Tenant) -> None:
    """Two guests who typed `none` are two people."""
    for number in (7, 8):
        tenant.keep(order(number, at(number), email=""))
    tenant.derive()
    assert tenant.value("select count(distinct customer_id) from orders") == 2


BAD = {
    "not json": (b'{"id": 8, "total": ', "not_json"),
    "no object": (b"[1, 2]", "not_an_object"),
    "too deep": (b'{"id": 8, "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not_json"),
    "unknown currency": (order(8, at(0), currency="ZZZ").payload, "unknown_currency"),
    "money that is none": (order(8, at(0), total="ten").payload, "not_money"),
    "no customer": (order(8, at(0), customer_id=None).payload, "no_customer"),
    "lines that are none": (order(8, at(0), line_items="MUG").payload, "wrong_type"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_read_is_kept_and_quarantined_and_the_rest_goes_on(
    tenant: Tenant, bad: str
) -> None:
    """One terminal row blocked the load and every later one."""
    payload, reason = BAD[bad]
    tenant.keep(order(7, at(0)), source("order", 8, at(0), payload), order(9, at(0)))
    tenant.derive()
    (row,) = tenant.rows("select * from quarantine where released_at is null")
    assert (row.entity, row.source_id, row.rule) == ("order", "8", "order.readable")
    assert row.reason.startswith(reason)
    assert row.fix
    assert tenant.value("select count(*) from raw_records") == 3
    outcomes = tenant.rows("select outcome from raw_records order by raw_id")
    assert [one.outcome for one in outcomes] == ["applied", "quarantined", "applied"]
    tenant.sync()
    assert len(tenant.portal.records("order")) == 2


def test_a_quarantined_object_is_released_by_its_next_readable_version(tenant: Tenant) -> None:
    """Kept back for ever although the shop corrected it the same hour."""
    tenant.keep(order(7, at(0), currency="ZZZ"))
    tenant.derive()
    tenant.keep(order(7, at(5)))
    tenant.derive()
    assert tenant.value("select count(*) from quarantine where released_at is null") == 0
    tenant.sync()
    assert len(tenant.portal.records("order")) == 1


@pytest.mark.parametrize(
    ("odd", "seen"),
    [
        (b"Mu\\u0000g", "Mug"),
        (b"Mug \\ud83d", "Mug \N{REPLACEMENT CHARACTER}"),
        (b"M\xffug", "M\N{REPLACEMENT CHARACTER}ug"),
        ("Mug \N{GRINNING FACE}".encode(), "Mug \N{GRINNING FACE}"),
    ],
)
def test_text_that_no_database_takes_is_repaired_and_marked(
    tenant: Tenant, odd: bytes, seen: str
) -> None:
    """One NUL in one name rolled back the batch of 500 it was in."""
    payload = order(7, at(0), customer_note="@@@").payload.replace(b"@@@", odd)
    tenant.keep(source("order", 7, at(0), payload), order(8, at(0)))
    tenant.derive()
    with tenant.scope() as scope:
        from crm_integration.canonical.sourced import open_fields

        (row,) = tenant.rows("select order_id, sealed, flags from orders where source_id = '7'")
        assert open_fields(scope, "orders", str(row.order_id), row.sealed)["note"] == seen
    assert ("text_repaired" in row.flags) == ("\N{REPLACEMENT CHARACTER}" in seen or seen == "Mug")
    assert tenant.value("select count(*) from orders") == 2


def test_a_row_knows_its_raw_record_its_run_and_its_rules(tenant: Tenant) -> None:
    """Support asks where a value came from; a row without a trace answers nothing."""
    tenant.keep(order(7, at(0)))
    tenant.derive()
    tenant.sync()
    (row,) = tenant.rows("select raw_id, run_id, rules_version, source_time from orders")
    assert row.raw_id == tenant.value("select raw_id from raw_records")
    assert row.run_id and row.rules_version
    assert row.source_time == datetime(2024, 3, 1, 12, tzinfo=UTC)
    (wish,) = tenant.rows("select * from ledger where object_type = 'order'")
    assert (wish.raw_id, wish.mapping_id) == (row.raw_id, "hubspot/order/v2")
    assert wish.written_mapping_id == "hubspot/order/v2"
    assert wish.written_run_id
