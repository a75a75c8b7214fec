"""The steps of the way from a delivery to the CRM, by name.

Prevents a fault certificate that leaves out the dangerous moment: it kills a process at least once
at each of these, and a step that is not in this list cannot be told to anybody.
"""

from __future__ import annotations

from enum import StrEnum

from crm_integration.intake import steps


class Step(StrEnum):
    """In the order in which a run comes to them; each names what has just been done."""

    raw_committed = steps.RAW_COMMITTED
    """Deliveries are raw records; they still stand in the queue."""
    queue_acknowledged = steps.QUEUE_ACKNOWLEDGED
    """Deliveries have left the queue."""
    named_read = steps.NAMED_READ
    """Objects that were only named are read and kept; nobody has been told."""
    page_kept = steps.PAGE_KEPT
    """A page of a listing and the place in it are committed."""
    deriving = "deriving"
    """Canonical rows are written, nothing is committed."""
    derived = "derived"
    """A chunk's canonical rows are committed."""
    time_passed = "time_passed"
    """Abandoned carts and lapsed customers are noted."""
    judged = "judged"
    """Verdicts and holds are committed."""
    projecting = "projecting"
    """Wishes are in the ledger, nothing is committed."""
    projected = "projected"
    """A chunk's wishes are committed."""
    released = "released"
    """Rows that waited are up to date."""
    claimed = "claimed"
    """A batch is claimed; the CRM knows nothing."""
    looked = "looked"
    """The CRM's own values are read."""
    written = "written"
    """The CRM has answered a write; nothing is committed."""
    associated = "associated"
    """The CRM has tied the records; nothing is committed."""
    settling = "settling"
    """Ledger, bindings and attempts are written, nothing is committed."""
    settled = "settled"
    """The batch is over."""


def reached(step: Step) -> None:
    """This process has come to `step`; without a watcher nothing happens."""
    steps.reached(step)
