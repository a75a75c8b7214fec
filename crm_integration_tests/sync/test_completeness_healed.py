"""What the proof finds is healed by the ordinary way, proven again, and nothing else is written."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text

from crm_integration.sandbox import shop_edits
from crm_integration.sync.completeness.model import Completeness
from crm_integration.sync.completeness.proofs import newest_proofs
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.served import writes
from crm_integration_tests.sync.proving import healed, lives, proven, verdicts


def _clean(done: Completeness) -> None:
    assert done.whole, (verdicts(done), done.problems)
    assert {one[2] for one in verdicts(done)} <= {"deleted"}


def _changed(tenant: Tenant, *statements: str) -> None:
    with tenant.scope() as scope:
        for one in statements:
            assert scope.connection.execute(text(one)).rowcount == 1


def test_every_hole_of_a_store_is_closed(tenant: Tenant) -> None:
    """New orders, an edit and a deletion that no webhook told of."""
    order = lives(tenant)
    shop = tenant.shop
    shop.call("PUT", f"/orders/{order}", {"status": "cancelled"})
    shop_edits.delete_order(shop.state, min(shop.state.orders))
    for number in range(2):
        shop.guest_order(f"new{number}@example.com")
    shop.account("unheard@example.com")
    first, second = healed(tenant)
    assert sum(one.wrong for one in first.days) == 5
    assert second.healed == 5
    _clean(second)
    assert len(tenant.portal.records("order")) == 5, "what was deleted is told of as deleted"
    assert tenant.portal.one("contact", email="new1@example.com")
    assert tenant.portal.one("contact", email="unheard@example.com")


def test_every_hole_downstream_is_closed_and_what_was_proven_is_not_written(
    tenant: Tenant,
) -> None:
    """A repair that writes everything again is an outage of its own."""
    lives(tenant)
    _changed(
        tenant,
        "update orders set total_minor = 4711, content_digest = '', needs_projection = false"
        " where source_id = (select max(source_id) from orders)",
        "delete from ledger where object_type = 'product'",
    )
    first_order = tenant.value("select min(source_id) from orders")
    (edited,) = [
        number
        for number, one in tenant.portal.records("order").items()
        if one["hs_external_order_id"] == first_order
    ]
    tenant.portal.edit("order", edited, hs_total_price="1.00")
    state = tenant.portal.state
    (refund,) = tenant.portal.records("refund")
    record = state.get("notes", str(refund))
    assert record is not None
    state.archive("notes", record)
    before = tenant.value("select count(*) from attempts")

    first, second = healed(tenant)

    assert {one[1:] for one in verdicts(first)} == {
        ("ledger", "differs"), ("ledger", "missing"), ("crm", "differs"), ("crm", "missing"),
    }  # fmt: skip
    _clean(second)
    assert tenant.portal.records("order")[edited]["hs_total_price"] == "20"
    assert len(tenant.portal.records("refund")) == 1
    written = tenant.rows("select distinct object_id from attempts")
    touched = tenant.rows("select object_id from attempts order by attempt_id offset :n", n=before)
    assert len({one.object_id for one in touched}) <= 4 < len(written)


def test_rows_that_are_lost_between_raw_and_canonical_are_derived_again(tenant: Tenant) -> None:
    """A restored table lacked a day."""
    lives(tenant)
    _changed(tenant, "delete from refunds")
    _, second = healed(tenant)
    _clean(second)
    assert tenant.value("select count(*) from refunds") == 1
    assert len(tenant.portal.records("refund")) == 1


def test_nothing_to_heal_makes_no_write_and_one_proof(tenant: Tenant) -> None:
    """A nightly heal over clean data costs what a proof costs."""
    lives(tenant)
    tenant.portal.calls.clear()
    first, second = healed(tenant)
    assert first is second
    assert writes(tenant.portal.calls) == 0


def test_a_proof_searches_nothing_and_reads_in_batches(tenant: Tenant) -> None:
    """Search lags behind writes, and is metered at four calls a second."""
    for number in range(120):
        tenant.shop.guest_order(f"g{number}@example.com")
    tenant.run_once()
    tenant.portal.calls.clear()
    done = proven(tenant, surplus=True)
    assert done.whole
    calls = tenant.portal.calls
    assert not [one for one in calls if "search" in one]
    assert writes(calls) == 0
    reads = sum(number for path, number in calls.items() if path.endswith("batch/read"))
    # 120 contacts, 120 orders, 240 milestones, one product.
    assert reads == 2 + 2 + 3 + 1
    assert done.calls == sum(calls.values())


def test_the_number_of_queries_does_not_grow_with_the_records(tenant: Tenant) -> None:
    """A query per record is a night of proofs."""

    def queries() -> int:
        count = 0

        def seen(*_: object) -> None:
            nonlocal count
            count += 1

        engine = tenant.house.tenancy.engine
        event.listen(engine, "before_cursor_execute", seen)
        try:
            assert proven(tenant, surplus=True).whole
        finally:
            event.remove(engine, "before_cursor_execute", seen)
        return count

    def sixty_more(of: str) -> None:
        for number in range(60):
            tenant.shop.guest_order(f"{of}{number}@example.com")
        tenant.run_once()

    lives(tenant)
    sixty_more("g")  # so many travel as a table, not as arrays
    few = queries()
    sixty_more("h")
    assert queries() == few


def test_records_of_nobody_and_second_records_are_found(tenant: Tenant) -> None:
    """Somebody imported last year's export with our key column in it."""
    lives(tenant)
    state = tenant.portal.state
    stranger = state.create("contacts", {"email": "x@example.com", "ci_key": "nobody-of-ours"})
    ours = next(iter(tenant.portal.records("order").values()))["ci_key"]
    twin = state.create("orders", {"hs_order_name": "twin"})
    twin.properties["ci_key"] = ours
    assert proven(tenant).whole, "only the listing of all records sees these"
    done = proven(tenant, surplus=True)
    assert verdicts(done) == {("customer", "crm", "surplus"): 1, ("order", "crm", "double"): 1}
    assert not done.whole
    told = {one.entity: one.samples["crm"] for one in done.days if not one.passed}
    assert told == {
        "customer": {"surplus": (str(stranger.id),)},
        "order": {"double": (str(twin.id),)},
    }


def test_refunds_and_activities_share_a_type_and_are_not_each_others_surplus(
    tenant: Tenant,
) -> None:
    """Both are notes in HubSpot."""
    lives(tenant)
    assert tenant.portal.records("refund")
    assert tenant.portal.records("activity")
    assert proven(tenant, surplus=True, entities=("refund",)).whole


def test_a_proof_is_kept_and_is_stale_beyond_the_highest_raw_record_it_saw(
    tenant: Tenant,
) -> None:
    """Green since last year, and the day has got five orders since."""
    lives(tenant)
    done = proven(tenant)
    with tenant.scope() as scope:
        kept = newest_proofs(scope)
    assert kept
    assert all(one.stands for one in kept)
    assert {one.proof.highest_raw_id for one in kept} == {done.highest_raw_id}
    assert done.highest_raw_id == tenant.value("select max(raw_id) from raw_records")
    tenant.shop.guest_order("late@example.com")
    tenant.run_once()
    with tenant.scope() as scope:
        now = {(one.proof.entity, one.proof.day): one for one in newest_proofs(scope)}
    stale = [place for place, one in now.items() if one.stale]
    assert ("order", done.days[-1].day) in stale
    proven(tenant)
    with tenant.scope() as scope:
        assert all(one.stands for one in newest_proofs(scope))


@pytest.mark.parametrize("platform", ["shopify", "api2cart"])
def test_other_platforms_are_healed_the_same_way(house: House, platform: str) -> None:
    """No platform has a way of its own."""
    tenant = house.tenant(platform)
    lives(tenant)
    tenant.shop.guest_order("new@example.com")
    first, second = healed(tenant)
    assert verdicts(first) == {("order", "raw", "missing"): 1}
    _clean(second)
    assert tenant.portal.one("contact", email="new@example.com")


def test_each_store_of_a_tenant_is_proven(tenant: Tenant) -> None:
    """The second shop was never asked."""
    lives(tenant)
    second = tenant.add_store("shopify", "second")
    second.guest_order("there@example.com")
    done = proven(tenant, entities=("order",))
    assert verdicts(done) == {("order", "raw", "missing"): 1}
    wrong = done.found[done.found["verdict"] == "missing"]
    assert wrong["connection_id"].tolist() == ["second"]
