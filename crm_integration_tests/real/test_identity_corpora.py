"""Identity measured on public corpora with known answers (docs/identity.md reports the figures).

Prevents a matcher that was only ever shown its own examples: weights and threshold were chosen on
febrl4, the other corpora were only measured. Nothing here looks at birth dates or numbers of
social security, which no shop knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from crm_integration.canonical.identity_suggestions import suggest
from crm_integration.canonical.likeness import Person, pairs, person
from crm_integration_tests.canonical.people import People, Seen, seen
from crm_integration_tests.house import Tenant
from crm_integration_tests.shared_data import SHARED

pytestmark = pytest.mark.skipif(
    SHARED is None, reason="the identity corpora (../shared/data/identity) are not here"
)


@dataclass(frozen=True)
class Figures:
    """Pairs found against pairs that are one person."""

    found: int
    right: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.found

    @property
    def recall(self) -> float:
        return self.right / self.true

    def __str__(self) -> str:
        return (
            f"{self.found} pairs, {self.right} right of {self.true}: "
            f"precision {self.precision:.4f}, recall {self.recall:.4f}"
        )


def _figures(found: Iterable[tuple[str, str]], truth: Mapping[str, str]) -> Figures:
    chosen = set(found)
    right = sum(truth[one] == truth[other] for one, other in chosen)
    sizes = Counter(truth.values()).values()
    return Figures(len(chosen), right, sum(size * (size - 1) // 2 for size in sizes))


def _rows(*names: str) -> list[dict[str, Any]]:
    import pandas as pd

    assert SHARED is not None
    folder: Path = SHARED / "data" / "identity"
    frames = [pd.read_parquet(folder / f"{name}.parquet") for name in names]
    return pd.concat(frames).fillna("").astype(str).to_dict("records")  # type: ignore[return-value]


def _febrl(*names: str) -> tuple[dict[str, Person], dict[str, str]]:
    rows = _rows(*names)
    people = {
        row["rec_id"]: person(
            given=row["given_name"],
            surname=row["surname"],
            line1=f"{row['street_number']} {row['address_1']}",
            line2=row["address_2"],
            city=row["suburb"],
            postcode=row["postcode"],
            region=row["state"],
            country="AU",
        )
        for row in rows
    }
    return people, {row["rec_id"]: row["true_entity"] for row in rows}


@pytest.mark.parametrize(
    ("corpus", "files", "least"),
    [
        ("febrl4", ("febrl4a", "febrl4b"), 0.80),
        ("febrl1", ("febrl1",), 0.80),
        ("febrl2", ("febrl2",), 0.70),
        ("febrl3", ("febrl3",), 0.70),
    ],
)
def test_suggestions_name_the_right_pairs(
    corpus: str, files: tuple[str, ...], least: float
) -> None:
    """A list of suggestions that are wrong is read once and never again."""
    people, truth = _febrl(*files)
    figures = _figures(((one, other) for one, other, _ in pairs(people)), truth)
    print(f"{corpus}: {figures}")
    assert figures.precision >= 0.99
    assert figures.recall >= least


def test_the_step_on_the_tables_suggests_what_the_pure_core_does(tenant: Tenant) -> None:
    """febrl1 as guests without an e-mail: blocks as digests, content sealed, chunk by chunk."""
    people = People(tenant)
    rows = _rows("febrl1")
    _write(people, [_guest(row) for row in rows])
    done = suggest(tenant.house.tenancy, tenant.name)
    identities = tenant.rows("select source_id, customer_id from customer_identities")
    sources = {row.customer_id: row.source_id for row in identities}
    stored = tenant.rows("select left_customer, right_customer from identity_suggestions")
    found = {frozenset((sources[row.left_customer], sources[row.right_customer])) for row in stored}
    pure, _ = _febrl("febrl1")
    assert done.customers == len(rows)
    assert found == {frozenset((one, other)) for one, other, _ in pairs(pure)}
    again = suggest(tenant.house.tenancy, tenant.name)
    assert (again.customers, again.suggestions) == (0, 0)


def _guest(row: Mapping[str, str]) -> Seen:
    from crm_integration.canonical.customers import Address

    one = seen(row["rec_id"], "")
    address = Address(
        kind="billing", line1=f"{row['street_number']} {row['address_1']}",
        line2=row["address_2"], city=row["suburb"], region=row["state"],
        postcode=row["postcode"], country="AU",
    )  # fmt: skip
    said = {"first_name": row["given_name"], "last_name": row["surname"], "addresses": (address,)}
    return Seen("main", one.item.model_copy(update=said))


def _write(people: People, many: list[Seen]) -> None:
    for start in range(0, len(many), 250):
        people.write(*many[start : start + 250])


def test_the_engine_merges_only_whom_it_may(tenant: Tenant) -> None:
    """splink's fake people through the real resolution: names and e-mail addresses only."""
    rows = _rows("splink_fake_1000")
    people = People(tenant)
    _write(
        people,
        [
            seen(row["unique_id"], f"{row['first_name']} {row['surname']}", row["email"] or None)
            for row in rows
        ],
    )
    truth = {row["unique_id"]: row["cluster"] for row in rows}
    found = (
        pair
        for group in people.groups()
        for pair in combinations(sorted(name.partition("/")[2] for name in group), 2)
    )
    figures = _figures(found, truth)
    print(f"splink_fake_1000: {figures}")
    assert figures.precision >= 0.99
    assert figures.recall >= 0.33
