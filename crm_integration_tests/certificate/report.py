"""The fault certificate: one run with faults, one without, and what the oracle found.

Prevents a figure that nobody can compare: the calls that faults cost are measured against the same
events without a fault, in the same process and minute.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from crm_integration.sync.steps import Step
from crm_integration_tests.certificate import breaks, crew
from crm_integration_tests.certificate.run import Ran, Told, run
from crm_integration_tests.certificate.scenario import Scenario, received, without_faults
from crm_integration_tests.certificate.stand import database
from crm_integration_tests.oracle.street.verdict import COUNTS

SEED, EVENTS = 20_261_130, 2_000


@dataclass(frozen=True)
class Certificate:
    """What one certificate says; `broken` names the defect that was put in, "" for none."""

    ran: Ran
    calm: Ran | None
    seconds: float
    broken: str = ""

    @property
    def clean(self) -> bool:
        """Whether the run was, and the one without faults."""
        return self.ran.clean and (self.calm is None or self.calm.clean)

    def json(self) -> dict[str, Any]:
        """The document of `certify --json`; calls are those to the CRMs, per 1,000 events."""
        ran = self.ran
        return {
            "seed": ran.seed,
            "events": sum(ran.happened.values()),
            "faults": dict(sorted(ran.counts.items())),
            "kills": {step.value: ran.kills[step.value] for step in Step},
            **{name: ran.verdict[name] for name in COUNTS},
            "compared_fields": ran.verdict["compared_fields"],
            "calls_per_1000": _per_1000(ran),
            "calls_per_1000_without_faults": None if self.calm is None else _per_1000(self.calm),
            "clean_without_faults": self.calm is None or self.calm.clean,
            **(
                {}
                if self.calm is None or self.calm.clean
                else {
                    "without_faults": {"verdict": self.calm.verdict, "left": self.calm.left},
                }
            ),
            **_through_receiver(ran),
            "happened": ran.happened,
            "left": ran.left,
            "quiet": ran.quiet,
            "seconds": round(self.seconds, 1),
            "seconds_of": ran.seconds,
            "problems": ran.problems,
            **({"broken": self.broken} if self.broken else {}),
            "examples": ran.verdict["examples"],
        }


def issue(
    seed: int, scenario: Scenario, told: Told, *, broken: str = "", compared: bool = True
) -> Certificate:
    """Run a certificate; with `compared` also the same world without faults, first.

    A defect of the receiver is looked for through the receiver. Raises BadInput for a defect that
    is not known.
    """
    if breaks.at_receiver(broken) and not scenario.through_receiver:
        scenario = received(scenario)
    began = time.monotonic()
    crew.preload()
    with database() as server:
        calm = None
        if compared:
            calm = run(server, seed, without_faults(scenario), "calm", _as("without faults", told))
        ran = run(server, seed, scenario, "storm", _as("with faults", told), broken)
    return Certificate(ran, calm, time.monotonic() - began, broken)


def _as(which: str, told: Told) -> Told:
    return lambda words: told(f"{which}: {words}")


def _through_receiver(ran: Ran) -> dict[str, Any]:
    """What only a run through the receiver can tell. `receiver` must be zeros, `unmet` empty."""
    if ran.proven is None:
        return {}
    return {
        "receiver": ran.received,
        "completeness": ran.proven.json(),
        "unmet": ran.unmet,
    }


def _per_1000(ran: Ran) -> float:
    return round(1000 * ran.crm_calls / max(1, sum(ran.happened.values())), 1)
