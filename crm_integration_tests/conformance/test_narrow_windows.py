"""A window narrowed to moments: what lies in it comes, and what lies hours away does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crm_integration.stores._contract import Window
from crm_integration_tests.conformance.books import NOON, plant
from crm_integration_tests.conformance.street import EmulatedStore
from crm_integration_tests.conformance.truth import numbers

HOUR = 3_600
AT = datetime.fromtimestamp(NOON, UTC)


def test_both_ends_belong_as_they_should(store: EmulatedStore, object_type: str) -> None:
    """Polling asks from the cursor on: listing the whole day each hour is 24 times too much."""
    moments = {901: 0, 902: 1, 903: 59, 904: 60, 905: 6 * HOUR, 906: -6 * HOUR, 907: 72 * HOUR}
    for key, seconds in moments.items():
        plant(store, object_type, key, NOON + seconds)
    window = Window.between(AT, AT + timedelta(seconds=60))
    found = numbers(store.listed(object_type, window).objects)
    assert {901, 902, 903} <= found
    if object_type not in store.connector.manifest.swept:
        assert 907 not in found, "a filter may be as coarse as days, and not coarser"


def test_a_broken_second_is_taken_in_whole(store: EmulatedStore, object_type: str) -> None:
    """Our clock counts microseconds, theirs does not: an order of the last second was left out."""
    plant(store, object_type, 901, NOON + 60)
    since, until = AT + timedelta(seconds=60.4), AT + timedelta(seconds=60.7)
    found = numbers(store.listed(object_type, Window.between(since, until)).objects)
    assert found <= {901}
    before = Window.between(AT, until)
    assert 901 in numbers(store.listed(object_type, before).objects)
