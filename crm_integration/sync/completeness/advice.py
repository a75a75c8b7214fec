"""What to do about a proof that is not whole.

Prevents the red mark that leaves a person alone: each kind of wrong names what mends it.
"""

from __future__ import annotations

from crm_integration.sync.completeness.model import (
    DOUBLE,
    SURPLUS,
    WRONG,
    Completeness,
    DayProof,
    Stage,
)


def advice(done: Completeness) -> list[str]:
    """A sentence for each thing that is to be done; none for a proof that is whole."""
    return advice_on(done.request.tenant, done.days, healed=bool(done.healed)) + [
        f"{one.what} could not be looked at ({one.stage}: {one.reason}): see the connection, then "
        "prove again."
        for one in done.problems
    ]


def advice_on(tenant: str, proofs: list[DayProof], *, healed: bool = False) -> list[str]:
    """The same for some of its days."""
    command = f"crm-integration completeness --tenant {tenant}"
    found = {
        (stage, verdict)
        for one in proofs
        for stage, counts in one.counts.items()
        for verdict in counts
        if verdict in WRONG
    }
    by_hand = {(Stage.crm.value, SURPLUS), (Stage.crm.value, DOUBLE), (Stage.ledger.value, SURPLUS)}
    told: list[str] = []
    if found - by_hand and not healed:
        told.append(f"Heal what is missing or differs: {command} --heal")
    elif found - by_hand:
        told.append("Healing left some of it: look at the ids above, each at its stage.")
    if found & by_hand:
        told.append("Records too many are left to a person: look at the ids above in the CRM.")
    return told
