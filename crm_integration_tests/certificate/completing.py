"""The engine's own proof of completeness at the end of a run, held against the oracle's counts.

Prevents a proof that only agrees with itself: what it proves at the store and in the CRM is
compared by number with what a process that imports nothing of the engine has counted there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_integration.stores._registry import connector
from crm_integration.sync.completeness.model import PROVEN, WRONG, Completeness, Request, Stage
from crm_integration.sync.completeness.prove import prove
from crm_integration_tests.certificate.stand import Stand, house
from crm_integration_tests.certificate.world import TENANTS

Verdicts = Counter[tuple[str, str, str]]
"""(entity, stage, verdict) -> how many."""

Counted = Mapping[str, Mapping[str, int]]
"""What the oracle counted of a tenant: `store` and `crm`, by kind."""

KINDS = {
    "activity": "activities",
    "cart": "carts",
    "company": "companies",
    "customer": "contacts",
    "order": "orders",
    "product": "products",
    "refund": "refunds",
}
"""Entity -> the kind of record that the oracle counts in the CRM."""


@dataclass
class Proven:
    """What was proven of all tenants; `unlike` names each number that differs from the oracle's."""

    counts: dict[str, dict[str, dict[str, int]]] = field(
        default_factory=dict[str, dict[str, dict[str, int]]]
    )
    wrong: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[str] = field(default_factory=list[str])
    unlike: list[str] = field(default_factory=list[str])
    compared: int = 0
    """Numbers held against the oracle's."""

    @property
    def agrees(self) -> bool:
        """Whether nothing is missing or too many, by its own count and by the oracle's."""
        return bool(self.compared) and not (self.wrong or self.problems or self.unlike)

    def json(self) -> dict[str, Any]:
        """The key `completeness` of a certificate."""
        return {
            "agrees": self.agrees,
            "counts": self.counts,
            "compared_with_the_oracle": self.compared,
            "unlike_the_oracle": self.unlike,
            "wrong": self.wrong,
            "problems": self.problems,
        }


def prove_all(made: Stand, counted: Mapping[str, Counted]) -> Proven:
    """Every tenant, from its store to its CRM, records of nobody included."""
    engine, found = house(made.urls, made.mappings), Proven()
    for tenant, platform in TENANTS:
        done = prove(engine, Request(tenant, surplus=True), run_id="certificate")
        _note(found, tenant, done)
        compare(found, tenant, platform, verdicts_of(done), counted[tenant])
    return found


def verdicts_of(done: Completeness) -> Verdicts:
    """Every object's verdict at every stage, counted."""
    rows = done.found[["entity", "stage", "verdict"]].itertuples(index=False, name=None)
    return Counter((str(one[0]), str(one[1]), str(one[2])) for one in rows)


def _note(found: Proven, tenant: str, done: Completeness) -> None:
    found.counts[tenant] = done.total()
    found.problems += [f"{tenant} {one.stage} {one.what}: {one.reason}" for one in done.problems]
    for (entity, stage, verdict), number in sorted(verdicts_of(done).items()):
        if verdict in WRONG:
            found.wrong[f"{tenant} {entity} {stage} {verdict}"] = number


def compare(
    found: Proven, tenant: str, platform: str, verdicts: Verdicts, counted: Counted
) -> None:
    """Note each number that differs from the oracle's."""
    for what, ours, theirs in _pairs(platform, verdicts, counted):
        found.compared += 1
        if ours != theirs:
            found.unlike.append(f"{tenant} {what}: proven {ours}, counted {theirs}")


def _pairs(platform: str, verdicts: Verdicts, counted: Counted) -> Iterator[tuple[str, int, int]]:
    """(what, proven by the engine, counted by the oracle)."""
    listed = set(connector(platform).manifest.object_types)
    for entity in sorted(listed & set(counted["store"])):
        yield f"{entity} store", verdicts[entity, Stage.raw, PROVEN], counted["store"][entity]
    for entity, kind in sorted(KINDS.items()):
        yield f"{entity} crm", verdicts[entity, Stage.crm, PROVEN], counted["crm"].get(kind, 0)
