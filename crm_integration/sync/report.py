"""What of the way is to be run, and what a run says of one tenant afterwards.

Prevents the run that is green because nobody asked: each part that failed is named with its
reason, and nothing else counts as done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from traceback import walk_tb

from crm_integration.intake.cursors import Reconciled
from crm_integration.intake.extract import Extracted
from crm_integration.quality.verdicts import Verdict
from crm_integration.sync.crm_changes import CrmRead
from crm_integration.sync.crm_session import CrmRun
from crm_integration.sync.derive import Derived


@dataclass(frozen=True)
class Selection:
    """What of the way is to be run: object types to extract, entities to derive, CRM objects."""

    extracts: frozenset[str] = frozenset()
    canonical: frozenset[str] = frozenset()
    crm: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Problem:
    """A part that failed: `stage` (start, extract, derive, judge, read, sync, report), `what` and
    why; `read` is the look at what people changed in the CRM."""

    stage: str
    what: str
    reason: str


@dataclass
class PathReport:
    """What a run did for one tenant over one slice of windows.

    `extracted` is by object type over all the tenant's stores. Of a run by cursors: `reconciled`
    is by (connection, object type), `days` are those of what it brought.
    """

    tenant: str
    extracted: dict[str, Extracted] = field(default_factory=lambda: dict[str, Extracted]())
    derived: Derived = field(default_factory=Derived)
    verdicts: list[Verdict] = field(default_factory=lambda: list[Verdict]())
    crm_read: CrmRead | None = None
    crm: CrmRun | None = None
    reconciled: dict[tuple[str, str], Reconciled] = field(
        default_factory=lambda: dict[tuple[str, str], Reconciled]()
    )
    days: set[date] = field(default_factory=lambda: set[date]())
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())

    def failed(self, stage: str, what: str) -> bool:
        """Did this part of the way fail?"""
        return any(one.stage == stage and one.what == what for one in self.problems)

    def note_reconciled(self, connection_id: str, done: Reconciled) -> None:
        """Count one type's listing in, and how far its cursor came."""
        self.reconciled[connection_id, done.listed.object_type] = done
        self.note_extracted(done.listed)

    def note_extracted(self, listed: Extracted) -> None:
        """Count one store's listing in."""
        before = self.extracted.get(listed.object_type)
        self.extracted[listed.object_type] = listed if before is None else before + listed


def unforeseen(error: Exception) -> str:
    """What may be shown of an error nobody named: its kind and the place in our code.

    Never its message or traceback: drivers and validators put rows and values into those.
    """
    places = [
        (frame.f_globals.get("__name__", ""), line) for frame, line in walk_tb(error.__traceback__)
    ]
    ours = [place for place in places if place[0].startswith("crm_integration.")]
    name, line = ours[-1] if ours else ("outside crm_integration", 0)
    return (
        f"unforeseen {type(error).__name__} at {name}:{line}: nothing of this tenant counts as "
        "done; run it again, and if it stays look there"
    )


def withheld(tenant: str, object_type: str, records: int) -> str:
    """What is said of records that wait for an approval."""
    return (
        f"{records} records would rewrite more than may be unseen and wait; all others are "
        f"written. Look: crm-integration holds {tenant} --differences {object_type}"
    )
