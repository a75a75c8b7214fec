"""Ids that no database holds, that look alike, or that are another type: kept, and told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crm_integration.errors import RemoteError
from crm_integration.intake.limits import BAD_ID, LONGEST_ID
from crm_integration.stores._contract import SourceObject
from crm_integration_tests.bad_input.accounting import accounted, settled
from crm_integration_tests.bad_input.hostile import TEXTS
from crm_integration_tests.bad_input.samples import Sample, encoded, places, replaced
from crm_integration_tests.bad_input.spoiling import DAYS, no_pauses
from crm_integration_tests.conformance import books
from crm_integration_tests.house import Tenant

__all__ = ["no_pauses"]
Samples = tuple[Sample, ...]
UNHOLDABLE = (
    "", "7\0", "\0", "7\ud83d", "7" * 5_000, "🙂" * 201, "x" * 64_000, "7\udc00" + "8" * 300,
)  # fmt: skip
HOLDABLE = (
    " ", "  7", "7  ", "\t7\n", "\u00a07", "007", "7.0", "7e0", "-7", "٧", "７", "🙂", "a/b?c=d#e",
    "page:order:x", "'; drop table raw_records; --", "\\N", "\\.", "7" * LONGEST_ID, "İ", "i̇",
)  # fmt: skip


def test_ids_that_no_database_holds(tenant: Tenant, samples: Samples) -> None:
    """A NUL in one id ended the COPY of its page, at every try; 5,000 characters fit no index."""
    batch: list[SourceObject] = []
    for number, sample in enumerate(samples, start=1):
        (*_, one) = sample.copy(number)
        batch += [replace(one, source_id=text) for text in UNHOLDABLE]
        batch += sample.copy(1_000 + number)
    account = settled(tenant, batch)
    kinds = {sample.object_type for sample in samples}
    assert account.reasons[f"{BAD_ID} at $"] == len(kinds) * len(UNHOLDABLE), "two ids in one"
    assert account.outcomes["applied"] >= len(samples)


def test_a_parent_whose_id_no_database_holds(tenant: Tenant, samples: Samples) -> None:
    """A refund of an order with such an id: told, and the refund beside it is read."""
    batch = [
        replace(one, parent_id="7\0" if number % 2 else one.parent_id)
        for sample in samples
        if sample.parent is not None
        for number in range(1, 5)
        for one in sample.copy(number)
    ]
    if not batch:
        pytest.skip("no object of this platform needs another one to be read")
    account = settled(tenant, batch)
    assert account.reasons[f"{BAD_ID} at $"] == 4
    assert account.outcomes["applied"] == 4


def test_ids_that_look_alike_stay_apart(tenant: Tenant, samples: Samples) -> None:
    """`7` and `7 ` trimmed to one: the second order overwrote the first."""
    batch: list[SourceObject] = []
    for number, sample in enumerate(samples, start=1):
        if sample.name != sample.object_type:
            continue
        (*_, one) = sample.copy(number)
        batch += [replace(one, source_id=text) for text in HOLDABLE]
    kept = tenant.keep(*batch)
    assert kept.kept == len(batch)
    accounted(tenant)
    rows = tenant.rows("select object_type, source_id from raw_records")
    assert {(one.object_type, one.source_id) for one in batch} == {tuple(row) for row in rows}


def test_payloads_with_other_ids_than_ids(tenant: Tenant, samples: Samples) -> None:
    """The id within a payload, and every id of another object that it names."""
    batch: list[SourceObject] = []
    for position, sample in enumerate(samples):
        ids = [path for path in places(sample.document) if _is_id(str(path[-1]))]
        values: list[Any] = [*TEXTS, *UNHOLDABLE, 0, -7, 7.0, 10**20, 10**30, True, None, [], {}]
        for turn in range(max(len(ids), len(values))):
            number = 50_000 * position + turn + 1
            *before, one = sample.copy(number)
            changed = {ids[turn % len(ids)]: values[turn % len(values)]}
            body = replaced(sample.document, changed)
            batch += [*before, replace(one, payload=encoded(body))]
    account = settled(tenant, batch)
    assert account.outcomes["applied"]
    assert account.outcomes["quarantined"]


def _is_id(key: str) -> bool:
    return key == "id" or key.endswith(("_id", "Id"))


INSTEAD = (
    b'"7\\u0000"', b'"\\ud83d"', b'" "', b"null", b"[]", b'"' + b"7" * 5_000 + b'"', b"7" * 5_000,
)  # fmt: skip
"""What a listing may state as an id."""


def test_listed_objects_without_an_id_worth_the_name(tenant: Tenant) -> None:
    """One row without an id: it is kept back, all others of the list arrive, and the next listing
    that tells its id brings it."""
    tenant.shop.now = books.LATER
    expected: set[str] = set()
    for turn, instead in enumerate(INSTEAD):
        before, own, behind = (7_001 + 10 * turn + n for n in range(3))
        for key in (before, own, behind):
            books.plant(_Planted(tenant.shop.state), "product", key, books.NOON)  # type: ignore[arg-type]
        expected |= {str(before), str(behind)}
        _assert_told(tenant, b"%d" % own, instead, expected)
        expected.add(str(own))
    tenant.shop.spoiling.spoil = lambda body: body
    tenant.extract("product", window=DAYS)
    account = accounted(tenant)
    assert _arrived(tenant) == expected
    assert account.states["product", "synced"] == len(expected)
    assert not account.reasons


def _assert_told(tenant: Tenant, own: bytes, instead: bytes, others: set[str]) -> None:
    """List with another id in the place of `own`."""
    tenant.shop.spoiling.spoil = lambda body: _with_another_id(body, own, instead)
    try:
        tenant.extract("product", window=DAYS)
    except RemoteError as error:
        assert error.code, "the listing failed without saying why"
        tenant.shop.spoiling.spoil = lambda body: body
        tenant.extract("product", window=DAYS)  # one that failed goes on with what it began with
    else:
        tenant.derive()
        assert _arrived(tenant) == others, instead[:20]
        assert _reasons(tenant), f"{instead[:20]!r}: left out without a word"


def _arrived(tenant: Tenant) -> set[str]:
    return {row[0] for row in tenant.rows("select source_id from products")}


def _reasons(tenant: Tenant) -> list[str]:
    rows = tenant.rows("select reason from quarantine where released_at is null")
    return [row.reason for row in rows]


class _Planted:
    """A shop as `books.plant` takes it."""

    def __init__(self, state: Any) -> None:
        self.state = state


def _with_another_id(body: bytes, own: bytes, instead: bytes) -> bytes:
    """Something else in the place of this id, in whatever form the platform writes it."""
    for form in (b'"gid://shopify/Product/%s"', b'"id":"%s"', b'"id":%s', b'"id": %s'):
        value = instead if b"gid" in form else b'"id":' + instead
        body = body.replace(form % own, value)
    return body
