"""How much of everything: the full certificate, the small one, the run without faults, a break's.

Prevents two certificates that differ in what they leave out: all forms are one list of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crm_integration.sync.steps import Step
from crm_integration_tests.certificate.misfortunes import ON_THE_WIRE

IN_FLIGHT = ("claimed", "looked", "written", "associated", "settling")
"""Steps at which a driver holds a claim."""
ONLY_RANGE = frozenset(("page_kept", "time_passed", "judged"))
"""Steps that the live driver does not have."""


@dataclass(frozen=True)
class Scenario:
    """Numbers of one run; pauses in seconds, 0 for never; `longest` bounds the storm."""

    events: int
    kills: Mapping[str, int] = field(default_factory=dict[str, int])
    freezes: int = 0
    lingers: int = 0
    restarts: int = 0
    mappings: int = 0
    wire: Mapping[str, int] = field(default_factory=dict[str, int])
    wire_pause: float = 0.0
    restart_pause: float = 0.0
    mapping_pause: float = 0.0
    sales_pause: float = 2.0
    through_receiver: bool = False
    """Whether deliveries are POSTed to a receiver and drained by live runs over the lanes."""
    receiver_kills: int = 0
    live_run_kills: int = 0
    takings_back: int = 0
    """How often a merchant takes our access to their CRM back, and consents again."""
    login_pause: float = 0.0
    receiver_pause: float = 0.0
    live_run_pause: float = 0.0
    longest: float = 60.0
    portions: int = 40
    """How many times the world moves on."""

    @property
    def fates(self) -> int:
        """How many drivers meet something."""
        return sum(self.kills.values()) + self.freezes + self.lingers


def full(events: int) -> Scenario:
    """At least thirty of each kind, each step twice."""
    return Scenario(
        events,
        kills={step.value: 2 for step in Step},
        freezes=30,
        lingers=30,
        restarts=30,
        mappings=30,
        wire=dict.fromkeys(ON_THE_WIRE, 30),
        wire_pause=1.5,
        restart_pause=3.4,
        mapping_pause=3.4,
        takings_back=30,
        login_pause=3.4,
        sales_pause=3.0,
        longest=600.0,
        portions=90,
    )


def small(events: int) -> Scenario:
    """For the normal test suite: each step once, a few of the rest."""
    return Scenario(
        events,
        kills={step.value: 1 for step in Step},
        freezes=3,
        lingers=3,
        restarts=2,
        mappings=2,
        wire=dict.fromkeys(ON_THE_WIRE, 3),
        wire_pause=0.8,
        restart_pause=5.0,
        mapping_pause=5.0,
        takings_back=2,
        login_pause=5.0,
        sales_pause=2.0,
        longest=300.0,
    )


def received(scenario: Scenario) -> Scenario:
    """The same with deliveries through the receiver; it and the live runs are killed as often as
    the database is restarted."""
    often = scenario.restarts
    return replace(
        scenario,
        through_receiver=True,
        receiver_kills=often,
        live_run_kills=often,
        receiver_pause=0.8 * scenario.restart_pause,
        live_run_pause=0.9 * scenario.restart_pause,
    )


def small_received(events: int) -> Scenario:
    """For the normal test suite: what deliveries through the receiver add, several times, and
    little of what the small form shows without it."""
    return replace(
        received(small(events)),
        freezes=1,
        lingers=1,
        wire=dict.fromkeys(ON_THE_WIRE, 1),
        receiver_kills=4,
        live_run_kills=4,
        receiver_pause=2.0,
        live_run_pause=3.0,
    )


def hunting(events: int) -> Scenario:
    """To find a defect: little world, and much of what shows only by chance."""
    return replace(
        small(events),
        freezes=10,
        lingers=6,
        wire=dict.fromkeys(ON_THE_WIRE, 8),
        wire_pause=0.6,
        sales_pause=0.7,
    )


def without_faults(scenario: Scenario) -> Scenario:
    """The same events in the same portions, and nothing goes wrong: what calls are compared to."""
    return Scenario(
        scenario.events,
        sales_pause=scenario.sales_pause,
        through_receiver=scenario.through_receiver,
        longest=scenario.longest,
        portions=scenario.portions,
    )
