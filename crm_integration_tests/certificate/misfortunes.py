"""What goes wrong on the wire, as rules for the emulated shops and CRMs.

Prevents a fault that never hits: each rule waits for the call it is for, and counts only when it
has really acted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from crm_integration.sandbox.faults import FaultPlan, FaultRule

_WRITES = r"/batch/(upsert|update)"
_READS = r"/(batch/read|search)"

ON_THE_WIRE = (
    "answer_dropped", "storm_429", "status_5xx", "partial_207", "conflict_409", "timeout",
    "slow_drip", "token_401",
)  # fmt: skip
"""Kinds whose acts the emulators count."""


def crm_rules(rng: random.Random) -> Mapping[str, FaultRule]:
    """One misfortune of each kind for a CRM."""
    first = rng.randint(1, 2)
    return {
        "answer_dropped": FaultRule("commit_then_drop", path=_WRITES, first=first),
        "storm_429": FaultRule(
            "status", first=rng.randint(1, 6), count=rng.randint(3, 5), status=429, retry_after=0,
            body={"status": "error", "category": "RATE_LIMITS", "policyName": "SECONDLY"},
        ),
        "status_5xx": FaultRule(
            "status", path=rng.choice((_WRITES, _READS)), first=first, count=rng.randint(1, 3),
            status=rng.choice((500, 502, 503, 504)),
        ),
        "partial_207": FaultRule(
            "partial", path=_WRITES, every=rng.randint(2, 3), least=3,
            category=rng.choice(("INTERNAL_ERROR", "RATE_LIMITS")),
        ),
        "conflict_409": FaultRule("conflict", path=_WRITES, least=2),
        "timeout": FaultRule("hang", path=rng.choice((_WRITES, _READS)), first=first, seconds=1.5),
        "slow_drip": FaultRule("drip", path=_WRITES, first=first, seconds=6.0),
        "token_401": FaultRule("revoke", first=rng.randint(1, 4), count=0),
    }  # fmt: skip


def shop_rules(rng: random.Random) -> Mapping[str, FaultRule]:
    """Misfortunes of a shop: any kind of shop understands them."""
    first = rng.randint(1, 5)
    return {
        "storm_429": FaultRule("status", first=first, count=2, status=429, retry_after=0),
        "status_5xx": FaultRule("status", first=first, count=rng.randint(1, 2), status=502),
        "timeout": FaultRule("hang", first=first, seconds=1.5),
        "slow_drip": FaultRule("drip", first=first, seconds=2.0),
    }


def as_json(rules: Sequence[tuple[str, FaultRule]]) -> list[dict[str, object]]:
    """Rules under their kind's name."""
    from dataclasses import replace

    return FaultPlan(tuple(replace(rule, name=kind) for kind, rule in rules)).json()
