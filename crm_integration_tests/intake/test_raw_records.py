"""Raw records: everything a store said, once, with a day and an order that can be believed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from crm_integration.intake.raw_reading import newest_of
from crm_integration.intake.raw_records import Kept, Observation
from crm_integration_tests.house import STARTED, Tenant, at, order, source


def _kept(tenant: Tenant) -> list[Any]:
    return tenant.rows("select * from raw_records order by raw_id")


def _newest(tenant: Tenant, source_id: str = "7") -> bytes:
    with tenant.scope() as scope:
        (found,) = newest_of(scope, "main", "order", [source_id])
    return found.payload


def test_a_payload_is_kept_byte_for_byte_and_sealed(tenant: Tenant) -> None:
    """A peer parsed and wrote again: floats changed, a replay gave another order."""
    payload = b'{ "id": 7, "price": 17.995000 , "note": "caf\\u00e9" }'
    tenant.keep(source("order", 7, at(0), payload))
    assert _newest(tenant) == payload
    (row,) = _kept(tenant)
    assert b"17.995" not in bytes(row.payload)


def test_a_repeat_of_the_latest_record_is_counted_and_not_kept(tenant: Tenant) -> None:
    """Polling an unchanged shop each hour filled a peer's disk within a month."""
    one = order(7, at(0))
    assert tenant.keep(one) == Kept(1)
    assert tenant.keep(one) == Kept(0, 1)
    (row,) = _kept(tenant)
    assert row.seen_again == 1


def test_a_repeat_without_a_source_time_is_not_kept_either(tenant: Tenant) -> None:
    """A store that states no times must not fill the disk with each listing."""
    one = source("order", 7, None, b'{"id": 7}')
    tenant.keep(one)
    assert tenant.keep(one) == Kept(0, 1)


def test_one_object_twice_in_a_page_is_kept_once(tenant: Tenant) -> None:
    """WooCommerce pages by number repeat rows when orders change during the scan."""
    tenant.keep(order(7, at(0)), order(7, at(0)))
    assert len(_kept(tenant)) == 1


@pytest.mark.parametrize("together", [True, False])
def test_a_change_that_is_taken_back_ends_at_the_first_state(
    tenant: Tenant, *, together: bool
) -> None:
    """Suppressing against any earlier record would leave the CRM at the state in between."""
    first, second = order(7, at(0)), order(7, at(1), status="completed")
    back = order(7, at(2))
    if together:
        tenant.keep(first, second, back)
    else:
        for one in (first, second, back):
            tenant.keep(one)
    assert len(_kept(tenant)) == 3
    assert _newest(tenant) == back.payload


def test_a_timeless_change_that_is_taken_back_ends_at_the_first_state(tenant: Tenant) -> None:
    """A, B, A without any source time: three raw records, and the last one stands."""
    first, second = b'{"id": 7, "v": "a"}', b'{"id": 7, "v": "b"}'
    for payload in (first, second, first):
        tenant.keep(source("order", 7, None, payload))
    assert len(_kept(tenant)) == 3
    assert _newest(tenant) == first


def test_two_contents_of_one_second_are_doubtful(tenant: Tenant) -> None:
    """Ten and more WooCommerce edits share a second: the time alone cannot order them."""
    tenant.keep(order(7, at(0)))
    assert tenant.keep(order(7, at(0), status="completed")).doubtful == (("order", "7"),)


def test_of_two_contents_of_one_second_the_direct_read_wins(tenant: Tenant) -> None:
    """The listing's page was rendered from a cache; the read by id says what stands."""
    fresh, stale = order(7, at(0), status="completed"), order(7, at(0))
    tenant.keep(fresh, how=Observation.direct)
    tenant.keep(stale)
    assert _newest(tenant) == fresh.payload


def test_a_direct_read_that_confirms_the_listing_wins_over_an_older_direct_read(
    tenant: Tenant,
) -> None:
    """An order read for its refund, changed in the same second and listed: the listed content
    was confirmed by a second read and must stand, not the first read."""
    before, after = order(7, at(0)), order(7, at(0), status="completed")
    tenant.keep(before, how=Observation.direct)
    assert tenant.keep(after).doubtful
    tenant.keep(after, how=Observation.direct)
    assert _newest(tenant) == after.payload


def test_a_delivery_never_outranks_a_listing_of_the_same_second(tenant: Tenant) -> None:
    """Webhook bodies are built at delivery and arrive in any order."""
    listed = order(7, at(0), status="completed")
    tenant.keep(listed)
    tenant.keep(order(7, at(0)), how=Observation.webhook)
    assert _newest(tenant) == listed.payload


def test_a_source_time_in_the_future_counts_as_receipt_and_is_flagged(tenant: Tenant) -> None:
    """A shop's clock a year ahead made its first state win over every later one."""
    ahead = datetime.now(UTC) + timedelta(days=365)
    tenant.keep(order(7, ahead))
    (row,) = _kept(tenant)
    assert row.flags == ["time_in_future"]
    assert abs(row.source_time - datetime.now(UTC)) < timedelta(minutes=1)
    assert tenant.keep(order(7, ahead)) == Kept(0, 1)


def test_four_minutes_ahead_are_believed(tenant: Tenant) -> None:
    """Clocks differ by minutes; only more than five are a mistake."""
    ahead = datetime.now(UTC) + timedelta(minutes=4)
    tenant.keep(order(7, ahead))
    (row,) = _kept(tenant)
    assert (row.source_time, row.flags) == (ahead, [])


@pytest.mark.parametrize(
    ("source_time", "day"),
    [
        (datetime(2024, 3, 1, 23, 59, 59, tzinfo=UTC), date(2024, 3, 1)),
        (datetime(2010, 1, 1, tzinfo=UTC), STARTED),
        (datetime(2009, 12, 31, 23, 59, 59, tzinfo=UTC), None),
        (datetime(1970, 1, 1, tzinfo=UTC), None),
        (None, None),
    ],
)
def test_a_day_is_that_of_the_source_time_within_the_tenants_life_else_of_receipt(
    tenant: Tenant, source_time: datetime | None, day: date | None
) -> None:
    """1970 is the date a shop lost; as a partition it is looked at by nobody."""
    before = datetime.now(UTC).date()
    tenant.keep(source("order", 7, source_time, b'{"id": 7}'))
    (row,) = _kept(tenant)
    assert row.day == day if day else before <= row.day <= datetime.now(UTC).date()


def test_a_record_far_ahead_lies_on_the_day_of_receipt(tenant: Tenant) -> None:
    """A window in next year would be derived when nobody looks for it any more."""
    tenant.keep(order(7, datetime.now(UTC) + timedelta(days=40)))
    (row,) = _kept(tenant)
    assert row.day <= datetime.now(UTC).date()


def test_raw_bytes_cannot_be_changed_by_the_role_that_works_with_them(tenant: Tenant) -> None:
    """What a store said is evidence: only counters and outcomes may move."""
    tenant.keep(order(7, at(0)))
    with pytest.raises(Exception, match="permission denied"):
        tenant.rows("update raw_records set payload = 'x' returning 1")
    with pytest.raises(Exception, match="permission denied"):
        tenant.rows("delete from raw_records returning 1")
