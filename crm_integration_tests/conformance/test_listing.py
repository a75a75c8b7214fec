"""A listing brings what the shop holds: all of it, in the window asked for, with its own bytes."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from crm_integration.stores._contract import Window
from crm_integration_tests.conformance.books import NOON, plant
from crm_integration_tests.conformance.conftest import Furnished
from crm_integration_tests.conformance.street import EmulatedStore
from crm_integration_tests.conformance.truth import (
    day_of,
    epoch,
    number,
    numbers,
    one_day,
    truth_of,
    within,
)

DAY = one_day(day_of(NOON))
A_DAY = timedelta(days=1)
FULL_SECOND = 305
"""More than a page of any of these APIs, all in one second."""


def test_everything_there_is_comes_and_nothing_else(furnished: Furnished, object_type: str) -> None:
    """Compared with the shop's own state: a listing that agrees with itself proves nothing."""
    truth, state = truth_of(object_type), furnished.store.state
    found = furnished.listed(object_type)
    assert truth.listed(state), f"the furnished shop holds no {object_type}"
    assert numbers(found.objects) >= truth.listed(state).keys()
    assert numbers(found.objects) <= set(truth.held(state))
    assert found.kept_back == 0


def test_the_time_of_an_object_is_the_shops(furnished: Furnished, object_type: str) -> None:
    """The order of versions hangs on it: read in shop time (UTC-5) it would be five hours off."""
    state = furnished.store.state
    for item in furnished.listed(object_type).objects:
        if item.source_time is not None:
            times = truth_of(object_type).times(state, number(item.source_id))
            assert int(item.source_time.timestamp()) in times, item.source_id


def test_a_payload_is_json_that_names_its_object(furnished: Furnished, object_type: str) -> None:
    """A payload cut in the wrong place would be kept for ever under another object's id."""
    for item in furnished.listed(object_type).objects:
        assert item.object_type == object_type
        assert isinstance(json.loads(item.payload), dict)
        assert str(number(item.source_id)).encode() in item.payload


def test_unchanged_objects_come_with_equal_bytes(furnished: Furnished, object_type: str) -> None:
    """Else nothing is ever suppressed: each poll would keep the whole shop once more."""
    first = furnished.listed(object_type).newest
    again = furnished.store.listed(object_type).newest
    assert {key: (one.shape, one.payload) for key, one in first.items()} == {
        key: (one.shape, one.payload) for key, one in again.items()
    }


def test_each_day_brings_its_own(furnished: Furnished, object_type: str) -> None:
    """Days are what is polled, replayed and proven; the sum of days must be the shop."""
    store, times = furnished.store, _told(furnished, object_type)
    days = sorted({day_of(at) for at in times.values()})
    for day in {days[0], days[-1], days[len(days) // 2], days[-1] + timedelta(days=1)}:
        found = numbers(store.listed(object_type, one_day(day)).objects)
        assert found >= within(times, one_day(day)), f"{day} lacks some"
        if object_type not in store.connector.manifest.swept:
            near = Window(day - 2 * A_DAY, day + 3 * A_DAY)
            assert found & times.keys() <= within(times, near), f"{day} holds others' days"


def _told(furnished: Furnished, object_type: str) -> dict[int, int]:
    """Each object's time as listed (proven above), the shop's where a listing tells none."""
    times = dict(truth_of(object_type).listed(furnished.store.state))
    for item in furnished.listed(object_type).objects:
        if item.source_time is not None and number(item.source_id) in times:
            times[number(item.source_id)] = int(item.source_time.timestamp())
    return times


def test_a_window_takes_its_first_second_and_leaves_others_days(
    store: EmulatedStore, object_type: str
) -> None:
    """The shop lives five hours behind UTC, and filters are strictly after in some APIs. A
    filter that is wider than asked for is allowed, one that is ignored is a listing of all."""
    start, end = epoch(DAY.start), epoch(DAY.end)
    moments = {901: start - 3 * 86_400, 902: start, 903: start + 1, 904: end - 1,
               905: end + 3 * 86_400, 906: start - 1, 907: end}  # fmt: skip
    for key, at in moments.items():
        plant(store, object_type, key, at)
    found = numbers(store.listed(object_type, DAY).objects)
    assert {902, 903, 904} <= found
    if object_type not in store.connector.manifest.swept:
        assert not {901, 905} & found


def test_an_empty_shop_and_an_empty_window_are_empty(
    store: EmulatedStore, object_type: str
) -> None:
    """Past the end these APIs answer with nothing: that is an end and no error."""
    for window in (None, DAY, Window(date(1999, 1, 1), date(1999, 1, 2))):
        found = store.listed(object_type, window)
        assert (found.ids, found.kept_back) == (set(), 0)


@pytest.mark.parametrize("window", [None, DAY], ids=["all", "window"])
def test_hundreds_of_one_second_are_all_seen(
    store: EmulatedStore, object_type: str, window: Window | None
) -> None:
    """An import wrote them in one second: a cursor that goes on behind the last seen time drops
    all ties but the first page's."""
    keys = range(1, FULL_SECOND + 41)
    for key in keys:
        plant(store, object_type, key, NOON + max(0, key - FULL_SECOND))
    assert numbers(store.listed(object_type, window).objects) == set(keys)


def test_the_count_a_listing_states_is_the_shops(furnished: Furnished, object_type: str) -> None:
    """Completeness is judged by it; a count of the page alone would call every shop complete."""
    found = furnished.listed(object_type)
    stated = {page.listed for page in found.pages} - {None}
    assert stated <= {len(truth_of(object_type).listed(furnished.store.state)), len(found.ids)}
