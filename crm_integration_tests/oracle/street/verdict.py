"""Compares what CRMs hold with what they must hold, record by record and field by field.

Prevents the sum that hides two opposite mistakes: each difference is one finding of one kind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crm_integration_tests.oracle.street.crm import Crm, Held
from crm_integration_tests.oracle.street.expected import Books, Expected

Count = Literal[
    "lost", "doubled", "wrong_fields", "against_owner", "consent_broken", "cross_tenant"
]
COUNTS: tuple[Count, ...] = (
    "lost", "doubled", "wrong_fields", "against_owner", "consent_broken", "cross_tenant",
)  # fmt: skip
_EXAMPLES = 8
Theirs = Mapping[tuple[str, str], str]
"""(record id, field) -> the value a person gave it last."""


@dataclass
class Verdict:
    """How many findings of each kind, with some of them in words."""

    counts: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[str]] = field(
        default_factory=lambda: defaultdict[str, list[str]](list)
    )
    compared: int = 0

    def find(self, kind: Count, words: str) -> None:
        self.counts[kind] += 1
        if len(self.examples[kind]) < _EXAMPLES:
            self.examples[kind].append(words)

    def json(self) -> dict[str, Any]:
        numbers = {name: self.counts[name] for name in COUNTS}
        return {**numbers, "compared_fields": self.compared, "examples": dict(self.examples)}


def judge(verdict: Verdict, tenant: str, books: Books, crm: Crm, theirs: Theirs) -> None:
    """One tenant's CRM against its books."""
    held: dict[tuple[str, str], list[Held]] = defaultdict(list)
    for one in crm.records:
        if one.ours:
            held[one.kind, one.key].append(one)
    names = {one.record_id: (one.kind, one.key) for one in crm.records}
    for place, wanted in books.records.items():
        found = held.pop(place, [])
        told = f"{tenant} {wanted.kind} {wanted.key}"
        if not found:
            if not wanted.may_lack:
                verdict.find("lost", told)
            continue
        for more in found[1:]:
            verdict.find("doubled", f"{told}: also record {more.record_id}")
        _compare(verdict, told, wanted, found[0], theirs)
        _compare_links(verdict, told, wanted, crm.links.get(found[0].record_id, set()), names)
    for (kind, key), found in held.items():
        for one in found:
            verdict.find("doubled", f"{tenant} {kind} {key!r}: nobody's record {one.record_id}")
    _people_keep_theirs(verdict, tenant, crm, theirs)


def _compare(verdict: Verdict, told: str, wanted: Expected, held: Held, theirs: Theirs) -> None:
    for name, value in wanted.fields.items():
        verdict.compared += 1
        shown = held.properties.get(name)
        if (held.record_id, name) in theirs and name in wanted.fill_empty:
            continue  # judged by `_people_keep_theirs`
        if not value.met(shown):
            kind: Count = "consent_broken" if name in wanted.consent else "wrong_fields"
            verdict.find(kind, f"{told}.{name}: {shown!r} instead of {value.allowed!r}")


def _compare_links(
    verdict: Verdict, told: str, wanted: Expected, ends: set[str],
    names: Mapping[str, tuple[str, str]],
) -> None:  # fmt: skip
    found = {names.get(one, ("?", one)) for one in ends}
    for missing in sorted(wanted.links - found):
        verdict.find("wrong_fields", f"{told}: not tied to {' '.join(missing)}")
    for wrong in sorted(found - wanted.links):
        if wrong[0] != "orders" or wanted.kind != "carts":
            verdict.find("wrong_fields", f"{told}: tied to {' '.join(wrong)}")


def _people_keep_theirs(verdict: Verdict, tenant: str, crm: Crm, theirs: Theirs) -> None:
    records = {one.record_id: one for one in crm.records}
    for (record_id, name), value in theirs.items():
        one = records.get(record_id)
        shown = None if one is None else one.properties.get(name)
        if shown != value:
            words = f"{tenant} record {record_id}.{name}: {shown!r}, a person wrote {value!r}"
            verdict.find("against_owner", words)


def foreign(crm: Crm, tenant: str, others: list[str]) -> Iterator[str]:
    """Values with another tenant's name in them."""
    marks = [(other, mark) for other in others for mark in _marks(other)]
    for one in crm.records:
        whole = "\n".join(str(value) for value in one.properties.values() if value)
        for other, mark in marks:
            if mark in whole:
                yield f"{tenant} {one.kind} {one.key} holds something of {other}"
                break


def _marks(tenant: str) -> tuple[str, ...]:
    """How a tenant's own name stands in its people's addresses, streets and firms."""
    return (
        f"@{tenant}.example.com", f"Larkmorrow {tenant.title()} Row", f"Umber {tenant} ",
        f"Zeldhurst {tenant.title()} ", f".c{tenant}",
    )  # fmt: skip
