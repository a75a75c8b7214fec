"""Reads by id: each id is answered once, and only the shop's own word makes an object gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from crm_integration.errors import CrmIntegrationError
from crm_integration.sandbox.faults import FaultRule
from crm_integration.stores._contract import Gone, SourceObject
from crm_integration_tests.conformance.books import NOON, plant, remove
from crm_integration_tests.conformance.conftest import Furnished
from crm_integration_tests.conformance.street import EmulatedStore
from crm_integration_tests.conformance.truth import number

ODD_IDS = ("", "abc", "0", "-1", "9" * 300, "../orders", "1,2", "é", "1" * 19, " 1", "1\n")


def _answers(found: Sequence[SourceObject | Gone]) -> Counter[str]:
    return Counter(item.source_id for item in found)


def _ids(store: EmulatedStore, object_type: str, count: int) -> list[str]:
    for key in range(1, count + 1):
        plant(store, object_type, key, NOON + key)
    return sorted(store.listed(object_type).ids, key=number)


def test_no_ids_need_no_call(store: EmulatedStore, object_type: str) -> None:
    assert store.fetched(object_type, []) == []
    assert store.calls.count == 0


def test_a_read_brings_the_very_bytes_of_the_listing(
    furnished: Furnished, object_type: str
) -> None:
    """Equal time and other bytes would be a contradiction, refetched for ever; another form of
    the same version says so by its shape."""
    listed = furnished.listed(object_type).newest
    ids = list(listed)[::3]
    found = furnished.store.fetched(object_type, ids)
    assert _answers(found) == Counter(ids)
    for item in found:
        assert isinstance(item, SourceObject)
        one = listed[item.source_id]
        assert (item.source_time, item.parent_id) == (one.source_time, one.parent_id)
        assert item.payload == one.payload or item.shape != one.shape


def test_hundreds_of_ids_with_repeats_and_missing_ones(
    store: EmulatedStore, object_type: str
) -> None:
    """What a list leaves out is no deletion, what is gone is told once, whoever asks twice."""
    ids = _ids(store, object_type, 250)
    for key in (7, 99, 250):
        remove(store, object_type, key)
    found = store.fetched(object_type, [*ids, *ids[:40], ids[6]])
    assert _answers(found) == Counter(ids)
    gone = {number(item.source_id) for item in found if isinstance(item, Gone)}
    assert gone == {7, 99, 250}
    assert {item.object_type for item in found} == {object_type}


def test_the_only_id_may_be_gone(store: EmulatedStore, object_type: str) -> None:
    (source_id,) = _ids(store, object_type, 1)
    assert [type(item) for item in store.fetched(object_type, [source_id])] == [SourceObject]
    remove(store, object_type, 1)
    assert store.fetched(object_type, [source_id]) == [Gone(object_type, source_id)]


def test_an_odd_id_is_gone_or_refused_and_costs_no_other(
    store: EmulatedStore, object_type: str
) -> None:
    """Ids come from deliveries, which anybody may send: none may crash a drain or be answered
    with another object."""
    good = _ids(store, object_type, 2)
    with store.opened() as client:
        for odd in ODD_IDS:
            asked = [good[0], odd, good[1]]
            try:
                found = list(store.connector.extract.fetch(client, object_type, asked))
            except CrmIntegrationError as error:
                assert str(error)
                continue
            assert _answers(found) == Counter(asked)
            assert [item.source_id for item in found if isinstance(item, Gone)] == [odd]


@pytest.mark.parametrize("status", [403, 500])
def test_a_shop_that_cannot_answer_has_deleted_nothing(
    store: EmulatedStore, object_type: str, status: int
) -> None:
    ids = _ids(store, object_type, 3)
    store.follow(FaultRule("status", status=status, count=0))
    with pytest.raises(CrmIntegrationError):
        store.fetched(object_type, ids)


def test_an_unreadable_answer_is_no_deletion(store: EmulatedStore, object_type: str) -> None:
    """Whatever came: only the shop's own word that an id is unknown makes an object gone."""
    ids = _ids(store, object_type, 3)
    with store.opened() as client:
        for body in (b"", b"{}", b"null", b"<html>", b'{"a": '):
            store.traffic.spoil = lambda answer, sent, body=body: body
            with pytest.raises(CrmIntegrationError):
                list(store.connector.extract.fetch(client, object_type, ids))
