"""Reading raw records back: whole, in order, and never more at a time than fits."""

from __future__ import annotations

import random
import tracemalloc
from datetime import date

import pytest

from crm_integration.intake import raw_reading
from crm_integration.intake.raw_reading import is_last, newest_in_window, newest_of, overtaken
from crm_integration_tests.house import Tenant, at, order, refund

DAYS = (date(2009, 1, 1), date(2100, 1, 1))


def _note(seed: int, size: int) -> str:
    """Text that no compression makes small."""
    return random.Random(seed).randbytes(size // 2).hex()


def _versions(tenant: Tenant, numbers: range, minutes: range, size: int) -> None:
    for minute in minutes:
        for number in numbers:
            note = _note(1_000 * number + minute, size)
            tenant.keep(order(number, at(minute), customer_note=note))


def _overtaken(tenant: Tenant, *numbers: int) -> list[tuple[str, bytes]]:
    with tenant.scope() as scope:
        newest = newest_of(scope, "main", "order", [str(one) for one in numbers])
        found = overtaken(scope, "main", "order", newest)
        return [(one.source_id, one.payload) for one in found]


def test_versions_overtaken_before_they_were_derived_are_all_read_whatever_fits(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page ended in the middle of an order's versions: an opt-out between two opt-ins was
    lost."""
    _versions(tenant, range(7, 10), range(6), 2_000)
    whole = _overtaken(tenant, 7, 8, 9)
    assert len(whole) == 3 * 5
    for fits in (1, 2_000, 5_000, 12_000):
        monkeypatch.setattr(raw_reading, "CHUNK_BYTES", fits)
        assert _overtaken(tenant, 7, 8, 9) == whole, f"{fits} bytes at a time"


def test_any_number_of_overtaken_versions_takes_the_memory_of_a_few(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin saved a customer of megabytes again and again overnight: the morning's run opened
    all versions at once and was killed for it, at every try."""
    _versions(tenant, range(7, 8), range(21), 1_000_000)
    monkeypatch.setattr(raw_reading, "CHUNK_BYTES", 2_000_000)
    with tenant.scope() as scope:
        newest = newest_of(scope, "main", "order", ["7"])
        tracemalloc.start()
        try:
            met = sum(1 for _ in overtaken(scope, "main", "order", newest))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert met == 20
    assert peak < 10_000_000, "versions of 20 MB in all"


def test_parents_count_for_what_is_read_at_a_time(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 small refunds, each of a wholesaler's order of megabytes, were one transaction."""
    for number in range(1, 7):
        tenant.keep(order(number, at(0), customer_note=_note(number, 100_000)))
        tenant.keep(refund(100 + number, number, "1.00", at(1)))
    monkeypatch.setattr(raw_reading, "CHUNK_BYTES", 100_000)
    parts: list[list[str]] = []
    after: str | None = None
    while True:
        with tenant.scope() as scope:
            found = newest_in_window(
                scope, "main", "refund", DAYS, parent_type="order", after=after, limit=500
            )
        assert all(one.parent is not None for one in found)
        parts.append([one.source_id for one in found])
        if is_last(found, 500):
            break
        after = found[-1].source_id
    assert [one for part in parts for one in part] == [str(100 + n) for n in range(1, 7)]
    assert max(len(part) for part in parts) <= 2
